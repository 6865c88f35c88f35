"""Runs every case against one engine; prints one line per case and how many passed."""

import argparse
import logging
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import case_control
import case_full_22
import case_workers
import decorated
from bench import Bench, open_bench
from definitions import LEASED_TYPE, UNLEASED_TYPE
from engine import Engine
from waiting import NotSeen

WHOLE_PROOF_LIMIT_S = 180


class Tally:
    """Prints each case as it ends and keeps count."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def case(self, name: str, prove: Callable[[], str]) -> None:
        try:
            seen = prove()
        except Exception as error:  # whatever went wrong, the other cases are tried too
            self.failed += 1
            print(f"FAILED {name}: {type(error).__name__}: {' '.join(str(error).split())}", flush=True)
        else:
            self.passed += 1
            print(f"ok  {name}: {seen}", flush=True)


def prove_control(tally: Tally, bench: Bench) -> None:
    case_control.prepare(bench)
    tally.case("pause and resume", lambda: case_control.pauses_and_resumes(bench))
    tally.case("terminate", lambda: case_control.terminates(bench))
    tally.case("retry by hand", lambda: case_control.retries(bench))
    tally.case("read a task", lambda: case_control.reads_one_task(bench))
    tally.case("refusals", lambda: case_control.says_what_is_wrong(bench))


def prove_workers(tally: Tally, bench: Bench) -> None:
    ids = case_workers.start_all(bench)
    with bench.workers("special"):
        tally.case("failing", lambda: case_workers.fails_then_succeeds(bench, ids["sdk_fails_twice"]))
        tally.case("non-retryable", lambda: case_workers.refuses_for_good(bench, ids["sdk_refuses"]))
        tally.case("in progress", lambda: case_workers.is_called_again(bench, ids["sdk_in_steps"]))
        prove_decorated(tally, bench, ids)
        prove_control(tally, bench)
        tally.case("lease extended", lambda: case_workers.extends_its_lease(bench, ids[LEASED_TYPE]))
        tally.case("lease lost", lambda: case_workers.loses_its_lease(bench, ids[UNLEASED_TYPE]))
        tally.case("late result", lambda: case_workers.drops_the_late_result(bench, ids[UNLEASED_TYPE]))


def prove_decorated(tally: Tally, bench: Bench, ids: dict[str, str]) -> None:
    for name, output in ((decorated.SYNC_TYPE, "SHAKEDOWN"), (decorated.ASYNC_TYPE, "nwodekahs")):
        tally.case(name, lambda: case_workers.is_decorated(bench, name, ids[name], output))


def give_up(_signal: int, _frame: FrameType | None) -> None:
    raise NotSeen(f"the whole proof took longer than {WHOLE_PROOF_LIMIT_S} s or was stopped")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--engine", type=Path, required=True, help="the shakedown binary")
    options.add_argument("--workflows", type=Path, required=True, help="the folder of the definitions")
    options.add_argument("--room", type=Path, required=True, help="a folder for the store, the journal and the logs")
    given = options.parse_args()
    logging.basicConfig(filename=given.room / "prove.log")
    signal.signal(signal.SIGALRM, give_up)
    signal.signal(signal.SIGTERM, give_up)
    signal.alarm(WHOLE_PROOF_LIMIT_S)
    began = time.monotonic()
    engine = Engine(given.engine, given.room)
    engine.start()
    bench, tally = open_bench(engine, given.workflows, given.room), Tally()
    tally.case("registration", lambda: case_full_22.registers(bench))
    tally.case("full-22 with SIGKILL", lambda: case_full_22.survives_a_kill(bench))
    prove_workers(tally, bench)
    engine.kill()
    print(f"python-sdk: {time.monotonic() - began:.1f} s", file=sys.stderr)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
