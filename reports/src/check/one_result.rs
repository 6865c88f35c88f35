//! One result: every reader is told the same result of a task, whenever it asks.

use super::Evidence;
use crate::history::FinalTask;
use crate::joined::Joined;
use std::collections::BTreeMap;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for workflow in run.workflows() {
        let mut told: BTreeMap<&str, (&FinalTask, u32)> = BTreeMap::new();
        let mut readings = workflow.finals.clone();
        readings.sort_by_key(|f| f.reading);
        for reading in readings {
            for task in reading.tasks.iter().filter(|t| t.status == "COMPLETED") {
                let Some((first, at)) = told.insert(&task.task_id, (task, reading.reading)) else { continue };
                if at == reading.reading {
                    continue;
                }
                evidence.looked();
                if first.nonce != task.nonce {
                    let of = |t: &FinalTask| t.nonce.clone().unwrap_or_else(|| "none".to_owned());
                    let what = format!(
                        "the result of task {} was {} at reading {at} and is {} at reading {}",
                        task.task_id,
                        of(first),
                        of(task),
                        reading.reading
                    );
                    evidence.found(workflow.label(), Some(&task.reference), what);
                }
            }
        }
    }
    evidence
}
