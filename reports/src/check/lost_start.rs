//! Lost start: the target acknowledged it and does not know it afterwards.

use super::{Evidence, Fate};
use crate::history::Outcome;
use crate::joined::{Joined, WorkflowRun};

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    // Where there were faults the second reading counts: the first was made before the target had shown that it works.
    let whole = run.history.footer.as_ref().is_some_and(|f| f.complete);
    let twice = whole && !run.plan.injections.is_empty();
    for workflow in run.workflows() {
        let Some(fate) = fate(workflow) else { continue };
        evidence.looked();
        let read_again = workflow.finals.iter().any(|f| f.reading > 1);
        match fate {
            Fate::Kept if twice && !read_again => {
                let what = "it was there at the first reading, and was not read again after the target had shown that it \
                            works";
                evidence.undecided(workflow.label(), None, what.to_owned());
            }
            Fate::Kept => {}
            Fate::NotRead => {
                let id = acknowledged_id(workflow).unwrap_or("no id");
                evidence.undecided(workflow.label(), None, format!("workflow {id} was never read back"));
            }
            Fate::Lost(what) => evidence.found(workflow.label(), None, what),
        }
    }
    evidence
}

fn acknowledged_id<'a>(workflow: &WorkflowRun<'a>) -> Option<&'a str> {
    workflow.start.filter(|s| s.outcome == Outcome::Ok).map(|s| s.workflow_id.as_deref().unwrap_or("no id"))
}

/// What became of an acknowledged start; `None` when it was not acknowledged. Of several readings the last one tells:
/// what a standby or a repair takes away again is lost too.
pub(crate) fn fate(workflow: &WorkflowRun<'_>) -> Option<Fate> {
    let id = acknowledged_id(workflow)?;
    Some(match workflow.last_reading(id) {
        None => Fate::NotRead,
        Some(last) if last.found => Fate::Kept,
        Some(_) => {
            Fate::Lost(format!("the start was acknowledged with id {id}, which the target does not know"))
        }
    })
}
