//! Faults that go wrong, and runs with faults that end early: the message is clear, the exit code right, and nothing is
//! left in force.

use crate::drill::{self, fault, phases, scenario, summary};
use crate::program::{Running, children, is_alive, run_directory, shakedown, wait_for};
use crate::wire::Wire;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};

/// A folder with `drill.toml`.
fn folder(scenario: &str) -> TempDir {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("drill.toml"), scenario).unwrap();
    folder
}

/// A fault by commands that leaves a file while it is in force; it can't be healed while there is a file called `stuck`.
fn by_commands(due: &str) -> String {
    let inject = "fault = \"command\", inject = [\"touch\", \"cut\"], \
                  heal = [\"sh\", \"-c\", \"test ! -e stuck && rm -f cut\"], within_s = 5";
    fault(inject, "engine", due)
}

fn engine(folder: &Path) -> (Running, SocketAddr) {
    let mut engine = Running::start(folder, &["engine", "--listen", "127.0.0.1:0", "--store", "memory"]);
    let address = engine.first_line().strip_prefix("listening on http://").unwrap().parse().unwrap();
    (engine, address)
}

/// Waits until a run has a fault in force; its directory.
fn in_force(folder: &Path) -> PathBuf {
    wait_for("a fault in force", || {
        let run = run_directory(folder)?;
        phases(&run).contains(&"applied".to_owned()).then_some(run)
    })
}

#[test]
fn a_role_that_nobody_has_and_a_window_past_the_end_are_refused_before_anything_starts() {
    let refused = |on: &str, due: &str, parts: &[&str]| {
        let folder = folder(&scenario(10, 3, &fault("fault = \"pause\"", on, due)));
        shakedown(folder.path(), &["run", "drill.toml"]).expect(4, parts);
        assert!(run_directory(folder.path()).is_none(), "nothing was begun");
    };
    let at = "at = \"1 s\"\nlasts = \"1 s\"";
    refused("database", at, &["drill.toml:", "database", "accepted: \"engine\""]);
    refused("worker:3", at, &["drill.toml:", "cut", "worker:3"]);
    refused("engine", "at = \"2 s\"\nlasts = \"2 s\"", &["drill.toml:", "cut", "3s"]);
    refused("engine", "at = \"20 s\"\nlasts = \"1 s\"", &["drill.toml:", "cut", "21s", "begin it earlier"]);
}

#[test]
fn a_node_is_hurt_by_its_name_and_somebody_elses_engine_is_not() {
    let pause = fault("fault = \"pause\"", "node:engine", "at = \"600 ms\"\nlasts = \"300 ms\"");
    let folder = folder(&scenario(20, 2, &pause));
    let at = folder.path();
    shakedown(at, &["run", "drill.toml"]);
    let told = phases(&run_directory(at).unwrap());
    assert_eq!(told, ["intended", "applied", "healing", "healed"]);
    let args = ["run", "drill.toml", "--target", "http://127.0.0.1:9"];
    shakedown(at, &args).expect(4, &["what the run would start itself", "leave --target out"]);
}

#[test]
fn a_heal_that_fails_ends_with_6_and_is_made_good_by_heal() {
    let folder = folder(&scenario(20, 2, &by_commands("at = \"600 ms\"\nlasts = \"300 ms\"")));
    let at = folder.path();
    fs::write(at.join("stuck"), "").unwrap();
    shakedown(at, &["run", "drill.toml"]).expect(6, &["cut (1) on engine is not healed", "shakedown heal"]);
    let run = run_directory(at).unwrap();
    assert_eq!(summary(&run)["exit_code"], 6);
    assert!(phases(&run).contains(&"not_healed".to_owned()));
    let heal = ["heal", run.to_str().unwrap()];
    let ended = shakedown(at, &heal);
    ended.expect(6, &["still in force"]);
    assert!(ended.out.contains("NOT HEALED cut (1) on engine"), "{ended:#?}");
    fs::remove_file(at.join("stuck")).unwrap();
    let ended = shakedown(at, &heal);
    ended.expect(0, &[]);
    assert!(ended.out.contains("healed     cut (1) on engine") && !at.join("cut").exists(), "{ended:#?}");
    let ended = shakedown(at, &heal);
    ended.expect(0, &[]);
    assert!(ended.out.contains("nothing of the run is in force"), "{ended:#?}");
    shakedown(at, &["heal", "elsewhere"]).expect(4, &["elsewhere", "ledger.jsonl"]);
}

#[test]
fn what_is_left_of_a_node_after_the_run_ends_with_6_and_is_taken_away_by_heal() {
    // SAFETY: no arguments, no effect.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("skipped: a small disk needs root");
        return;
    }
    let full = fault("fault = \"disk_full\"", "engine", "at = \"600 ms\"\nlasts = \"300 ms\"");
    let folder = folder(&scenario(20, 2, &full));
    let at = folder.path();
    let running = Running::start(at, &["run", "drill.toml"]);
    let run = in_force(at);
    // Whoever is in it keeps a disk from being unmounted.
    let busy = fs::File::open(run.join("data")).unwrap();
    running.end().expect(6, &["of engine is left: cannot unmount", "shakedown heal"]);
    assert_eq!(summary(&run)["exit_code"], 6);
    drop(busy);
    let ended = shakedown(at, &["heal", run.to_str().unwrap()]);
    ended.expect(0, &[]);
    assert!(ended.out.contains("small disk of engine") && ended.out.contains("is unmounted"), "{ended:#?}");
}

#[test]
fn what_a_killed_run_left_in_force_keeps_the_next_one_off_until_it_is_healed() {
    let folder = folder(&scenario(20, 20, &by_commands("at = \"600 ms\"\nlasts = \"15 s\"")));
    let at = folder.path();
    let (_engine, address) = engine(at);
    let target = format!("http://{address}");
    let args = ["run", "drill.toml", "--target", &target];
    let first = Running::start(at, &args);
    let run = in_force(at);
    let other = tempdir().unwrap();
    fs::copy(at.join("drill.toml"), other.path().join("drill.toml")).unwrap();
    shakedown(other.path(), &args).expect(4, &["is being hurt by another run", &target]);
    // Neither the run nor its guard can heal any more: they are killed together.
    let is_guard =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().contains("--guard");
    let guard = children(first.pid()).into_iter().find(is_guard).unwrap();
    // SAFETY: plain kill(2) of a grandchild that the run has not reaped, as it is there.
    assert_eq!(unsafe { libc::kill(guard.cast_signed(), libc::SIGKILL) }, 0);
    first.signal(libc::SIGKILL);
    first.end();
    assert!(at.join("cut").exists(), "it is still in force");
    let other = tempdir().unwrap();
    fs::copy(at.join("drill.toml"), other.path().join("drill.toml")).unwrap();
    shakedown(other.path(), &args).expect(4, &["left 1 fault", "shakedown heal", run.to_str().unwrap()]);
    // The command of the fault is run where the run was: its paths are relative to that.
    shakedown(at, &["heal", run.to_str().unwrap()]).expect(0, &[]);
    assert!(!at.join("cut").exists());
    let other = tempdir().unwrap();
    let free = scenario(20, 2, &by_commands("at = \"600 ms\"\nlasts = \"100 ms\""));
    fs::write(other.path().join("drill.toml"), free).unwrap();
    let ended = shakedown(other.path(), &args);
    assert_ne!(ended.code, Some(4), "the target is free again: {ended:#?}");
}

#[test]
fn a_stop_file_and_ctrl_c_heal_at_once_and_nothing_is_left() {
    type Stop<'s> = (&'s dyn Fn(&Running, &Path), i32, &'s str);
    let by_file: Stop<'_> = (&|_, run| fs::write(run.join("stop"), "").unwrap(), 3, "stopped: ");
    let by_signal: Stop<'_> = (&|running, _| running.signal(libc::SIGINT), 130, "interrupted");
    for (stop, code, why) in [by_file, by_signal] {
        let folder = folder(&scenario(
            20,
            30,
            &fault("fault = \"pause\"", "engine", "at = \"600 ms\"\nlasts = \"20 s\""),
        ));
        let running = Running::start(folder.path(), &["run", "drill.toml"]);
        let run = in_force(folder.path());
        let started: Vec<u64> =
            drill::records(&run, "node").iter().map(|node| node["pid"].as_u64().unwrap()).collect();
        stop(&running, &run);
        let ended = running.end();
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        assert_eq!(phases(&run), ["intended", "applied", "healing", "healed"]);
        let footer = &drill::records(&run, "footer")[0];
        assert_eq!(footer["complete"], false);
        assert!(footer["reason"].as_str().unwrap().contains(why), "{footer}");
        let alive = |pid: &u64| is_alive(u32::try_from(*pid).unwrap());
        assert!(started.len() > 2 && !started.iter().any(alive), "{started:?}");
    }
}

#[test]
fn a_stop_condition_ends_the_run_and_heals() {
    let rest = fault("fault = \"pause\"", "engine", "at = \"600 ms\"\nlasts = \"20 s\"");
    let folder = folder(&scenario(20, 30, &format!("[stop_when]\nwall_time = \"2 s\"\n{rest}")));
    let ended = shakedown(folder.path(), &["run", "drill.toml"]);
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    let run = run_directory(folder.path()).unwrap();
    assert_eq!(phases(&run), ["intended", "applied", "healing", "healed"]);
    let reason = drill::records(&run, "footer")[0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("stop_when.wall_time"), "{reason}");
}

#[test]
fn a_process_of_somebody_elses_server_is_not_ours_to_kill() {
    let folder = folder(&scenario(20, 3, &fault("fault = \"kill\"", "engine", "at = \"1 s\"")));
    let args = ["run", "drill.toml", "--target", "http://127.0.0.1:1"];
    shakedown(folder.path(), &args).expect(4, &["cut", "somebody else runs", "fault = \"command\""]);
}

#[test]
fn links_to_somebody_elses_server_are_hurt_through_a_proxy_of_ours() {
    let cut = fault(
        "fault = \"partition\", style = \"reject\"",
        "link:clients",
        "at = \"600 ms\"\nlasts = \"400 ms\"",
    );
    let folder = folder(&scenario(20, 2, &cut));
    let (_engine, address) = engine(folder.path());
    let ended =
        shakedown(folder.path(), &["run", "drill.toml", "--target", &format!("http://{address}/api")]);
    let run = run_directory(folder.path()).unwrap_or_else(|| panic!("{ended:#?}"));
    assert_eq!(phases(&run), ["intended", "applied", "healing", "healed"], "{ended:#?}");
    let applied = drill::records(&run, "fault")[1]["evidence"].as_str().unwrap().to_owned();
    assert!(applied.contains("the connect is refused"), "seen from a client's side: {applied}");
}

#[test]
fn links_to_several_nodes_of_somebody_elses_are_hurt_one_by_one() {
    let slow = |on: &str| {
        let slow = fault("fault = \"latency\", latency_ms = 5", on, "at = \"600 ms\"\nlasts = \"400 ms\"");
        folder(&scenario(20, 2, &slow))
    };
    // Two servers that know nothing of each other will do: the second is asked when the first does not answer.
    let homes = [tempdir().unwrap(), tempdir().unwrap()];
    let [(_first, one), (_second, other)] = homes.each_ref().map(|home| engine(home.path()));
    let both = format!("http://{one},http://{other}/api");
    let run = |on: &str| {
        let folder = slow(on);
        let ended = shakedown(folder.path(), &["run", "drill.toml", "--target", &both]);
        let run = run_directory(folder.path()).unwrap_or_else(|| panic!("{ended:#?}"));
        (phases(&run), drill::records(&run, "fault").pop().unwrap())
    };
    let (phases, told) = run("link:clients.2");
    assert_eq!(phases, ["intended", "applied", "healing", "healed"], "{told}");
    assert_eq!(told["node"], "clients.2");
    // A server that is alone does not say that it leads.
    let (phases, told) = run("link:clients.leader");
    assert_eq!(phases, ["missed"], "{told}");
    assert!(told["evidence"].as_str().unwrap().contains("nobody leads now"), "{told}");
    for (on, target, nodes) in
        [("link:clients.3", &*both, 2), ("link:clients.leader", "http://127.0.0.1:9", 1)]
    {
        let here = format!("the number of nodes here is {nodes}");
        let args = ["run", "drill.toml", "--target", target];
        shakedown(slow(on).path(), &args).expect(4, &["\"cut\"", on, &here, "--target URL,URL"]);
    }
}

#[test]
fn links_through_proxies_that_are_there_are_taken_in() {
    let cut =
        fault("fault = \"latency\", latency_ms = 30", "link:clients", "at = \"600 ms\"\nlasts = \"400 ms\"");
    let home = tempdir().unwrap();
    let (_engine, address) = engine(home.path());
    let mut proxies = Running::start(home.path(), &["proxy", "--listen", "127.0.0.1:0"]);
    let api: SocketAddr = proxies.first_line().strip_prefix("listening on http://").unwrap().parse().unwrap();
    let link = |proxy: &str| {
        format!(
            "[[link]]\nname = \"clients\"\ntoxiproxy = \"http://{api}\"\nproxy = \"{proxy}\"\nask = \"/health\"\n"
        )
    };
    let new = json!({"name": "front", "listen": "127.0.0.1:0", "upstream": address.to_string()});
    let (status, made) = Wire::to(api).ask("POST", "/proxies", &new).unwrap();
    assert_eq!(status, 201, "{made}");
    let target = format!("http://{address}");
    let args = ["run", "drill.toml", "--target", &target];
    let missing = folder(&scenario(20, 2, &(link("back") + &cut)));
    shakedown(missing.path(), &args).expect(4, &["back", &api.to_string()]);
    let in_part = folder(&scenario(20, 2, &(link("front") + &cut.replace("link:clients", "link:clients.1"))));
    shakedown(in_part.path(), &args).expect(4, &["there is none", "link:clients, ", "link:workers.1"]);
    let there = folder(&scenario(20, 2, &(link("front") + &cut)));
    let ended = shakedown(there.path(), &args);
    let run = run_directory(there.path()).unwrap_or_else(|| panic!("{ended:#?}"));
    assert_eq!(phases(&run), ["intended", "applied", "healing", "healed"], "{ended:#?}");
    assert!(!run.join("logs/proxy.log").exists(), "no proxy of the run's own is needed");
    let (_, left) = Wire::to(api).ask("GET", "/proxies/front/toxics", &Value::Null).unwrap();
    assert_eq!(left, "[]", "their proxy is as it was");
}

/// By the engine's own commands, on its own store: what was acknowledged before the backup is there again, and what is lost
/// is newer, and counted.
#[test]
fn a_restore_brings_back_what_the_backup_has_and_says_how_much_is_lost() {
    let backup = fault("fault = \"backup\"", "engine", "at = \"1 s\"").replace("\"cut\"", "\"backup\"");
    let restore = fault("fault = \"restore\"", "engine", "at = \"3 s\"\nallow = { lost_within = \"3 s\" }");
    let folder = folder(&scenario(50, 8, &[backup, restore].concat()));
    let run = shakedown(folder.path(), &["run", "drill.toml"]);
    let told = run_directory(folder.path()).unwrap();
    let summary = summary(&told);
    let check = |name: &str| {
        summary["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone()
    };
    for name in ["lost_start", "lost_completion"] {
        assert_eq!(check(name)["verdict"], "pass", "{name}: {}\n{}", check(name), run.out);
        assert!(check(name)["rewound"].as_u64().unwrap() > 0, "{name} of a run that went back two seconds");
    }
    let injections = &summary["recovery"]["injections"];
    assert_eq!((&injections[0]["lost"], &injections[0]["state"]), (&json!(0), &json!("done")));
    assert_eq!(injections[1]["state"], "done", "{injections:#}");
    assert!(injections[1]["lost"].as_u64().unwrap() > 50, "{injections:#}");
    let allowed = &injections[1]["allowances"][0];
    assert_eq!(
        (&allowed["name"], &allowed["verdict"]),
        (&json!("lost_within_s"), &json!("pass")),
        "{allowed}"
    );
    let age = allowed["measured"].as_f64().unwrap();
    assert!((1.0..3.0).contains(&age), "the backup was begun about two seconds before: {age}");
    let evidence = injections[0]["evidence"].as_str().unwrap();
    assert!(evidence.contains("read back"), "the engine's own word: {evidence}");
    assert!(told.join("backups/engine-1/backup.json").exists());
}

#[test]
fn a_restore_without_a_backup_and_one_of_what_keeps_nothing_are_refused_before_anything_starts() {
    let at = |from: &str| format!("at = \"{from}\"");
    let restore = |on: &str, from: &str| fault("fault = \"restore\"", on, &at(from));
    let backup = |on: &str, from: &str| {
        fault("fault = \"backup\"", on, &at(from)).replace("name = \"cut\"", "name = \"backup\"")
    };
    let refused = |faults: &str, parts: &[&str]| {
        let folder = folder(&scenario(10, 6, faults));
        shakedown(folder.path(), &["run", "drill.toml"]).expect(4, &[&["drill.toml:"], parts].concat());
        assert!(run_directory(folder.path()).is_none(), "nothing was begun");
    };
    let none = "no backup of engine is taken before; plan a fault { fault = \"backup\" } on engine";
    refused(&restore("engine", "3 s"), &["cut", none]);
    refused(&[backup("engine", "4 s"), restore("engine", "3 s")].concat(), &["cut", none]);
    refused(&backup("worker:1", "2 s"), &["backup", "worker:1", "is on engine or node:engine here"]);
    let server = folder(&scenario(10, 6, &[backup("engine", "2 s"), restore("engine", "3 s")].concat()));
    let target = ["run", "drill.toml", "--target", "http://127.0.0.1:9/api"];
    shakedown(server.path(), &target).expect(4, &["backup", "somebody else runs", "fault = \"command\""]);
}
