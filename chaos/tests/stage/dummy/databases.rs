//! A harness with a pair of databases, that is there to be killed.

use super::Path;
use shakedown_chaos::ledger::Ledger;
use shakedown_chaos::substrate::database::{Database, Settings, Side};
use shakedown_chaos::substrate::local::{Local, Ready, Spec};
use std::sync::Arc;
use std::time::Duration;

pub fn run(run_dir: &Path) {
    let ledger = Arc::new(Ledger::create(run_dir, "databases of a test").expect("a ledger"));
    let local = Arc::new(Local::new(ledger, Vec::new(), Arc::new(|_| ())));
    let proxy = Spec {
        name: "proxy".to_owned(),
        program: std::env::current_exe().expect("this program has a path"),
        args: vec!["proxy".into()],
        env: vec![],
        log: run_dir.join("proxy.log"),
        ready: Some(Ready { prefix: "listening on ".to_owned(), within: Duration::from_secs(20) }),
    };
    local.start_proxy(proxy).expect("the proxy comes up");
    let db =
        Database::start(&local, run_dir, Settings::default(), Arc::new(|_| ())).expect("the pair comes up");
    let pid = |name| local.process(name).expect("it runs").pid;
    let pids = [Side::First.name(), Side::Second.name(), "proxy"].map(pid);
    println!("{} {} {} {}", pids[0], pids[1], pids[2], db.folder().display());
    // Until somebody kills it.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("a line");
}
