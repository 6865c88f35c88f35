//! Decisions: one file a family of commands, and the flow that follows from them.

mod again;
mod child;
mod control;
mod draft;
mod flow;
mod metadata;
mod records;
mod settle;
mod start;
mod timers;
mod work;

use super::command::Command;
use super::event::Event;
use super::rejection::Rejection;
use super::state::State;

/// What `command` does to `state` at `now` (epoch milliseconds). Nothing at all if it is rejected.
///
/// # Errors
/// [`Rejection`] when the state does not allow the command.
pub fn decide(state: &State, command: Command, now: u64) -> Result<Vec<Event>, Rejection> {
    match command {
        Command::SaveTaskDefs(defs) => metadata::save_task_defs(defs, now),
        Command::UpdateTaskDef(def) => metadata::update_task_def(state, *def, now),
        Command::SaveWorkflowDef { def, overwrite } => {
            metadata::save_workflow_def(state, def, overwrite, now)
        }
        Command::RemoveTaskDef(name) => metadata::remove_task_def(state, name, now),
        Command::RemoveWorkflowDef { name, version } => {
            metadata::remove_workflow_def(state, name, version, now)
        }
        Command::StartWorkflow(start) => start::start(state, *start, now),
        Command::Poll { queue, worker, count } => Ok(work::poll(state, &queue, worker.as_ref(), count, now)),
        Command::UpdateTask(update) => work::update(state, *update, now),
        Command::Signal(signal) => work::signal(state, *signal, now),
        Command::Log { task, entry } => work::log(state, task, &entry, now),
        Command::UpdateByReference(update) => work::update_by_reference(state, *update, now),
        Command::ExtendLease { task } => work::extend_lease(state, task, now),
        Command::Pause(id) => control::pause(state, id, now),
        Command::Resume(id) => control::resume(state, id, now),
        Command::Terminate { id, reason, alarm } => control::terminate(state, id, reason, alarm, now),
        Command::Settle => Ok(settle::first(state, now)),
        Command::Retry { id, resume_children } => again::retry(state, id, resume_children, now),
        Command::Restart { id, latest } => again::restart(state, id, latest, now),
        Command::Rerun(rerun) => again::rerun(state, *rerun, now),
        Command::Skip(skip) => control::skip(state, *skip, now),
        Command::ResetCallbacks(id) => control::reset_callbacks(state, id, now),
        Command::Evaluate(id) => control::evaluate(state, id, now),
        Command::Remove { id, open } => control::remove(state, id, open, now),
        Command::FireTimers { limit } => Ok(timers::fire(state, limit, now)),
    }
}
