//! What the tests of this crate start: a node that can be hurt, a harness that can be killed, a guard.

mod harness;
mod node;

use shakedown_chaos::guard;
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
        ["guard", run_dir] => match guard::watch(Path::new(run_dir)) {
            Ok(Some(healing)) => println!("{healing}"),
            Ok(None) => println!("closed"),
            Err(error) => println!("guard: {error}"),
        },
        _ => panic!("dummy node DATA | harness RUN_DIR FAULT LASTS_MS [guarded] | guard RUN_DIR"),
    }
}
