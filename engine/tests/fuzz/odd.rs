//! Valid definitions, and what becomes of a valid value when places in it are changed.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// Values that are wrong in most places.
pub fn odd() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        select(vec![-1.0, 0.5, 1e300, 1e18, -1e18, f64::MIN_POSITIVE]).prop_map(Value::from),
        select(vec![
            "",
            " ",
            "a",
            "t1",
            "SIMPLE",
            "FORK_JOIN",
            "JOIN",
            "*",
            "\u{0}",
            "ü",
            "${",
            "${t1.output}"
        ])
        .prop_map(Value::from),
        "[${}a-c.\\[\\]*'\"]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = select(vec!["name", "tasks", "type", "a", "", "taskReferenceName", "joinOn", "status"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

/// A change of one place of a value.
pub type Change = (Index, u8, Value);

pub fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec((any::<Index>(), any::<u8>(), odd()), 0..4)
}

/// Pointers to all places in a value.
pub fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, inner)| places(inner, &format!("{at}/{key}"), found))
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, inner)| places(inner, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

pub fn mutated(mut value: Value, changes: &[Change]) -> Value {
    for (place, kind, odd) in changes {
        let mut all = Vec::new();
        places(&value, "", &mut all);
        let Some(target) = value.pointer_mut(&all[place.index(all.len())]) else { continue };
        *target = match kind % 8 {
            0 => json!([target.clone(), target.clone()]),
            1 => (0..100).fold(target.clone(), |inner, _| json!([inner])),
            2 => Value::from("x".repeat(5000)),
            _ => odd.clone(),
        };
    }
    value
}

pub fn workflow_def() -> Value {
    json!({"name": "w", "version": 1, "inputTemplate": {"k": 1}, "timeoutSeconds": 60, "timeoutPolicy": "TIME_OUT_WF",
        "outputParameters": {"o": "${t2.output.${workflow.input.k}}"}, "tasks": [
        {"name": "a", "taskReferenceName": "t1", "inputParameters": {"x": ["${workflow.input.list[*].v}", "$${x}"]}},
        {"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [
            [{"name": "b", "taskReferenceName": "t2", "optional": true, "startDelay": 0, "retryCount": 1}],
            [{"name": "c", "taskReferenceName": "t3", "taskDefinition": {"name": "c", "retryDelaySeconds": 1}}]]},
        {"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["t2", "t3"]}]})
}

pub fn task_def() -> Value {
    json!({"name": "a", "retryCount": 2, "retryLogic": "LINEAR_BACKOFF", "retryDelaySeconds": 1, "timeoutSeconds": 20,
        "responseTimeoutSeconds": 10, "timeoutPolicy": "RETRY", "backoffScaleFactor": 2, "backoffJitterMs": 10,
        "maxRetryDelaySeconds": 30, "pollTimeoutSeconds": 50, "totalTimeoutSeconds": 100, "inputTemplate": {"k": [1]},
        "concurrentExecLimit": 3, "rateLimitPerFrequency": 5, "rateLimitFrequencyInSeconds": 1})
}
