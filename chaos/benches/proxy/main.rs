//! What the proxy costs and how exact its delays are: a stream and a request with its answer over loopback, plain,
//! through the proxy and through HAProxy; latency toxics against the clock. Every proxy is a process of its own.
//!
//! Run with `cargo bench -p shakedown-chaos --bench proxy`, on a machine that does nothing else. HAProxy is *not run*
//! where it isn't installed.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should stop where it is")]
#![allow(clippy::disallowed_methods, reason = "a bench measures time")]

mod peers;
mod through;

use peers::{Echo, Sink};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use through::{HaProxy, OurProxy, Route};

/// Bytes of a stream, and of the writes that it is made of.
const STREAM: usize = 6 << 30;
const WRITE: usize = 128 << 10;
/// Rounds of each measurement, in turns, so that a slow moment of the machine hits all of them.
const ROUNDS: usize = 7;
const REQUESTS: usize = 15_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == through::SERVE) {
        return through::serve(&args[at + 1]);
    }
    // `cargo test` runs benches too, to see that they do: there is nothing to see in a hurry.
    if args.iter().any(|arg| arg == "--test") {
        return;
    }
    println!("{} processors", std::thread::available_parallelism().unwrap());
    stream();
    request();
    exactness();
    long_fat_pipe();
}

/// The routes to an upstream: straight, ours, HAProxy where it is installed.
fn routes(upstream: SocketAddr) -> Vec<(&'static str, Option<Box<dyn Route>>)> {
    vec![
        ("loopback", Some(Box::new(upstream) as Box<dyn Route>)),
        ("shakedown proxy", Some(Box::new(OurProxy::to(upstream)))),
        ("HAProxy", HaProxy::to(upstream, false).map(|route| Box::new(route) as Box<dyn Route>)),
        ("HAProxy, splice-auto", HaProxy::to(upstream, true).map(|route| Box::new(route) as Box<dyn Route>)),
    ]
}

fn stream() {
    let sink = Sink::start();
    let routes = routes(sink.address);
    let mut rates = vec![Vec::new(); routes.len()];
    for _ in 0..ROUNDS {
        for ((_, route), rates) in routes.iter().zip(&mut rates) {
            if let Some(route) = route {
                let began = Instant::now();
                sink.swallow(route.address(), STREAM / ROUNDS, WRITE);
                rates.push((STREAM / ROUNDS) as f64 / began.elapsed().as_secs_f64() / 1e9);
            }
        }
    }
    println!(
        "\none stream, GB/s: median of {ROUNDS} ({} MiB each), share of loopback",
        (STREAM / ROUNDS) >> 20
    );
    let plain = median(&mut rates[0]);
    for ((name, route), rates) in routes.iter().zip(&mut rates) {
        match route {
            None => println!("  {name:<22} not run"),
            Some(_) => {
                println!("  {name:<22} {:>6.2}  {:>4.0} %", median(rates), median(rates) / plain * 100.0)
            }
        }
    }
}

fn request() {
    let echo = Echo::start();
    let routes = routes(echo.address);
    let mut times = vec![Vec::new(); routes.len()];
    for _ in 0..ROUNDS {
        for ((_, route), times) in routes.iter().zip(&mut times) {
            if let Some(route) = route {
                times.extend(peers::round_trips(route.address(), REQUESTS / ROUNDS));
            }
        }
    }
    println!("\na request of 64 bytes and its answer, µs: p50, p99, added at p50 (n {})", times[0].len());
    let plain = percentile(&mut times[0], 0.5);
    for ((name, route), times) in routes.iter().zip(&mut times) {
        let Some(_) = route else {
            println!("  {name:<22} not run");
            continue;
        };
        let (p50, p99) = (percentile(times, 0.5), percentile(times, 0.99));
        println!("  {name:<22} {p50:>7.1} {p99:>7.1} {:>+7.1}", p50 - plain);
    }
}

fn exactness() {
    println!("\na latency toxic (answers only): ms later than without it, p50 and p99");
    let echo = Echo::start();
    let proxy = OurProxy::to(echo.address);
    let mut plain = peers::round_trips(proxy.address(), 2000);
    let plain = percentile(&mut plain, 0.5);
    for (asked, count) in [(5, 600), (50, 300), (200, 300)] {
        proxy.api(
            "POST",
            "/proxies/p/toxics",
            &format!(r#"{{"type":"latency","attributes":{{"latency":{asked}}}}}"#),
        );
        // Several connections at once, each with one request on its way: what waits in turns would take minutes.
        let threads: Vec<_> = (0..10)
            .map(|_| {
                let address = proxy.address();
                std::thread::spawn(move || peers::round_trips(address, count / 10))
            })
            .collect();
        let mut times: Vec<f64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        proxy.api("DELETE", "/proxies/p/toxics/latency_downstream", "");
        let late = |share| (percentile(&mut times.clone(), share) - plain) / 1000.0;
        let (p50, p99) = (late(0.5), late(0.99));
        let error = p99 - f64::from(asked);
        println!(
            "  asked {asked:>3}: {p50:>8.3} {p99:>8.3}, p99 off by {error:+.3} ms ({:+.2} %), n {}",
            error / f64::from(asked) * 100.0,
            times.len()
        );
        times.clear();
    }
}

fn long_fat_pipe() {
    let sink = Sink::start();
    let proxy = OurProxy::to(sink.address);
    proxy.api(
        "POST",
        "/proxies/p/toxics",
        r#"{"type":"latency","stream":"upstream","attributes":{"latency":50}}"#,
    );
    let mut times: Vec<f64> = (0..21)
        .map(|_| {
            let began = Instant::now();
            sink.swallow(proxy.address(), 4 << 20, WRITE);
            began.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    println!(
        "\n4 MiB through 50 ms of latency, ms until the last byte: p50 {:.1} (n 21)",
        median(&mut times)
    );
}

fn median(values: &mut [f64]) -> f64 {
    percentile(values, 0.5)
}

fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into the values")]
    let at = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len()) - 1;
    values[at]
}

/// How long anything here may take.
pub const LIMIT: Duration = Duration::from_secs(60);
