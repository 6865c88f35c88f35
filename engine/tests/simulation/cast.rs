//! The definitions that are played: as the engine is given them, and as the oracle is told of them.

use serde_json::{Value, json};

/// A worker's task: its limits in milliseconds.
pub struct Kind {
    pub name: &'static str,
    pub retries: u32,
    pub lease: u64,
    pub attempt: Option<u64>,
    pub poll: Option<u64>,
}

pub const KINDS: [Kind; 3] = [
    Kind { name: "a", retries: 1, lease: 4000, attempt: None, poll: None },
    Kind { name: "b", retries: 0, lease: 6000, attempt: Some(8000), poll: None },
    Kind { name: "c", retries: 2, lease: 5000, attempt: None, poll: Some(20_000) },
];

/// A task of a definition: its reference name, its kind, the references that must have ended well before it.
pub struct Part {
    pub reference: &'static str,
    pub kind: &'static str,
    pub after: &'static [&'static str],
    pub optional: bool,
}

pub struct Plot {
    pub name: &'static str,
    pub timeout: Option<u64>,
    pub parts: &'static [Part],
}

const fn part(reference: &'static str, kind: &'static str, after: &'static [&'static str]) -> Part {
    Part { reference, kind, after, optional: false }
}

pub const PLOTS: [Plot; 4] = [
    Plot { name: "one", timeout: None, parts: &[part("t", "a", &[])] },
    Plot {
        name: "chain",
        timeout: None,
        parts: &[part("c1", "a", &[]), part("c2", "b", &["c1"]), part("c3", "c", &["c2"])],
    },
    Plot {
        name: "fork",
        timeout: Some(60_000),
        parts: &[
            part("first", "a", &[]),
            Part { reference: "x", kind: "b", after: &["first"], optional: true },
            part("y", "c", &["x"]),
            part("z", "c", &["first"]),
            part("last", "a", &["y", "z"]),
        ],
    },
    Plot {
        name: "wide",
        timeout: None,
        parts: &[part("p", "a", &[]), part("q", "b", &[]), part("r", "c", &[])],
    },
];

/// What the engine is given.
pub fn task_defs() -> Value {
    json!([
        {"name": "a", "retryCount": 1, "retryDelaySeconds": 1, "responseTimeoutSeconds": 4},
        {"name": "b", "retryCount": 0, "timeoutSeconds": 8, "responseTimeoutSeconds": 6, "timeoutPolicy": "RETRY"},
        {"name": "c", "retryCount": 2, "retryDelaySeconds": 0.2, "responseTimeoutSeconds": 5, "pollTimeoutSeconds": 20,
         "timeoutPolicy": "RETRY", "backoffJitterMs": 300, "retryLogic": "EXPONENTIAL_BACKOFF"}
    ])
}

pub fn workflow_defs() -> Vec<Value> {
    let task = |name: &str, reference: &str| json!({"name": name, "taskReferenceName": reference});
    let fork = |branches: Value| json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": branches});
    let join = |on: &[&str]| json!({"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": on});
    let x = json!({"name": "b", "taskReferenceName": "x", "optional": true});
    let z = json!({"name": "c", "taskReferenceName": "z", "startDelay": 1});
    let last =
        json!({"name": "a", "taskReferenceName": "last", "inputParameters": {"joined": "${j.output}"}});
    let branches = json!([[x, task("c", "y")], [z]]);
    let wide = json!([[task("a", "p")], [task("b", "q")], [task("c", "r")]]);
    vec![
        json!({"name": "one", "tasks": [task("a", "t")]}),
        json!({"name": "chain", "tasks": [task("a", "c1"), task("b", "c2"), task("c", "c3")]}),
        json!({"name": "fork", "timeoutSeconds": 60, "timeoutPolicy": "TIME_OUT_WF",
               "tasks": [task("a", "first"), fork(branches), join(&["y", "z"]), last]}),
        json!({"name": "wide", "tasks": [fork(wide), join(&["p", "q", "r"])]}),
    ]
}

pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

pub fn plot(name: &str) -> Option<&'static Plot> {
    PLOTS.iter().find(|plot| plot.name == name)
}

impl Plot {
    pub fn part(&self, reference: &str) -> Option<&'static Part> {
        self.parts.iter().find(|part| part.reference == reference)
    }
}
