//! Two nodes on one store, as processes: what is acknowledged stays, what is refused does not happen, and nothing is
//! answered that is not so any more, whichever of them is killed, stopped or told to go.

use crate::cluster::{Cluster, address, shared};
use crate::process::{Answer, LIMIT, Node, receive, send, until};
use crate::store::pair;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A leader and its follower.
fn two(cluster: &Cluster, schema: &str) -> (Node, Node) {
    let address = cluster.address(schema);
    let leader = Node::start(&address, "one");
    leader.until("leader");
    let follower = Node::start(&address, "two");
    follower.until("follower");
    leader.define();
    (leader, follower)
}

fn found(node: &Node, query: &str) -> u64 {
    node.get(&format!("/api/workflow/search?query={query}"))["totalHits"].as_u64().unwrap()
}

/// No two starts of a test have one name.
static STARTS: AtomicUsize = AtomicUsize::new(0);

/// Lets clients end, also when a test fails: or it would wait for them for ever.
struct Stop<'d>(&'d AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What clients were told of their starts.
#[derive(Default)]
struct Told {
    kept: Mutex<BTreeSet<String>>,
    refused: Mutex<BTreeSet<String>>,
    /// With what was heard instead of an answer.
    unknown: Mutex<BTreeMap<String, String>>,
}

impl Told {
    fn note(&self, name: String, answer: std::io::Result<Answer>) {
        let of = match &answer {
            Ok(Answer { status: 200, .. }) => &self.kept,
            Ok(Answer { status: 503, .. }) => &self.refused,
            // A connection that was refused has sent nothing.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => &self.refused,
            Ok(Answer { status: 500 | 504, .. }) | Err(_) => {
                drop(self.unknown.lock().unwrap().insert(name, format!("{answer:?}")));
                return;
            }
            Ok(other) => panic!("{name}: {other:?}"),
        };
        of.lock().unwrap().insert(name);
    }

    /// Checks all of it with a node that serves.
    fn check(&self, node: &Node) -> (usize, usize, usize) {
        let (kept, refused) = (self.kept.lock().unwrap(), self.refused.lock().unwrap());
        // A search may be a moment behind, and what is lost is never found.
        until("what was acknowledged is found", || kept.is_subset(&started(node)));
        let there = started(node);
        let undone: Vec<_> = refused.intersection(&there).collect();
        assert!(undone.is_empty(), "refused, and there: {undone:?}");
        let unknown = self.unknown.lock().unwrap();
        if !unknown.is_empty() {
            eprintln!("of unknown fate: {unknown:?}");
        }
        (kept.len(), refused.len(), unknown.len())
    }
}

/// The names of all workflows of a node.
fn started(node: &Node) -> BTreeSet<String> {
    let all = node.get("/api/workflow/search?size=5000");
    let results = all["results"].as_array().unwrap();
    assert!(results.len() < 5000, "more workflows than one page shows");
    let names = results.iter().filter_map(|one| one["correlationId"].as_str().map(str::to_owned));
    let (names, count) = (names.clone().collect::<BTreeSet<_>>(), names.count());
    assert_eq!(names.len(), count, "a start was carried out twice");
    names
}

/// Lets clients start workflows at a node until told to stop.
fn load<'s>(
    scope: &'s thread::Scope<'s, '_>,
    clients: usize,
    node: &'s Node,
    (told, done): (&'s Told, &'s AtomicBool),
) {
    for client in 0..clients {
        scope.spawn(move || {
            while !done.load(Ordering::SeqCst) {
                let name = format!("{}-{client}-{}", node.port, STARTS.fetch_add(1, Ordering::SeqCst));
                told.note(name.clone(), node.start_workflow(&name));
            }
        });
    }
}

#[test]
fn a_follower_hands_requests_on_over_one_hop() {
    let Some((cluster, schema)) = shared() else { return };
    let (leader, follower) = two(cluster, &schema);
    let answer = follower.start_workflow("through").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.head.contains("x-shakedown-hop: two"), "{}", answer.head);
    let id = answer.body;
    for node in [&leader, &follower] {
        assert_eq!(node.get(&format!("/api/workflow/{id}"))["correlationId"], "through");
        assert_eq!(found(node, "correlationId%3Dthrough"), 1);
    }
    // A long poll waits at the leader for what is started meanwhile.
    let poll =
        send(follower.port, "GET", "/api/tasks/poll/batch/a?timeout=5000&count=2", "", "", LIMIT).unwrap();
    let tasks: Value = serde_json::from_str(&receive(poll).unwrap().body).unwrap();
    assert_eq!(tasks.as_array().unwrap().len(), 1);
    let once_more =
        send(follower.port, "POST", "/api/workflow", "x-shakedown-hop: three\r\n", r#"{"name":"w"}"#, LIMIT);
    let answer = receive(once_more.unwrap()).unwrap();
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    assert!(answer.body.contains("hands nothing on a second time"), "{}", answer.body);
    assert_eq!(follower.health()["leader"], format!("http://127.0.0.1:{}", leader.port));
    assert!(follower.metric("shakedown_forwarded_total") >= 4.0);
    assert_eq!(follower.metric("shakedown_leading"), 0.0);
}

#[test]
fn a_killed_leader_is_followed_and_nothing_acknowledged_is_lost() {
    let Some((cluster, schema)) = shared() else { return };
    let (mut leader, mut follower) = two(cluster, &schema);
    let told = Told::default();
    let mut times = Vec::new();
    for round in 0..5 {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let _stop = Stop(&done);
            load(scope, 2, &leader, (&told, &done));
            load(scope, 2, &follower, (&told, &done));
            let before = told.kept.lock().unwrap().len();
            until("starts are acknowledged", || told.kept.lock().unwrap().len() > before + 20);
            let begun = Instant::now();
            leader.signal(libc::SIGKILL);
            let name = |n| format!("round {round} probe {n}");
            let probe = (0..).map(name).find(|name| {
                let answer = follower.start_workflow(name);
                let served = answer.as_ref().is_ok_and(|answer| answer.status == 200);
                told.note(name.clone(), answer);
                served || begun.elapsed() > LIMIT
            });
            times.push(begun.elapsed());
            assert!(begun.elapsed() < LIMIT, "{probe:?}");
        });
        let port = leader.port;
        drop(leader);
        leader = std::mem::replace(&mut follower, Node::start_at(&cluster.address(&schema), "next", port));
        leader.until("leader");
        follower.until("follower");
    }
    let (kept, refused, unknown) = told.check(&leader);
    times.sort();
    println!(
        "SIGKILL of the leader → first success: {times:?}; {kept} kept, {refused} refused, {unknown} unknown"
    );
    assert_eq!(follower.metric("shakedown_late_writes_accepted_total"), 0.0);
}

/// Lets the leader hang past its lease, and come back when another leads and has changed what it is asked for.
fn hang((hung, other): (&Node, &Node), told: &Told) {
    let id = hung.start_workflow(&format!("watched {}", STARTS.fetch_add(1, Ordering::SeqCst))).unwrap().body;
    let path = format!("/api/workflow/{id}");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&done);
        load(scope, 24, hung, (told, &done));
        let before = told.kept.lock().unwrap().len();
        until("starts are acknowledged", || told.kept.lock().unwrap().len() > before + 50);
        hung.stop();
        // Asked while it hangs; it finds these when it comes back.
        let reads: Vec<_> = (0..8).map(|_| send(hung.port, "GET", &path, "", "", LIMIT).unwrap()).collect();
        other.until("leader");
        assert_eq!(other.ask("DELETE", &path, "").unwrap().status, 200);
        hung.signal(libc::SIGCONT);
        for read in reads {
            let answer = receive(read).unwrap();
            assert!(!answer.body.contains("RUNNING"), "it was terminated before: {}", answer.body);
        }
    });
    hung.until("follower");
    for node in [hung, other] {
        assert_eq!(node.metric("shakedown_late_writes_accepted_total"), 0.0);
        assert_eq!(node.get(&path)["status"], "TERMINATED");
    }
}

#[test]
fn a_node_that_hangs_past_its_lease_stores_nothing_and_answers_nothing_stale() {
    let Some((cluster, schema)) = shared() else { return };
    let (mut hung, mut other) = two(cluster, &schema);
    let told = Told::default();
    let refused = (0..30).find_map(|round| {
        hang((&hung, &other), &told);
        let refused = hung.metric("shakedown_late_writes_refused_total");
        std::mem::swap(&mut hung, &mut other);
        // Where it hung just before it looked at its lease, it had not tried to write.
        (refused > 0.0).then_some((round, refused))
    });
    let (kept, not, unknown) = told.check(&other);
    println!("late writes refused: {refused:?}; {kept} kept, {not} refused, {unknown} unknown");
    assert!(refused.is_some(), "no write was at hand in any of thirty rounds");
}

#[test]
fn a_start_whose_client_waits_for_its_end_is_not_sent_again_when_the_lead_is_lost_meanwhile() {
    let Some((cluster, schema)) = shared() else { return };
    let (leader, follower) = two(cluster, &schema);
    let path = "/api/workflow/execute/w/1?waitForSeconds=1";
    let sent = Instant::now();
    let begin = |node: &Node| {
        let body = json!({"name": "w", "correlationId": format!("of {}", node.port)}).to_string();
        send(node.port, "POST", path, "", &body, LIMIT).unwrap()
    };
    // Of the leader's own client, and of one whose request was handed on.
    let waiting = [begin(&leader), begin(&follower)];
    until("both are started", || started(&follower).len() == 2);
    leader.stop();
    follower.until("leader");
    // Their wait is over when it comes back: the start stands, and it can't say more than that it does not know.
    until("it is over", || sent.elapsed() > Duration::from_secs(2));
    leader.signal(libc::SIGCONT);
    for answer in waiting {
        let answer = receive(answer).unwrap();
        assert_eq!(answer.status, 504, "{}", answer.body);
    }
    leader.until("follower");
    assert_eq!(started(&follower).len(), 2, "none was carried out twice");
}

#[test]
fn a_leader_that_is_told_to_go_costs_no_wait() {
    let Some((cluster, schema)) = shared() else { return };
    let (mut leader, follower) = two(cluster, &schema);
    let told = Told::default();
    let done = AtomicBool::new(false);
    let slowest = AtomicUsize::new(0);
    let switched = thread::scope(|scope| {
        let _stop = Stop(&done);
        for client in 0..4 {
            let (told, done, follower, slowest) = (&told, &done, &follower, &slowest);
            scope.spawn(move || {
                for round in 0.. {
                    if done.load(Ordering::SeqCst) {
                        return;
                    }
                    let (name, begun) = (format!("{client}-{round}"), Instant::now());
                    told.note(name.clone(), follower.start_workflow(&name));
                    slowest.fetch_max(begun.elapsed().as_millis() as usize, Ordering::SeqCst);
                }
            });
        }
        until("starts are acknowledged", || told.kept.lock().unwrap().len() > 50);
        let begun = Instant::now();
        leader.signal(libc::SIGTERM);
        follower.until("leader");
        let switched = begun.elapsed();
        let before = told.kept.lock().unwrap().len();
        until("starts go on", || told.kept.lock().unwrap().len() > before + 50);
        switched
    });
    assert!(leader.child.wait().unwrap().success());
    let (kept, refused, unknown) = told.check(&follower);
    let slowest = Duration::from_millis(slowest.load(Ordering::SeqCst) as u64);
    println!("told to go: {switched:?} to the next leader, slowest start {slowest:?}, {kept} kept");
    assert_eq!((refused, unknown), (0, 0), "a switch in order fails nobody");
}

#[test]
fn a_leader_that_is_told_to_go_hands_on_what_was_sent_to_itself() {
    let Some((cluster, schema)) = shared() else { return };
    let (mut leader, follower) = two(cluster, &schema);
    let told = Told::default();
    let done = AtomicBool::new(false);
    let answer = thread::scope(|scope| {
        let _stop = Stop(&done);
        load(scope, 8, &leader, (&told, &done));
        until("starts are acknowledged", || told.kept.lock().unwrap().len() > 50);
        leader.signal(libc::SIGTERM);
        follower.until("leader");
        let before = told.kept.lock().unwrap().len();
        until("it serves without the lead", || told.kept.lock().unwrap().len() > before + 10);
        // A client that keeps its connection open hears that it should take another one.
        let keeps = "Connection: keep-alive\r\n";
        receive(send(leader.port, "GET", "/api/metadata/workflow", keeps, "", LIMIT).unwrap()).unwrap()
    });
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert!(leader.child.wait().unwrap().success());
    let (_, refused, unknown) = told.check(&follower);
    assert_eq!((refused, unknown), (0, 0), "what is queued when it is told to go fails nobody");
}

#[test]
fn what_is_queued_does_not_wait_for_an_archive_that_hangs() {
    let Some(cluster) = Cluster::start("") else { return };
    let (mut leader, follower) = two(&cluster, "hangs");
    let told = Told::default();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&done);
        load(scope, 8, &leader, (&told, &done));
        load(scope, 24, &follower, (&told, &done));
        until("starts are acknowledged", || told.kept.lock().unwrap().len() > 50);
        // A save waits for this, and the end of the writer for the save; who follows has the definitions and reads on.
        scope.spawn(|| {
            cluster.sql("BEGIN; LOCK TABLE hangs.snapshot IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(3)")
        });
        let saves = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%snapshot%'";
        until("a save waits", || cluster.sql(saves) != "0");
        leader.signal(libc::SIGTERM);
        follower.until("leader");
        let before = told.kept.lock().unwrap().len();
        until("starts go on", || told.kept.lock().unwrap().len() > before + 50);
    });
    assert!(leader.child.wait().unwrap().success());
    let (_, refused, unknown) = told.check(&follower);
    assert_eq!((refused, unknown), (0, 0), "a switch in order fails nobody");
}

#[test]
fn a_node_hands_on_before_it_has_read_the_journal_and_says_that_it_could_not_take_over() {
    let Some(cluster) = Cluster::start("") else { return };
    let address = cluster.address("cold");
    let leader = Node::start(&address, "one");
    leader.until("leader");
    leader.define();
    thread::scope(|scope| {
        // What ran is read from here at the beginning; the leader's saves wait too, its journal goes on.
        scope.spawn(|| {
            cluster.sql("BEGIN; LOCK TABLE cold.workflow IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(3)")
        });
        let locked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        until("the archive is locked", || cluster.sql(locked) == "1");
        let cold = Node::start(&address, "two");
        until("it knows the leader", || cold.health()["role"] == "follower");
        let health = cold.health();
        assert_eq!(health["healthy"], false, "{health}");
        assert!(health.to_string().contains("reads the journal"), "{health}");
        let answer = cold.start_workflow("early").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(cold.health()["healthy"], false, "still");
        cold.until("follower");
    });
}

#[test]
fn the_engine_lives_through_a_failover_of_the_database() {
    let Some((mut primary, standby)) = pair() else { return };
    let address = address(&[primary.port, standby.port], "test");
    let one = Node::start(&address, "one");
    one.until("leader");
    let two = Node::start(&address, "two");
    two.until("follower");
    one.define();
    let (told, done) = (Told::default(), AtomicBool::new(false));
    let back = thread::scope(|scope| {
        let _stop = Stop(&done);
        load(scope, 2, &one, (&told, &done));
        load(scope, 2, &two, (&told, &done));
        until("starts are acknowledged", || told.kept.lock().unwrap().len() > 50);
        let begun = Instant::now();
        primary.kill();
        standby.sql("ALTER SYSTEM SET synchronous_standby_names = ''");
        standby.promote();
        let before = told.kept.lock().unwrap().len();
        until("starts go on", || told.kept.lock().unwrap().len() > before + 20);
        begun.elapsed()
    });
    let (kept, refused, unknown) = told.check(&two);
    println!(
        "failover of the database: 20 starts after {back:?}; {kept} kept, {refused} refused, {unknown} unknown"
    );
    assert_eq!(two.metric("shakedown_late_writes_accepted_total"), 0.0);
}

/// A standby that was promoted without having everything: whoever knows better does not lead on it as if nothing had been.
#[test]
fn a_leader_leads_no_server_that_lacks_what_it_acknowledged_until_it_is_restarted() {
    let Some(mut primary) = Cluster::start("") else { return };
    let standby = primary.standby("second", "");
    let address = address(&[primary.port, standby.port], "test");
    let node = Node::start(&address, "one");
    node.until("leader");
    node.define();
    assert_eq!(node.start_workflow("kept").unwrap().status, 200);
    let end = primary.sql("SELECT pg_current_wal_lsn()");
    until("the standby has it", || {
        standby.sql(&format!("SELECT pg_last_wal_replay_lsn() >= '{end}'")) == "t"
    });
    standby.sql("ALTER SYSTEM SET primary_conninfo = ''");
    standby.sql("SELECT pg_reload_conf()");
    until("the standby is cut off", || standby.sql("SELECT count(*) FROM pg_stat_wal_receiver") == "0");
    assert_eq!(node.start_workflow("lost").unwrap().status, 200);
    primary.kill();
    standby.promote();
    until("it leads no more", || node.health()["role"] != "leader");
    let begun = Instant::now();
    until("it has had the time to take the lead again", || {
        assert_ne!(node.health()["role"], "leader", "it lacks a start that was acknowledged");
        begun.elapsed() > Duration::from_secs(3)
    });
    assert_eq!(node.metric("shakedown_lead_taken_total"), 1.0);
    drop(node);
    // Restarted on purpose, the engine goes on without what is lost.
    let node = Node::start(&address, "one");
    node.until("leader");
    assert_eq!(started(&node), BTreeSet::from(["kept".to_owned()]));
}

/// Waits until a node has ended by itself, and not in order.
fn ends_of_itself(node: &mut Node) {
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = node.child.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < LIMIT, "it goes on");
        thread::yield_now();
    };
    assert!(!status.success());
}

/// An upgrade as an old node meets it: from some moment on the leader writes frames that the old one does not know.
#[test]
fn a_node_that_reads_a_frame_of_a_newer_engine_ends_and_takes_no_lead() {
    let Some((cluster, schema)) = shared() else { return };
    let (leader, mut follower) = two(cluster, &schema);
    cluster.sql(&format!(
        "CREATE FUNCTION {schema}.newer() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN NEW.version := 99; RETURN NEW; END'"
    ));
    cluster.sql(&format!(
        "CREATE TRIGGER newer BEFORE INSERT ON {schema}.frame FOR EACH ROW EXECUTE FUNCTION {schema}.newer()"
    ));
    assert_eq!(leader.start_workflow("of the newer engine").unwrap().status, 200);
    ends_of_itself(&mut follower);
    assert_eq!(leader.start_workflow("after it").unwrap().status, 200, "who knows the frames goes on");
    // Neither does one that is started on such a journal, though nobody leads any more.
    drop(leader);
    let epoch = || cluster.sql(&format!("SELECT epoch FROM {schema}.head"));
    let before = epoch();
    let mut late = Node::start(&cluster.address(&schema), "three");
    ends_of_itself(&mut late);
    assert_eq!(epoch(), before, "nobody took the lead");
}
