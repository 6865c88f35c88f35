//! What the tests of this crate start: a node that can be hurt, a harness that can be killed, a guard.

mod databases;
mod harness;
mod node;

use shakedown_chaos::guard;
use shakedown_chaos::proxy::server::Server;
use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["node", data] => node::serve(Path::new(data)),
        ["harness", run_dir, fault, lasts_ms] => harness::run(Path::new(run_dir), fault, lasts_ms, false),
        ["harness", run_dir, fault, lasts_ms, "guarded"] => {
            harness::run(Path::new(run_dir), fault, lasts_ms, true)
        }
        ["databases", run_dir] => databases::run(Path::new(run_dir)),
        ["proxy"] => proxy(),
        ["guard", run_dir] => match guard::watch(Path::new(run_dir)) {
            Ok(Some(healing)) => println!("{healing}"),
            Ok(None) => println!("closed"),
            Err(error) => println!("guard: {error}"),
        },
        _ => panic!(
            "dummy node DATA | proxy | databases RUN_DIR | harness RUN_DIR FAULT LASTS_MS [guarded] | guard RUN_DIR"
        ),
    }
}

fn proxy() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let anywhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(anywhere, 1).await.expect("a port is free");
        println!("listening on http://{}", server.address());
        server.serve(std::future::pending()).await.expect("it serves until it is killed");
    });
}
