//! Made runs as directories, the way that the harness leaves them.

use shakedown_reports::gate::Gate;
use shakedown_reports::history::{History, Record};
use shakedown_reports::plan::{Line, Plan};
use std::fs;
use std::path::Path;

fn lines<T: serde::Serialize>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|v| serde_json::to_string(&v).unwrap() + "\n").collect()
}

/// Writes what the harness writes of a run.
pub fn write_run(dir: &Path, plan: &Plan, history: &History, gates: &[Gate]) {
    let templates = plan.templates.iter().cloned().map(Line::Template);
    let levels = plan.levels.iter().cloned().map(Line::Level);
    let workflows = plan.workflows.iter().cloned().map(Line::Workflow);
    let terms = plan.terms.iter().cloned().map(Line::Terms);
    let injections = plan.injections.iter().cloned().map(Line::Injection);
    let all = templates.chain(levels).chain(terms).chain(injections).chain(workflows);
    fs::write(dir.join("plan.jsonl"), lines(all)).unwrap();
    let h = history.clone();
    let records = [Record::Header(h.header)]
        .into_iter()
        .chain(h.began.into_iter().map(Record::LevelBegan))
        .chain(h.starts.into_iter().map(Record::Start))
        .chain(h.executions.into_iter().map(Record::Execution))
        .chain(h.observed.into_iter().map(Record::Observed))
        .chain(h.calls.into_iter().map(Record::Call))
        .chain(h.ended.into_iter().map(Record::LevelEnded))
        .chain(h.finals.into_iter().map(Record::Final))
        .chain(h.faults.into_iter().map(Record::Fault))
        .chain(h.nodes.into_iter().map(Record::Node))
        .chain(h.footer.into_iter().map(Record::Footer));
    fs::write(dir.join("history.jsonl"), lines(records)).unwrap();
    fs::write(dir.join("gates.json"), serde_json::to_string(gates).unwrap()).unwrap();
}
