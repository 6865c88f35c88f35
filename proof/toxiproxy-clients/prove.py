"""toxiproxy-python and chaostoolkit-toxiproxy, unmodified, against a proxy server: prove.py ADDRESS_OF_THE_API."""

import logging
import socket
import sys
import threading
import time

import logzero
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from toxiproxy import Toxiproxy
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists


def serve(connection: socket.socket) -> None:
    """Sends back what comes."""
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def echo() -> str:
    """An echo server on a thread; says where it is."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return f"127.0.0.1:{listener.getsockname()[1]}"


def exchange(listen: str, count: int = 100) -> tuple[int, float]:
    """Sends so many bytes on a new connection; how many came back, and the seconds that it took."""
    host, port = listen.rsplit(":", 1)
    with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as connection:
        began = time.monotonic()
        connection.sendall(b"x" * count)
        got = 0
        while got < count and (data := connection.recv(65536)):
            got += len(data)
        return got, time.monotonic() - began


def must_raise(kind: type[Exception], call) -> None:
    """The client turns the server's refusal into its own exception."""
    try:
        call()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


def toxiproxy_python(host: str, port: int) -> None:
    """Everything that the client has."""
    server = Toxiproxy()
    server.update_api_consumer(host, port)
    assert server.running() and b"version" in server.version()
    proxy = server.create(upstream=echo(), name="python")
    assert exchange(proxy.listen)[0] == 100
    assert set(server.proxies()) == {"python"} and server.get_proxy("python").listen == proxy.listen
    must_raise(ProxyExists, lambda: server.create(upstream="x:1", name="python"))
    print("toxiproxy-python: version, create, proxies, get_proxy, a name twice")

    proxy.add_toxic(type="latency", attributes={"latency": 120})
    assert exchange(proxy.listen)[1] >= 0.12
    assert proxy.get_toxic("latency_downstream").attributes == {"latency": 120, "jitter": 0}
    must_raise(ProxyExists, lambda: proxy.add_toxic(type="latency"))
    must_raise(InvalidToxic, lambda: proxy.add_toxic(type="gravity"))
    proxy.destroy_toxic("latency_downstream")
    assert exchange(proxy.listen)[1] < 0.12 and proxy.toxics() == {}
    must_raise(NotFound, lambda: proxy.destroy_toxic("latency_downstream"))
    proxy.add_toxic(type="limit_data", name="short", stream="downstream", toxicity=1.0, attributes={"bytes": 7})
    assert exchange(proxy.listen)[0] == 7
    server.reset()
    assert proxy.toxics() == {} and exchange(proxy.listen)[0] == 100
    print("toxiproxy-python: add_toxic, toxics, get_toxic, destroy_toxic, reset, and its refusals")

    with proxy.down():
        must_raise(ConnectionRefusedError, lambda: exchange(proxy.listen))
    assert exchange(proxy.listen)[0] == 100
    populated = server.populate([{"name": "more", "upstream": echo(), "listen": "127.0.0.1:0"}])
    assert exchange(populated[0].listen)[0] == 100
    server.destroy_all()
    assert server.proxies() == {}
    print("toxiproxy-python: down, populate, destroy_all")


def action(name: str, function: str, module: str = "toxic.actions", **arguments) -> dict:
    """One step of an experiment."""
    provider = {"type": "python", "module": f"chaostoxi.{module}", "func": function, "arguments": arguments}
    return {"type": "action", "name": name, "provider": provider}


def probe(name: str, attribute: str, value: object) -> dict:
    """A probe of a steady state."""
    step = action(name, "get_proxy_attribute", "proxy.probes", proxy_name="chaos", attribute=attribute)
    return {**step, "type": "probe", "tolerance": value}


def chaostoolkit(host: str, port: int) -> None:
    """An experiment that the toolkit runs: hypothesis, method, rollback."""
    upstream_host, upstream_port = echo().split(":")
    toxic = {"for_proxy": "chaos", "toxic_name": "t"}
    kinds = [
        ("create_latency_toxic", {"latency": 10, "jitter": 2}),
        ("create_bandwith_degradation_toxic", {"rate": 1000}),
        ("create_slow_connection_close_toxic", {"delay": 10}),
        ("create_timeout_toxic", {"timeout": 10}),
        ("create_slicer_toxic", {"average_size": 100, "size_variation": 10, "delay": 10}),
        ("create_limiter_toxic", {"bytes_limit": 10}),
    ]
    method = []
    for function, attributes in kinds:
        method.append(action(function, function, **toxic, **attributes))
        method.append(action(f"end of {function}", "delete_toxic", **toxic))
    method.append(action("down", "disable_proxy", "proxy.actions", proxy_name="chaos"))
    create = {"proxy_name": "chaos", "upstream_host": upstream_host, "upstream_port": int(upstream_port)}
    experiment = {
        "version": "1.0.0",
        "title": "every action of chaostoolkit-toxiproxy",
        "description": "against a shakedown proxy",
        "configuration": {"toxiproxy_host": host, "toxiproxy_port": port},
        "steady-state-hypothesis": {"title": "it is up", "probes": [probe("enabled", "enabled", True)]},
        "method": method,
        "rollbacks": [action("up again", "enable_proxy", "proxy.actions", proxy_name="chaos")],
    }
    configuration = dict(experiment["configuration"])
    from chaostoxi.proxy import actions, probes

    assert actions.create_proxy(**create, configuration=configuration)
    ensure_experiment_is_valid(experiment)
    journal = run_experiment(experiment)
    # The hypothesis holds before and not after: the method ends with the proxy down, and the toolkit must see it.
    before, after = journal["steady_states"]["before"], journal["steady_states"]["after"]
    assert before["steady_state_met"] and not after["steady_state_met"], journal["steady_states"]
    failed = [run for run in journal["run"] if run["status"] != "succeeded" or run["output"] is False]
    assert not failed and len(journal["run"]) == len(method), failed
    # What deviates is rolled back only on request, so that is done by hand.
    assert actions.enable_proxy("chaos", configuration=configuration)
    listen = probes.get_proxy_attribute("chaos", "listen", configuration=configuration)
    assert exchange(listen.replace("[::]", "127.0.0.1"))[0] == 100
    actions.delete_proxy("chaos", configuration=configuration)
    assert not probes.proxy_exist("chaos", configuration=configuration)
    print(f"chaostoolkit-toxiproxy: an experiment of {len(method)} actions, its hypothesis, enable, delete")


def main() -> None:
    logzero.loglevel(logging.CRITICAL)
    host, port = sys.argv[1].rsplit(":", 1)
    toxiproxy_python(host, int(port))
    chaostoolkit(host, int(port))


main()
