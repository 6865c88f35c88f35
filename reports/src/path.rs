//! What a workflow's end hung on: the chain of tasks each of which was the last that the next one waited for.

use crate::history::Execution;
use crate::joined::WorkflowRun;
use std::collections::BTreeMap;

/// The executions on the real critical path of a workflow, last one first; empty when none counted.
///
/// From the execution that ended last it goes to the predecessor that ended last, and so on.
pub fn critical<'a>(workflow: &WorkflowRun<'a>) -> Vec<&'a Execution> {
    let mut accepted: BTreeMap<&str, &Execution> = BTreeMap::new();
    for execution in workflow.executions.iter().filter(|e| workflow.is_accepted(e)) {
        accepted.entry(&execution.reference).or_insert(execution);
    }
    let mut path: Vec<&Execution> = Vec::new();
    let mut next = accepted.values().copied().max_by_key(|e| e.finished_ns);
    while let Some(execution) = next {
        path.push(execution);
        let before = workflow.template.predecessors(&execution.reference);
        let before = before.iter().filter_map(|r| accepted.get(r.as_str()).copied());
        // A template has no cycle; a made-up one must not hang the judge either.
        next = before.max_by_key(|e| e.finished_ns).filter(|_| path.len() <= workflow.template.tasks.len());
    }
    path
}

/// What a task has to do with how long workflows took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Part {
    /// Workflows whose critical path it was on.
    pub on_path: u64,
    /// Of how many completed ones.
    pub of: u64,
    /// How much of the path was its waiting and work, over all of them, as a share.
    pub share: f64,
}

/// The part of each task of workflows of one template, by reference name.
pub fn parts<'a, 'w>(workflows: impl Iterator<Item = &'w WorkflowRun<'a>>) -> BTreeMap<&'a str, Part>
where
    'a: 'w,
{
    let mut found: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let (mut of, mut whole_ns) = (0u64, 0u64);
    for workflow in workflows.filter(|w| w.completed()) {
        let path = critical(workflow);
        of += u64::from(!path.is_empty());
        for execution in path {
            let took = execution.finished_ns.saturating_sub(execution.started_ns);
            let took = took.saturating_add(crate::measure::wait_ns(execution).unwrap_or(0));
            let entry = found.entry(&execution.reference).or_default();
            *entry = (entry.0 + 1, entry.1.saturating_add(took));
            whole_ns = whole_ns.saturating_add(took);
        }
    }
    let part =
        |(on_path, took): (u64, u64)| Part { on_path, of, share: took as f64 / whole_ns.max(1) as f64 };
    found.into_iter().map(|(reference, counted)| (reference, part(counted))).collect()
}
