//! Short scenarios with faults, as tests write them.

#![allow(dead_code, reason = "each test program uses a part of it")]

use serde_json::Value;
use std::fs;
use std::path::Path;

/// A steady stream of `rate_per_s` short tasks for `seconds`, done by two processes, with probes beside it; `rest` are
/// links and faults.
pub fn scenario(rate_per_s: u32, seconds: u32, rest: &str) -> String {
    format!(
        "name = \"drill\"\ntitle = \"x\"\nseed = 1\nspeed = 600\nshared_cpu = true\n\
         [workers]\nprocesses = 2\n[timers]\nresponse_timeout = \"1 s\"\nretry_delay = \"100 ms\"\n\
         [workflow.short]\ndefinition = \"workflows/short.json\"\ndurations = \"workflows/short.csv\"\n\
         [workflow.probe]\ndefinition = \"workflows/probe.json\"\ndurations = \"workflows/probe.csv\"\n\
         [probes]\nworkflow = \"probe\"\n[recovery]\nbaseline = \"500 ms\"\nsettle = \"200 ms\"\n\
         [[level]]\nname = \"load\"\nworkflow = \"short\"\nmode = \"open\"\nin_flight_cap = 5000\n\
         stages = [{{ rate_per_s = {rate_per_s}, for = \"{seconds} s\" }}]\nslots = 200\ndrain = \"4 s\"\n{rest}"
    )
}

/// `[[fault]]` called `cut`, on a role, set off by `due`.
pub fn fault(inject: &str, on: &str, due: &str) -> String {
    format!("[[fault]]\nname = \"cut\"\ninject = {{ {inject} }}\non = \"{on}\"\n{due}\n")
}

/// The `summary.json` of a run.
pub fn summary(run: &Path) -> Value {
    let text =
        fs::read(run.join("summary.json")).unwrap_or_else(|error| panic!("{}: {error}", run.display()));
    serde_json::from_slice(&text).unwrap()
}

/// The records of a kind in the history of a run.
pub fn records(run: &Path, kind: &str) -> Vec<Value> {
    let history = fs::read_to_string(run.join("history.jsonl")).unwrap_or_default();
    let records = history.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    records.filter(|record| record["kind"] == kind).collect()
}

/// How far the faults of a run came, in order.
pub fn phases(run: &Path) -> Vec<String> {
    records(run, "fault").iter().map(|mark| mark["phase"].as_str().unwrap().to_owned()).collect()
}
