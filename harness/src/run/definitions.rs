//! Registering workflows and task definitions at the target, without hurting what a server of somebody else has.

use super::prepare::{Order, Prepared};
use crate::failure::{Blame, Result};
use crate::scenario::Timers;
use crate::target::conductor::{Conductor, json};
use crate::target::http::Exchange;
use anyhow::anyhow;
use serde_json::{Value, json};
use shakedown_reports::plan::TaskRules;
use std::collections::{BTreeMap, BTreeSet};

/// Registers everything that `order` starts. What happened that a reader of the run should know is returned.
///
/// Our own engine gets everything. On a server of somebody else nothing is overwritten: task definitions that it has
/// are left as they are, and a workflow that it has under the same name and version must have the same tasks.
///
/// # Errors
/// The target refuses, or has another workflow under the same name.
pub async fn register(target: &Conductor, order: &Order, ours: bool) -> Result<Vec<String>> {
    let mut remarks = Vec::new();
    let mut wanted = task_definitions(order);
    if !ours {
        let types: Vec<String> = wanted.keys().cloned().collect();
        remarks.extend(nobody_elses_work(target, &types).await?);
        let fractions = order.scenario.timers.fields().filter(|(_, time)| time.seconds().fract() != 0.0);
        let fields = fractions.map(|(field, _)| field).collect::<Vec<_>>().join(", ");
        if !fields.is_empty() {
            remarks.push(format!(
                "a Conductor server takes whole seconds only; the scenario has fractions of {fields}"
            ));
        }
        let mut kept = BTreeSet::new();
        for name in wanted.keys() {
            if target.task_definition(name).await.status == Some(200) {
                kept.insert(name.clone());
            }
        }
        if !kept.is_empty() {
            wanted.retain(|name, _| !kept.contains(name));
            let names = kept.into_iter().collect::<Vec<_>>().join(", ");
            remarks.push(format!("the target's own task definitions are used, with their timers: {names}"));
        }
    }
    if !wanted.is_empty() {
        let definitions: Vec<Value> = wanted.into_values().collect();
        accepted("task definitions", &target.put_task_definitions(&definitions).await)?;
    }
    for workflow in order.workflows.values() {
        remarks.extend(register_workflow(target, workflow, ours).await?);
    }
    Ok(remarks)
}

/// Our workers would do whatever waits in the queues that they poll, with made-up results.
async fn nobody_elses_work(target: &Conductor, task_types: &[String]) -> Result<Option<String>> {
    let Some(sizes) = target.queue_sizes(task_types).await else {
        let remark = "the target does not tell its queues; tasks of others that wait there would be done too";
        return Ok(Some(remark.to_owned()));
    };
    let waiting: Vec<String> =
        sizes.iter().filter(|(_, size)| **size > 0).map(|(name, size)| format!("{name} ({size})")).collect();
    if waiting.is_empty() {
        return Ok(None);
    }
    let refused = anyhow!(
        "tasks of somebody else wait at {}: {}; the workers of a run would do them with made-up results: empty these \
         queues, use a server of your own, or give your tasks other names",
        target.base(),
        waiting.join(", ")
    );
    Err(refused).blame_target()
}

async fn register_workflow(target: &Conductor, workflow: &Prepared, ours: bool) -> Result<Option<String>> {
    let name = &workflow.template.name;
    let posted = target.post_workflow_definition(&workflow.definition, ours).await;
    if ours || posted.status != Some(409) {
        accepted(&format!("the workflow {name}"), &posted)?;
        return Ok(None);
    }
    let there = target.workflow_definition(name, workflow.version).await;
    let there: Value =
        json(&there).ok_or_else(|| anyhow!("the target has {name} and does not show it")).blame_target()?;
    if shape(&there["tasks"]) != shape(&workflow.definition["tasks"]) {
        let version = workflow.version;
        let refused = anyhow!(
            "the target has another workflow under the name {name}, version {version}; it is not overwritten: \
             give the definition another name or version"
        );
        return Err(refused).blame_input();
    }
    Ok(Some(format!(
        "the target's own definition of {name} is used; it has the same tasks in the same order"
    )))
}

fn accepted(what: &str, exchange: &Exchange) -> Result<()> {
    match exchange.error() {
        None => Ok(()),
        Some(error) => {
            let refused = Err(anyhow!("the target refuses {what}: {error}"));
            // What is wrong with a definition is wrong with the input, not with the server.
            if exchange.status == Some(400) { refused.blame_input() } else { refused.blame_target() }
        }
    }
}

/// What makes two lists of tasks the same workflow: names, order, branches, joins and inputs; not the defaults that
/// a server adds.
fn shape(tasks: &Value) -> Value {
    let tasks = tasks.as_array().map(Vec::as_slice).unwrap_or_default();
    tasks.iter().map(task_shape).collect()
}

fn task_shape(task: &Value) -> Value {
    let kind = task["type"].as_str().unwrap_or("SIMPLE");
    let branches: Vec<Value> = task["forkTasks"].as_array().into_iter().flatten().map(shape).collect();
    let awaited = task["joinOn"].as_array().cloned().unwrap_or_default();
    let inputs = task["inputParameters"].as_object().cloned().unwrap_or_default();
    json!([task["name"], task["taskReferenceName"], kind, branches, awaited, inputs])
}

/// A definition for every task type: the scenario's, or a plain one; with the scenario's timers.
fn task_definitions(order: &Order) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for workflow in order.workflows.values() {
        for task in &workflow.template.tasks {
            let given = workflow.task_definitions.iter().find(|one| one["name"] == task.task_type.as_str());
            let definition = given.cloned().unwrap_or_else(|| plain(&task.task_type));
            all.insert(task.task_type.clone(), with_timers(definition, &order.scenario.timers));
        }
    }
    all
}

/// What the definitions of an order bound, for the checks of a run on our own engine: a server of somebody else may have
/// definitions of its own, which are left as they are.
pub fn rules(order: &Order) -> Vec<TaskRules> {
    let whole = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    let rules = |(task_type, definition): (String, Value)| TaskRules {
        // Conductor's own defaults stand for what a definition leaves out.
        retry_count: whole(&definition["retryCount"]).unwrap_or(3),
        retry_delay_s: definition["retryDelaySeconds"].as_f64().unwrap_or(60.0),
        concurrent_limit: whole(&definition["concurrentExecLimit"]).filter(|limit| *limit > 0),
        task_type,
    };
    task_definitions(order).into_iter().map(rules).collect()
}

/// What an unregistered task gets: Conductor's own defaults would wait a minute before a retry, and time the whole
/// workflow out when one task hangs.
fn plain(name: &str) -> Value {
    json!({
        "name": name, "retryCount": 2, "retryLogic": "FIXED", "retryDelaySeconds": 1,
        "timeoutSeconds": 0, "responseTimeoutSeconds": 60, "timeoutPolicy": "RETRY", "ownerEmail": "shakedown@example.com",
    })
}

fn with_timers(mut definition: Value, timers: &Timers) -> Value {
    for (field, time) in timers.fields() {
        let seconds = time.seconds();
        #[expect(clippy::cast_possible_truncation, reason = "bounded to a month when it was read")]
        let whole = seconds as i64;
        // Conductor takes whole seconds only; our engine takes fractions too.
        definition[field] = if seconds.fract() == 0.0 { json!(whole) } else { json!(seconds) };
    }
    definition
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::units::RealTime;

    #[test]
    fn defaults_do_not_make_another_workflow_and_another_order_does() {
        let plain = json!([{"name": "a", "taskReferenceName": "t"}, {"name": "b", "taskReferenceName": "u"}]);
        let mut echoed = plain.clone();
        echoed[0]["type"] = json!("SIMPLE");
        echoed[0]["joinOn"] = json!([]);
        echoed[0]["startDelay"] = json!(0);
        assert_eq!(shape(&plain), shape(&echoed));
        let swapped = json!([plain[1], plain[0]]);
        assert_ne!(shape(&plain), shape(&swapped));
        let mut other_join = plain.clone();
        other_join[0]["joinOn"] = json!(["x"]);
        assert_ne!(shape(&plain), shape(&other_join));
    }

    #[test]
    fn timers_are_whole_numbers_where_they_can_be() {
        let timers = Timers {
            retry_delay: Some(RealTime(2.0)),
            response_timeout: Some(RealTime(0.5)),
            ..Timers::default()
        };
        let definition = with_timers(plain("x"), &timers);
        assert_eq!(definition["retryDelaySeconds"], json!(2));
        assert_eq!(definition["responseTimeoutSeconds"], json!(0.5));
    }
}
