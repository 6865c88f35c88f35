//! A server that stalls for 2 s in every 10 s: open load must report what that does to those who ask, to 2 %, and
//! closed load on the same server must not pretend to know.
//!
//! The truth is computed from the plan's own schedule and the server's own stalls, by nothing that the generator has
//! measured. This judges whether the measure is right, not how fast anything is. On a machine that is too busy to keep
//! the schedule the run calls itself invalid; such a run proves nothing either way, and is run again.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "shakedown/mod.rs"]
mod program;
#[path = "shakedown/stand_in.rs"]
mod stand_in;

use program::shakedown;
use serde_json::Value;
use stand_in::{SERVICE, Stalls};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::tempdir;

const S: u64 = 1_000_000_000;
const STALLS: Stalls = Stalls { period_ns: 10 * S, stall_ns: 2 * S };
/// Runs that may call themselves invalid before the machine is given up.
const TRIES: usize = 4;

/// Open, then closed, on the same server; each for longer than from one stall to the next. What a stall has held back comes
/// at once: 800 answers, which a slow machine too takes in a small part of the 2 %.
const SCENARIO: &str = r#"
name = "honest"
title = "open and closed load on a server that stalls"
seed = 1
speed = 1000000

[workflow.single]
definition = "workflows/single.json"
durations = "workflows/single.csv"

[[level]]
name = "open"
workflow = "single"
mode = "open"
in_flight_cap = 20000
stages = [{ rate_per_s = 400, for = "20 s" }]
slots = 1
drain = "30 s"

[[level]]
name = "closed"
workflow = "single"
concurrency = 8
waves = 2500
slots = 1
drain = "30 s"
"#;

struct Run {
    directory: PathBuf,
    summary: Value,
}

fn run(folder: &Path) -> Run {
    let url = format!("http://{}", stand_in::start(STALLS));
    for attempt in 1..=TRIES {
        let out = folder.join(format!("runs-{attempt}"));
        shakedown(folder, &["run", "honest.toml", "--target", &url, "--out", &out.display().to_string()]);
        let directory = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
        let summary: Value =
            serde_json::from_slice(&fs::read(directory.join("summary.json")).unwrap()).unwrap();
        let validity = &summary["validity"];
        if validity["valid"] == true {
            return Run { directory, summary };
        }
        let failed: Vec<&Value> = validity["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|check| check["verdict"] == "fail")
            .collect();
        let texts: Vec<&str> = failed.iter().filter_map(|check| check["text"].as_str()).collect();
        // Only a machine that was too busy excuses a run.
        assert!(texts.iter().all(|text| text.contains("driver-limited")), "{texts:#?}");
        eprintln!("run {attempt} of {TRIES} calls itself invalid: {texts:?}");
    }
    panic!("the machine was too busy to keep a schedule of 400 starts a second in {TRIES} runs");
}

impl Run {
    fn lines(&self, file: &str, kind: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.directory.join(file)).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["kind"] == kind).collect()
    }

    #[track_caller]
    fn measure(&self, name: &str) -> &Value {
        let all = self.summary["measures"].as_array().unwrap();
        all.iter().find(|measure| measure["name"] == name).unwrap_or_else(|| panic!("no measure {name}"))
    }

    /// What every start of the open level must have taken, in order: from when it was due until it was answered.
    fn truth_ns(&self) -> Vec<u64> {
        let began = self.lines("history.jsonl", "level_began");
        let began_ns = began.iter().find(|mark| mark["level"] == "open").unwrap()["at_ns"].as_u64().unwrap();
        let planned = self.lines("plan.jsonl", "workflow");
        let due =
            planned.iter().filter(|one| one["level"] == "open").map(|one| one["due_ns"].as_u64().unwrap());
        let service_ns = u64::try_from(SERVICE.as_nanos()).unwrap();
        let mut truth: Vec<u64> = due.map(|due| STALLS.hold_ns(began_ns + due) + service_ns).collect();
        truth.sort_unstable();
        truth
    }
}

/// The sample of the nearest rank, in milliseconds.
fn percentile_ms(sorted_ns: &[u64], share: f64) -> f64 {
    let rank = (share * sorted_ns.len() as f64).ceil() as usize;
    sorted_ns[rank - 1] as f64 / 1e6
}

#[test]
fn open_load_tells_the_truth_about_a_stall_and_closed_load_is_labelled() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("honest.toml"), SCENARIO).unwrap();
    let run = run(folder.path());
    let truth = run.truth_ns();
    assert!((7_500..8_500).contains(&truth.len()), "{} arrivals", truth.len());
    for (share, name) in [(0.95, "open/start_response_p95_ms"), (0.99, "open/start_response_p99_ms")] {
        let (measure, known) = (run.measure(name), percentile_ms(&truth, share));
        let told = measure["value"].as_f64().unwrap();
        println!("{name}: told {told:.1} ms, true {known:.1} ms");
        assert!(known > 1_000.0, "the stall decides the percentile: {known} ms");
        assert!((told / known - 1.0).abs() < 0.02, "{name}: told {told} ms, true {known} ms");
        assert_eq!(measure["load"], "open");
        assert_eq!(measure["n"].as_u64(), Some(truth.len() as u64), "nothing was left out");
    }
    // Each of the 8 places waits once in a stall, and while it waits it asks for nothing.
    for name in ["closed/start_response_p95_ms", "closed/start_response_p99_ms"] {
        let measure = run.measure(name);
        assert!(measure["value"].as_f64().unwrap() < 200.0, "{measure}");
        assert_eq!(measure["load"], "closed");
    }
    let closed = run.lines("history.jsonl", "start");
    let held = closed
        .iter()
        .filter(|start| start["level"] == "closed")
        .filter(|start| start["done_ns"].as_u64().unwrap() - start["due_ns"].as_u64().unwrap() > S / 2);
    assert!(held.count() >= 4, "the closed level met a stall and hid it");
    let report = fs::read_to_string(run.directory.join("report.md")).unwrap();
    assert!(report.contains("| open | open ") && report.contains("| closed | closed 8 |"), "{report}");
}
