//! Drives a proxy server with the crate `toxiproxy_rust`, unmodified: `toxiproxy-rust-proof ADDRESS_OF_THE_API`. That
//! client looks at no status, so every change is looked at here: in what the server lists, and in what clients feel.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use toxiproxy_rust::client::Client;
use toxiproxy_rust::proxy::{Proxy, ProxyPack};

/// A server that sends back what comes and closes when its client does; says where it is.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 65536];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn connect(proxy: &Proxy) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(&proxy.proxy_pack.listen)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends `count` bytes on a new connection and reads back what comes; how much, and how long it took.
fn exchange(proxy: &Proxy, count: usize) -> (usize, Duration) {
    let mut stream = connect(proxy).expect("the proxy accepts");
    let began = Instant::now();
    stream.write_all(&vec![7; count]).expect("the proxy takes it");
    let mut got = 0;
    let mut buffer = [0; 65536];
    while got < count {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(read) => got += read,
        }
    }
    (got, began.elapsed())
}

fn names(proxy: &Proxy) -> Vec<String> {
    proxy.toxics().expect("toxics are listed").into_iter().map(|toxic| toxic.name).collect()
}

/// With a toxic in force, `look` must hold; without it, a plain exchange works again.
fn shown(what: &str, proxy: &Proxy, name: &str, look: impl FnOnce()) {
    assert_eq!(names(proxy), [name], "{what}: the toxic is not there");
    look();
    proxy.delete_all_toxics().expect("toxics are removed");
    assert_eq!(names(proxy), Vec::<String>::new(), "{what}: the toxic is still there");
    assert_eq!(exchange(proxy, 100).0, 100, "{what}: not well again");
    println!("toxiproxy_rust: {what}");
}

fn main() {
    let address = std::env::args().nth(1).expect("the address of the API");
    let client = Client::new(address);
    assert!(client.is_running());
    let version = client.version().expect("a version");
    assert!(version.contains("version"), "{version}");
    let pack = |name: &str, upstream: String| ProxyPack::new(name.into(), "127.0.0.1:0".into(), upstream);
    let made = client.populate(vec![pack("rust one", echo()), pack("two", echo())]).expect("populated");
    assert_eq!(made.len(), 2);
    assert_eq!(client.populate(vec![]).expect("an empty list").len(), 0);
    assert!(client.all().expect("all").contains_key("two"));
    let proxy = client.find_proxy("two").expect("found");
    assert_eq!(exchange(&proxy, 100_000).0, 100_000);
    println!("toxiproxy_rust: version, populate, all, find_proxy");
    toxics(&proxy);
    down(&client, &proxy);
}

fn toxics(proxy: &Proxy) {
    proxy.with_latency("downstream".into(), 150, 0, 1.0);
    shown("latency", proxy, "latency_downstream", || {
        let took = exchange(proxy, 10).1;
        assert!(took >= Duration::from_millis(150), "{took:?}");
    });
    proxy.with_bandwidth("upstream".into(), 100, 1.0);
    shown("bandwidth", proxy, "bandwidth_upstream", || {
        let took = exchange(proxy, 20_000).1;
        assert!(took >= Duration::from_millis(195), "{took:?}");
    });
    proxy.with_slow_close("upstream".into(), 200, 1.0);
    shown("slow_close", proxy, "slow_close_upstream", || {
        let mut stream = connect(proxy).expect("accepted");
        let began = Instant::now();
        stream.shutdown(std::net::Shutdown::Write).expect("half-closed");
        assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
        assert!(began.elapsed() >= Duration::from_millis(200));
    });
    proxy.with_timeout("downstream".into(), 100, 1.0);
    shown("timeout", proxy, "timeout_downstream", || assert_eq!(exchange(proxy, 10).0, 0));
    proxy.with_slicer("downstream".into(), 10, 5, 1000, 1.0);
    shown("slicer", proxy, "slicer_downstream", || {
        let (count, took) = exchange(proxy, 1000);
        assert!(count == 1000 && took >= Duration::from_millis(60), "{count} {took:?}");
    });
    proxy.with_limit_data("downstream".into(), 77, 1.0);
    shown("limit_data", proxy, "limit_data_downstream", || assert_eq!(exchange(proxy, 1000).0, 77));
}

fn down(client: &Client, proxy: &Proxy) {
    proxy.with_down(|| assert!(connect(proxy).is_err(), "it is down")).expect("down and up");
    assert_eq!(exchange(proxy, 100).0, 100);
    proxy.disable().expect("disabled");
    proxy.with_timeout("upstream".into(), 0, 1.0);
    client.reset().expect("reset");
    assert_eq!((names(proxy).len(), exchange(proxy, 100).0), (0, 100), "well after a reset");
    proxy.delete().expect("deleted");
    assert!(client.find_proxy("two").is_err() && connect(proxy).is_err());
    println!("toxiproxy_rust: with_down, disable, reset, delete");
}
