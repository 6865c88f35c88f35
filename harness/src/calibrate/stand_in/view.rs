//! What the stand-in tells of workflows when it is asked.

use super::workflow::shown;
use super::world::{Now, Refusal, World};
use serde_json::{Value, json};

impl World {
    /// The status of a workflow.
    pub fn status(&self, id: &str) -> Result<Value, Refusal> {
        let workflow = &self.workflows[self.known(id)?];
        Ok(json!({ "workflowId": workflow.id, "status": workflow.status }))
    }

    /// A workflow with its tasks.
    pub fn read(&mut self, id: &str, now: Now) -> Result<Value, Refusal> {
        let at = self.known(id)?;
        let workflow = &mut self.workflows[at];
        workflow.read += 1;
        if workflow.read > 1 && workflow.status == "COMPLETED" && workflow.goes_back() {
            self.tell(at, now);
        }
        Ok(shown(&self.workflows[at]))
    }

    /// The workflows that carry a correlation id.
    pub fn correlated(&self, correlation_id: &str) -> Value {
        self.workflows.iter().filter(|one| one.correlation_id == correlation_id).map(shown).collect()
    }

    /// Ends a workflow.
    pub fn terminate(&mut self, id: &str, now: Now) -> Result<(), Refusal> {
        let at = self.known(id)?;
        let workflow = &mut self.workflows[at];
        (workflow.status, workflow.ended_ms) = ("TERMINATED", now.ms);
        Ok(())
    }

    fn known(&self, id: &str) -> Result<usize, Refusal> {
        self.by_id.get(id).copied().ok_or_else(|| (404, format!("no workflow {id:?}")))
    }
}
