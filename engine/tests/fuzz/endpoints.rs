//! Requests to every route: valid ones, with odd words for ids, odd parameters and changed bodies.

use crate::odd::{Change, changes, mutated, task_def, workflow_def};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// Routes that take no body.
const BARE: [(&str, &[&str]); 4] = [
    (
        "PUT",
        &[
            "/api/workflow/bulk/pause",
            "/api/workflow/bulk/resume",
            "PUT",
            "/api/workflow/bulk/restart",
            "/api/workflow/bulk/retry",
            "/api/workflow/bulk/terminate",
            "POST",
            "/api/workflow/bulk/remove",
            "/api/workflow/bulk/terminate-remove",
            "DELETE",
            "/api/workflow/{}/pause",
            "/api/workflow/{}/resume",
            "/api/workflow/decide/{}",
        ],
    ),
    (
        "POST",
        &[
            "/api/workflow/{}/retry",
            "/api/workflow/{}/restart",
            "/api/workflow/{}/resetcallbacks",
            "/api/admin/sweep/requeue/{}",
            "/api/tasks/queue/requeue/{}",
        ],
    ),
    (
        "DELETE",
        &[
            "/api/workflow/{}",
            "/api/workflow/{}/remove",
            "/api/workflow/{}/terminate-remove",
            "/api/metadata/taskdefs/{}",
            "/api/metadata/workflow/{}/1",
        ],
    ),
    (
        "GET",
        &[
            "/api/workflow/{}",
            "/api/workflow/{}/status",
            "/api/workflow/{}/tasks",
            "/api/workflow/w/correlated/{}",
            "/api/workflow/running/{}",
            "/api/workflow/search",
            "/api/workflow/search-v2",
            "/api/tasks/{}",
            "/api/tasks/{}/log",
            "/api/tasks/poll/{}",
            "/api/tasks/poll/batch/{}",
            "/api/tasks/queue/size",
            "/api/tasks/queue/sizes",
            "/api/tasks/queue/all",
            "/api/tasks/queue/all/verbose",
            "/api/tasks/queue/polldata",
            "/api/tasks/queue/polldata/all",
            "/api/metadata/taskdefs",
            "/api/metadata/taskdefs/{}",
            "/api/metadata/workflow",
            "/api/metadata/workflow/{}",
            "/api/metadata/workflow/{}/versions",
            "/api/metadata/workflow/latest-versions",
            "/api/metadata/workflow/names",
            "/api/metadata/workflow/names-and-versions",
            "/health",
            "/api/health",
            "/api/nothing/{}",
        ],
    ),
];

/// Routes that take a list of ids.
const BULK: [(&str, &str); 0] = [];

/// Every route, with a body that it takes. `{}` stands for an id or a name.
pub fn endpoints() -> Vec<(&'static str, &'static str, Value)> {
    let ids = json!(["{}", "{}"]);
    let update = json!({"workflowInstanceId": "{}", "taskId": "{}", "status": "FAILED", "outputData": {"a": [1]},
        "reasonForIncompletion": "r", "callbackAfterSeconds": 1, "workerId": "w", "extendLease": false,
        "logs": [{"log": "line", "createdTime": 1}]});
    let start = json!({"name": "w", "version": 1, "correlationId": "c", "input": {"k": {"v": 1}}, "priority": 3,
        "createdBy": "me", "taskToDomain": {"a": "d"}, "idempotencyKey": "k", "idempotencyStrategy": "RETURN_EXISTING", "workflowDef": workflow_def()});
    let rerun = json!({"reRunFromWorkflowId": "{}", "reRunFromTaskId": "{}", "taskInput": {"a": 1},
        "workflowInput": {"b": 2}, "correlationId": "d"});
    let mut all = vec![
        ("POST", "/api/metadata/taskdefs", json!([task_def()])),
        ("PUT", "/api/metadata/taskdefs", task_def()),
        ("POST", "/api/metadata/workflow", workflow_def()),
        ("PUT", "/api/metadata/workflow", json!([workflow_def()])),
        ("POST", "/api/metadata/workflow/validate", workflow_def()),
        ("POST", "/api/workflow", start.clone()),
        ("POST", "/api/workflow/{}", json!({"k": 1})),
        ("POST", "/api/workflow/{}/rerun", rerun),
        ("PUT", "/api/workflow/{}/skiptask/t3", json!({"taskInput": {"a": 1}, "taskOutput": {"b": 1}})),
        ("POST", "/api/workflow/{}/correlated", ids.clone()),
        ("POST", "/api/tasks", update.clone()),
        ("POST", "/api/tasks/update-v2", update),
        ("POST", "/api/tasks/{}/log", json!("a line")),
        ("POST", "/api/tasks/{}/COMPLETED/signal", json!({"a": 1})),
        ("POST", "/api/tasks/{}/FAILED/signal/sync", json!({"a": 1})),
        ("POST", "/api/workflow/execute/w/1", start.clone()),
        ("POST", "/api/tasks/{}/t1/COMPLETED", json!({"a": 1})),
        ("POST", "/api/tasks/{}/t1/FAILED/sync", json!({"a": 1})),
    ];
    all.extend(BULK.map(|(method, path)| (method, path, ids.clone())));
    for (method, paths) in BARE {
        all.extend(paths.iter().map(|path| (method, *path, Value::Null)));
    }
    all
}

/// What stands for an id, a name, or a parameter's value.
pub fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0..4_usize).prop_map(|id| format!("#{id}")),
        1 => select(vec!["a", "w", "c", "", "-1", "18446744073709551616", "true", "maybe", "9", "1e3", "NaN"]).prop_map(str::to_owned),
        1 => select(vec!["workflowType = w AND status IN (FAILED)", "startTime > x", "AND", "a:ASC|", "startTime:DESC", "(*)"]).prop_map(str::to_owned),
        1 => "\\PC{0,20}",
        1 => "[%0-9A-F/?#&=.]{0,12}",
    ]
}

#[derive(Debug, Clone)]
pub struct Asked {
    endpoint: Index,
    words: Vec<String>,
    parameters: Vec<(&'static str, String)>,
    changes: Vec<Change>,
    /// Bytes of the body that are overwritten.
    bytes: Vec<(Index, u8)>,
}

pub fn asked() -> impl Strategy<Value = Asked> {
    let names = vec![
        "version",
        "overwrite",
        "includeTasks",
        "includeClosed",
        "correlationId",
        "priority",
        "reason",
        "count",
        "timeout",
        "workerid",
        "domain",
        "taskType",
        "query",
        "sort",
        "start",
        "size",
        "freeText",
        "exactCount",
        "includeOutput",
        "startTime",
        "endTime",
        "useLatestDefinitions",
        "archiveWorkflow",
        "triggerFailureWorkflow",
    ];
    let parameters = prop::collection::vec((select(names), word()), 0..4);
    let bytes =
        prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec((any::<Index>(), any::<u8>()), 1..4)];
    (any::<Index>(), prop::collection::vec(word(), 3), parameters, changes(), bytes).prop_map(
        |(endpoint, words, parameters, changes, bytes)| Asked { endpoint, words, parameters, changes, bytes },
    )
}

/// Bytes that no path or query may hold are written as %XX; a per cent sign is left as it came.
pub fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%*:,()".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

impl Asked {
    pub fn request(&self, ids: &[String]) -> (&'static str, String, Vec<u8>) {
        let all = endpoints();
        let (method, path, body) = all[self.endpoint.index(all.len())].clone();
        let word = |word: &str| match word.strip_prefix('#').and_then(|number| number.parse::<usize>().ok()) {
            Some(number) => ids.get(number).cloned().unwrap_or_default(),
            None => word.to_owned(),
        };
        let fill = |text: &str| {
            let words = self.words.iter().map(|given| word(given));
            words.fold(text.to_owned(), |text, word| text.replacen("{}", &escaped(&word), 1))
        };
        let pairs = self.parameters.iter().map(|(name, value)| format!("{name}={}", escaped(&word(value))));
        let path = format!("{}?{}", fill(path), pairs.collect::<Vec<_>>().join("&"));
        if body.is_null() && self.bytes.is_empty() {
            return (method, path, Vec::new());
        }
        let mut body = fill(&mutated(body, &self.changes).to_string()).into_bytes();
        for (place, byte) in self.bytes.iter().take(body.len()) {
            let place = place.index(body.len());
            body[place] = *byte;
        }
        (method, path, body)
    }
}
