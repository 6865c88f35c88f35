//! Faults of links, through a real proxy server: seen by somebody who connects and asks, and undone.

use crate::stage::{Asked, DUMMY, LIMIT, Stage, dummy, now, until};
use shakedown_chaos::clock;
use shakedown_chaos::drill::{Drill, Phase};
use shakedown_chaos::fault::{Fault, PartitionStyle};
use shakedown_chaos::ledger::{Account, Ledger};
use shakedown_chaos::probe::Probe;
use shakedown_chaos::proxy::client::Control;
use shakedown_chaos::schedule::{Planned, Trigger};
use shakedown_chaos::substrate::link::Link;
use shakedown_chaos::substrate::local::{Local, Ready, Spec};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// A stage with a node behind a link, and where clients connect.
fn linked(fault: Fault) -> (Stage, SocketAddr) {
    let (stage, addresses) = linked_by(&["clients"], fault, "link:clients");
    (stage, addresses[0])
}

/// The same with several links.
fn linked_by(names: &[&str], fault: Fault, on: &str) -> (Stage, Vec<SocketAddr>) {
    linked_on(Stage::new(&[now(fault, on, None)]), names)
}

fn linked_on(stage: Stage, names: &[&str]) -> (Stage, Vec<SocketAddr>) {
    let node = stage.local.add_node(dummy(stage.folder.path(), "engine", "engine")).unwrap();
    let proxy = Spec {
        name: "proxy".to_owned(),
        program: DUMMY.into(),
        args: vec!["proxy".into()],
        env: vec![],
        log: stage.folder.path().join("proxy.log"),
        ready: Some(Ready { prefix: "listening on ".to_owned(), within: LIMIT }),
    };
    stage.local.start_proxy(proxy).unwrap();
    let probe = Probe { question: b"time\n".to_vec() };
    let link = |name: &&str| {
        let address = stage.local.add_link(name, node.text.parse().unwrap(), Some(probe.clone())).unwrap();
        assert_ne!(Asked::at(&address.to_string()).ask("time"), "", "the link works before");
        address
    };
    let addresses = names.iter().map(link).collect();
    (stage, addresses)
}

/// In force until the end of `during`, then healed.
fn hurt(fault: Fault, during: impl FnOnce(&Stage, SocketAddr)) -> (String, String) {
    let (stage, address) = linked(fault);
    let drill = stage.play();
    until("it is tried", || stage.phases().len() >= 2);
    let applied = stage.fault(Phase::Applied).evidence;
    assert!(applied.contains("through the link"), "{applied}");
    during(&stage, address);
    assert_eq!(drill.finish(), []);
    assert_ne!(Asked::at(&address.to_string()).ask("time"), "", "the link works after");
    assert_eq!(Account::read(stage.folder.path()).unwrap().open().count(), 0);
    (applied, stage.fault(Phase::Healed).evidence)
}

fn connects(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

/// Somebody behind it answers, soon.
fn carries(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) else {
        return false;
    };
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    stream.write_all(b"time\n").is_ok() && stream.read(&mut [0]).is_ok_and(|bytes| bytes == 1)
}

#[test]
fn a_rejecting_partition_refuses_connects() {
    let fault = Fault::Partition { style: PartitionStyle::Reject };
    let (applied, healed) = hurt(fault, |_, address| assert!(!connects(address)));
    assert!(applied.contains("refused"), "{applied}");
    assert!(healed.contains("free of it") && healed.contains("answered"), "{healed}");
}

#[test]
fn a_link_to_several_nodes_is_hurt_as_a_whole_or_in_part() {
    for (on, hurt) in [("link:clients", [false, false, true]), ("link:clients.2", [true, false, true])] {
        let fault = Fault::Partition { style: PartitionStyle::Reject };
        let (stage, addresses) = linked_by(&["clients.1", "clients.2", "workers.1"], fault, on);
        let drill = stage.play();
        until("it is tried", || stage.phases().len() >= 2);
        assert_eq!(addresses.iter().map(|address| connects(*address)).collect::<Vec<_>>(), hurt, "{on}");
        let applied = stage.fault(Phase::Applied);
        let whole = if on == "link:clients" { "clients.1, clients.2" } else { "clients.2" };
        assert_eq!(applied.node.as_deref(), Some(whole));
        assert_eq!(
            applied.evidence.matches("refused").count(),
            whole.split(", ").count(),
            "{}",
            applied.evidence
        );
        assert_eq!(drill.finish(), []);
        assert!(addresses.iter().all(|address| connects(*address)), "{on}");
        assert_eq!(Account::read(stage.folder.path()).unwrap().open().count(), 0);
    }
}

#[test]
fn where_one_part_can_not_be_hurt_the_others_are_healed() {
    let fault = Fault::Partition { style: PartitionStyle::Reject };
    let (stage, addresses) = linked_by(&["clients.1", "clients.2"], fault, "link:clients");
    let control = Control::new(&stage.local.proxy_control().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(control.set_enabled("clients.2", false)).unwrap();
    stage.play_through();
    assert!(stage.phases().contains(&Phase::NotApplied), "{:?}", stage.phases());
    assert!(connects(addresses[0]), "it was hurt, and is healed");
    assert!(!connects(addresses[1]), "somebody else's is left alone");
}

#[test]
fn a_part_has_one_fault_of_a_kind_at_a_time_as_the_whole_has() {
    let fault = |name: &str, on: &str| {
        let trigger = Trigger::Event { name: name.to_owned(), nth_from: 1, nth_to: 1 };
        Planned { name: name.to_owned(), trigger, ..now(Fault::HalfOpen {}, on, None) }
    };
    let planned = [fault("whole", "link:clients"), fault("part", "link:clients.2")];
    let (stage, _) = linked_on(Stage::new(&planned), &["clients.1", "clients.2"]);
    let drill = stage.play();
    drill.feed("whole");
    until("the whole is hurt", || stage.phases().contains(&Phase::Applied));
    drill.feed("part");
    until("the part is refused", || stage.phases().contains(&Phase::NotApplied));
    let refused = stage.fault(Phase::NotApplied);
    assert_eq!((&*refused.fault, refused.node.as_deref()), ("part", Some("clients.2")));
    assert!(refused.evidence.contains("half_open too, is in force on clients.2"), "{}", refused.evidence);
    assert_eq!(drill.finish(), []);
}

#[test]
fn a_part_that_does_not_come_back_keeps_no_other_one_hurt() {
    let (stage, addresses) = linked_by(&["clients.1", "clients.2"], Fault::HalfOpen {}, "link:clients");
    let control = Control::new(&stage.local.proxy_control().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let set = |enabled: bool| runtime.block_on(control.set_enabled("clients.1", enabled)).unwrap();
    let drill = stage.play();
    until("it is tried", || stage.phases().len() >= 2);
    stage.fault(Phase::Applied);
    set(false);
    let healing = std::thread::spawn(move || drill.finish());
    until("the second carries again", || carries(addresses[1]));
    assert!(!stage.phases().contains(&Phase::Healed), "the first is still looked at: {:?}", stage.phases());
    set(true);
    assert_eq!(healing.join().unwrap(), []);
    stage.fault(Phase::Healed);
}

#[test]
fn a_link_is_healed_also_when_nobody_is_left_behind_it() {
    let (stage, _) = linked_by(&["clients.1", "clients.2"], Fault::HalfOpen {}, "link:clients");
    let drill = stage.play();
    until("it is tried", || stage.phases().len() >= 2);
    stage.fault(Phase::Applied);
    stage.local.find("engine").unwrap().fell().unwrap();
    assert_eq!(drill.finish(), []);
    let healed = stage.fault(Phase::Healed).evidence;
    assert_eq!(healed.matches("answers nobody: the connect is refused there").count(), 2, "{healed}");
}

#[test]
fn a_dropping_partition_answers_nothing_not_even_a_connect() {
    let fault = Fault::Partition { style: PartitionStyle::Drop };
    let (applied, _) = hurt(fault, |_, address| assert!(!connects(address)));
    assert!(applied.contains("the connect is not answered"), "{applied}");
}

#[test]
fn one_direction_alone_is_silence_for_those_who_ask() {
    for style in [PartitionStyle::ToServer, PartitionStyle::ToClient] {
        let (applied, _) = hurt(Fault::Partition { style }, |_, address| assert!(connects(address)));
        assert!(applied.contains("nothing is answered"), "{applied}");
    }
}

#[test]
fn a_half_open_link_accepts_and_carries_nothing() {
    let (applied, _) = hurt(Fault::HalfOpen {}, |_, address| assert!(connects(address)));
    assert!(applied.contains("nothing is answered"), "{applied}");
}

#[test]
fn latency_is_paid_there_and_back() {
    let mut took = Duration::ZERO;
    hurt(Fault::Latency { latency_ms: 60, jitter_ms: 5 }, |_, address| {
        let mut asked = Asked::at(&address.to_string());
        let begun_ns = clock::now_ns();
        assert_ne!(asked.ask("time"), "");
        took = Duration::from_nanos(clock::now_ns() - begun_ns);
    });
    assert!(took >= Duration::from_millis(110), "{took:?}");
}

#[test]
fn bandwidth_bounds_what_comes_through() {
    let mut took = Duration::ZERO;
    hurt(Fault::Bandwidth { kb_per_s: 20 }, |_, address| {
        let mut asked = Asked::at(&address.to_string());
        let begun_ns = clock::now_ns();
        // Not understood, and so answered in one byte: the way there is what takes time.
        assert_eq!(asked.ask(&"x".repeat(10_000)), "?");
        took = Duration::from_nanos(clock::now_ns() - begun_ns);
    });
    assert!(took >= Duration::from_millis(300), "10 kB at 20 kB/s took {took:?}");
}

#[test]
fn a_reset_ends_open_connections_too() {
    let (stage, address) = linked(Fault::Reset { after_ms: 0 });
    let mut idle = Asked::at(&address.to_string());
    assert_ne!(idle.ask("time"), "");
    let drill = stage.play();
    until("it is tried", || stage.phases().len() >= 2);
    assert!(stage.fault(Phase::Applied).evidence.contains("reset"));
    assert_eq!(idle.ask("time"), "", "a connection that was open is gone");
    assert_eq!(drill.finish(), []);
}

#[test]
fn a_cut_lets_so_many_bytes_come_back() {
    let (applied, _) = hurt(Fault::Cut { after_bytes: 3 }, |_, _| ());
    assert!(applied.contains("closed after 3 bytes"), "{applied}");
}

#[test]
fn a_link_behind_which_nobody_answers_is_known_by_the_proxys_word_alone() {
    let (stage, _) = linked(Fault::Latency { latency_ms: 20, jitter_ms: 0 });
    stage.local.find("engine").unwrap().fell().unwrap();
    let drill = stage.play();
    until("it is tried", || stage.phases().len() >= 2);
    let applied = stage.fault(Phase::Applied).evidence;
    assert!(applied.contains("read back from the proxy only"), "{applied}");
    assert_eq!(drill.finish(), []);
}

#[test]
fn a_proxy_that_is_gone_is_not_applied_and_says_why() {
    let (stage, _) = linked(Fault::HalfOpen {});
    stage.local.find("proxy").unwrap().fell().unwrap();
    assert_eq!(stage.play_through(), []);
    assert_eq!(stage.phases()[1], Phase::NotApplied);
    let why = stage.fault(Phase::NotApplied).evidence;
    assert!(why.contains("no proxy server at"), "{why}");
}

#[test]
fn a_link_of_somebody_elses_server_is_adopted_hurt_and_healed() {
    let (stage, address) = linked(Fault::Partition { style: PartitionStyle::Reject });
    let nodes = stage.nodes.lock().unwrap().clone();
    let control = nodes.into_iter().rfind(|event| event.node == "proxy").unwrap().text;
    let probe = Probe { question: b"time\n".to_vec() };
    let link = Link::adopt("clients", &control, "clients", None, Some(probe)).unwrap();
    assert_eq!(link.address, address);
    let error = Link::adopt("clients", &control, "elsewhere", None, None).unwrap_err().to_string();
    assert!(error.contains("elsewhere"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::create(folder.path(), "http://conductor:8080/api").unwrap());
    let heard = Arc::clone(&stage.faults);
    let sink = Arc::new(move |event| heard.lock().unwrap().push(event));
    let remote = Arc::new(Local::new(Arc::clone(&ledger), stage.injections.clone(), Arc::new(|_| {})));
    remote.adopt(link);
    let drill = Drill::start(stage.injections.clone(), clock::now_ns(), remote, ledger, sink).unwrap();
    until("it is tried", || stage.phases().len() >= 2);
    stage.fault(Phase::Applied);
    assert!(!connects(address));
    assert_eq!(drill.finish(), []);
    assert!(connects(address));
}
