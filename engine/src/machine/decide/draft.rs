//! A draft: a copy of one aggregate that a decision works on, and the events that it made so far.
//!
//! A decision often needs to see its own consequences (the output of the task that just ended is input of the
//! next). So it emits events against a copy; task records are shared with the original until they change.

use crate::machine::bounds::MAX_DECIDED_BYTES;
use crate::machine::definition::Object;
use crate::machine::event::{Event, TaskChange, WorkflowChange};
use crate::machine::expression;
use crate::machine::payload::Payload;
use crate::machine::scope::WorkflowScope;
use crate::machine::state::State;
use crate::machine::workflow::Workflow;
use serde_json::Value;

pub struct Draft<'s> {
    pub state: &'s State,
    pub workflow: Workflow,
    pub now: u64,
    events: Vec<Event>,
    /// About the bytes of input given to tasks so far.
    bytes: usize,
}

impl<'s> Draft<'s> {
    pub fn new(state: &'s State, workflow: Workflow, now: u64) -> Self {
        Self { state, workflow, now, events: Vec::new(), bytes: 0 }
    }

    pub fn change(&mut self, change: WorkflowChange) {
        self.workflow.change(self.now, &change);
        self.events.push(Event::Workflow { at: self.now, id: self.workflow.id, change });
    }

    pub fn change_task(&mut self, seq: u32, change: TaskChange) {
        self.workflow.change_task(self.now, seq, &change);
        self.events.push(Event::Task { at: self.now, id: self.workflow.id, seq, change });
    }

    pub fn count_bytes(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// True when one decision has given out more than the journal should take at once.
    pub fn is_too_large(&self) -> bool {
        self.bytes > MAX_DECIDED_BYTES
    }

    pub fn into_events(self) -> Vec<Event> {
        self.events
    }

    /// One value with its expressions replaced.
    pub fn evaluate_one(&self, value: &Value) -> Value {
        expression::evaluate(value, &WorkflowScope::new(&self.workflow, None))
    }

    /// `parameters` with their expressions replaced, for the record number `scheduling` if there is one; `None` when
    /// they give more than the journal should take at once.
    pub fn evaluate(&self, parameters: &Object, scheduling: Option<u32>) -> Option<Payload> {
        let scope = WorkflowScope::new(&self.workflow, scheduling);
        let given = expression::evaluate_map(parameters, &scope);
        (!scope.is_exhausted()).then(|| given.into())
    }
}

/// Adds what a template has and `given` lacks or holds as null.
pub fn fill_from_template(mut given: Object, template: &Object) -> Object {
    for (key, value) in template {
        if given.get(key).is_none_or(Value::is_null) {
            given.insert(key.clone(), value.clone());
        }
    }
    given
}
