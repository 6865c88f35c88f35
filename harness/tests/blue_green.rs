//! Blue-green as a scenario: what is refused before anything starts, what a program that does not come up costs, and that
//! twice the same program shows nothing about versions.

use crate::drill::{fault, phases, records, scenario, summary};
use crate::program::{Ended, PROGRAM, run_directory, shakedown, shakedown_with};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::{TempDir, tempdir};

const ENGINE: &str = "[engine]\nnodes = 2\ngreen = 2\nstore = \"postgres\"\nlease = \"500 ms\"\n[database]\n";
const SWITCH: &str = "fault = \"blue_green\"";

/// A folder with `drill.toml`: `seconds` of load, an engine and its faults.
fn folder(seconds: u32, engine: &str, faults: &str) -> TempDir {
    let folder = tempdir().unwrap();
    let text = scenario(20, seconds, &format!("{engine}{faults}"));
    fs::write(folder.path().join("drill.toml"), text).unwrap();
    folder
}

fn switch(at: &str) -> String {
    fault(SWITCH, "engine", &format!("at = \"{at}\""))
}

/// A program of that text in a folder.
fn program(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name).to_str().unwrap().to_owned();
    // By another process: a child that another test starts meanwhile would hold a file of ours open for writing, and what
    // is open for writing can't be executed.
    let write = "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"";
    assert!(Command::new("sh").args(["-c", write, &path, text]).status().unwrap().success());
    path
}

#[test]
fn scenarios_that_can_not_be_are_refused_with_what_would_do() {
    let refused = |engine: &str, faults: &str, parts: &[&str]| {
        let folder = folder(3, engine, faults);
        shakedown(folder.path(), &["run", "drill.toml"]).expect(4, &[&["drill.toml:"], parts].concat());
        assert!(run_directory(folder.path()).is_none(), "nothing was begun");
    };
    let one = "[engine]\ngreen = 2\n";
    refused(one, &switch("1 s"), &["green", "nobody could take over", "store = \"postgres\""]);
    refused("", &switch("1 s"), &["\"cut\"", "none do", "[engine] green = 2"]);
    refused(&ENGINE.replace("green = 2", "green = 9"), &switch("1 s"), &["green = 9", "0 to 5"]);
    let lasting = fault(SWITCH, "engine", "at = \"1 s\"\nlasts = \"1 s\"");
    refused(ENGINE, &lasting, &["blue_green is over by itself"]);
    refused(ENGINE, &fault(SWITCH, "worker:1", "at = \"1 s\""), &["blue_green hurts engine", "worker:1"]);
    let two = ENGINE.replace("green = 2\n", "");
    let on = |link: &str| fault("fault = \"half_open\"", link, "at = \"1 s\"\nlasts = \"500 ms\"");
    let there_are = ["there is none", "link:clients.2", "link:clients.leader", "link:workers.1"];
    refused(&two, &on("link:clients.3"), &there_are);
    refused("", &on("link:clients.leader"), &["link:clients.leader", "the number of nodes here is 1"]);
    refused("", &on("link:clients.2"), &["link:clients.2", "[engine] nodes = 2"]);
    let both = [on("link:clients"), on("link:clients.1").replace("cut", "again")].concat();
    refused(&two, &both, &["\"cut\"", "\"again\"", "could both be in force"]);
    let named = "[[link]]\nname = \"db\"\ntoxiproxy = \"http://127.0.0.1:9\"\nproxy = \"p\"\n";
    refused(
        &two,
        &format!("{named}{}", fault("fault = \"kill\"", "engine", "at = \"1 s\"")),
        &["\"db\"", "choose another"],
    );
    refused(
        &two,
        &format!(
            "{}{}",
            named.replace("\"db\"", "\"clients.2\""),
            fault("fault = \"kill\"", "engine", "at = \"1 s\"")
        ),
        &["\"clients.2\"", "part 2 of link \"clients\"", "choose another"],
    );
}

#[test]
fn programs_that_are_none_are_refused_before_anything_starts() {
    let folder = folder(3, ENGINE, &switch("1 s"));
    let at = folder.path();
    let refused = |program: &str, parts: &[&str]| {
        let parts = [&["--green (or SHAKEDOWN_GREEN)", "the release that runs today"], parts].concat();
        shakedown(at, &["run", "drill.toml", "--green", program]).expect(4, &parts);
        shakedown_with(("SHAKEDOWN_GREEN", program), at, &["run", "drill.toml"]).expect(4, &parts);
        assert!(run_directory(at).is_none(), "nothing was begun");
    };
    refused("missing", &["cannot look at missing", "No such file"]);
    refused(".", &["is no file"]);
    refused("drill.toml", &["drill.toml can't be executed", "chmod +x"]);
    refused(&program(at, "text", "no program at all"), &["text", "run"]);
    let mute = program(at, "mute", "#!/bin/sh\necho unknown option >&2\nexit 64\n");
    refused(&mute, &["does not answer --version", "unknown option"]);
    let elsewhere = ["run", "drill.toml", "--green", PROGRAM, "--target", "http://127.0.0.1:9"];
    shakedown(at, &elsewhere).expect(4, &["--green", "--target"]);
}

#[test]
fn without_a_program_it_is_not_run_and_says_how_to_get_one() {
    let folder = folder(3, ENGINE, &switch("1 s"));
    let at = folder.path();
    let told = &["nodes of another build", ".ci/other-version PATH", "--green PATH", "SHAKEDOWN_GREEN=PATH"];
    shakedown(at, &["run", "drill.toml"]).expect(4, told);
    let suite = "suite = \"s\"\ntitle = \"x\"\nseed = 1\n[[scenario]]\nrun = \"drill.toml\"\n";
    fs::write(at.join("suite.toml"), suite).unwrap();
    let ended = shakedown(at, &["run", "suite.toml"]);
    let report = fs::read_to_string(run_directory(at).unwrap().join("report.md")).unwrap();
    assert!(report.contains("not run") && report.contains(".ci/other-version"), "{ended:#?}\n{report}");
}

/// Runs the drill with a green program; `None` where the databases can't be had.
fn run(folder: &Path, green: &str) -> Option<Ended> {
    let ended = shakedown(folder, &["run", "drill.toml", "--green", green]);
    if ended.code == Some(4) && ended.err.contains("PostgreSQL") {
        eprintln!("skipped: {}", ended.err);
        return None;
    }
    Some(ended)
}

fn measured(run: &Path, name: &str) -> Value {
    let summary = summary(run);
    let measures = summary["measures"].as_array().unwrap();
    measures
        .iter()
        .find(|measure| measure["name"] == name)
        .map_or(Value::Null, |found| found["value"].clone())
}

#[test]
fn a_program_that_does_not_come_up_costs_nothing() {
    let folder = folder(4, ENGINE, &switch("1 s"));
    let at = folder.path();
    let text = "#!/bin/sh\n[ \"$1\" = --version ] && echo shakedown 9.9.9 && exit\n\
                echo 'schema version 1 is too old for this one' >&2\nexit 5\n";
    let Some(ended) = run(at, &program(at, "newer", text)) else { return };
    assert_eq!(ended.code, Some(2), "nobody can say what it would have shown: {ended:#?}");
    let run = run_directory(at).unwrap();
    assert_eq!(phases(&run), ["intended", "not_applied", "healing", "healed"]);
    let evidence = records(&run, "fault")[1]["evidence"].as_str().unwrap().to_owned();
    assert!(evidence.contains("nobody was ended") && evidence.contains("schema version 1"), "{evidence}");
    for failed in ["load/starts_failed", "load/starts_unknown", "lost"] {
        assert_eq!(measured(&run, failed), 0.0, "{failed}");
    }
    let over = records(&run, "level_ended").iter().filter_map(|end| end["at_ns"].as_u64()).max().unwrap();
    let blue_ended = |mark: &&Value| {
        let is_blue = mark["node"].as_str().unwrap().starts_with("engine-blue");
        is_blue && mark["change"] == "ended" && mark["at_ns"].as_u64().unwrap() < over
    };
    assert_eq!(records(&run, "node").iter().find(blue_ended), None, "blue goes on");
}

#[test]
fn twice_the_same_program_switches_and_shows_nothing_about_versions() {
    let gate = "[[gate]]\nname = \"both led\"\nmeasure = \"cut/engine.green_leads_s\"\nat_most = 5\n";
    let back = switch("4 s").replace("\"cut\"", "\"back\"");
    let folder = folder(7, ENGINE, &format!("{}{back}{gate}", switch("1 s")));
    let at = folder.path();
    let Some(ended) = run(at, PROGRAM) else { return };
    let run = run_directory(at).unwrap();
    assert_eq!(phases(&run), ["intended", "applied", "healing", "healed"].repeat(2), "{ended:#?}");
    for failed in ["load/starts_failed", "lost"] {
        assert_eq!(measured(&run, failed), 0.0, "{failed}");
    }
    let steps: Vec<Value> =
        records(&run, "step").into_iter().filter(|step| step["who"] == "engine").collect();
    let named = |name: &str| steps.iter().any(|step| step["step"] == name);
    assert!(named("green_of_the_same_build_leads") && named("blue_of_the_same_build_leads"), "{steps:#?}");
    let notes = summary(&run)["notes"].to_string();
    assert!(notes.contains("the same build") && notes.contains("green is shakedown"), "{notes}");
    assert_eq!(ended.code, Some(2), "the gate has no evidence: {ended:#?}");
}
