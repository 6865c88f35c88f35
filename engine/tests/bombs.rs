//! Small definitions that ask for very much: one client must not take the memory or the time of all the others.

use serde_json::{Map, Value, json};
use shakedown_engine::machine::command::{Command, KeyTaken, Report, StartWorkflow, TaskUpdate};
use shakedown_engine::machine::event::Start;
use shakedown_engine::machine::id::WorkflowId;
use shakedown_engine::machine::status::WorkflowStatus;
use shakedown_engine::machine::{Event, State, decide};
use shakedown_engine::store::encode;
use std::time::Duration;

/// More than one decision may make: the inputs or outputs that it may give out, twice, and a little.
const MOST: usize = 40 << 20;

fn carry_out(state: &mut State, command: Command) -> Vec<Event> {
    let events = decide(state, command, 1_000_000).unwrap();
    events.iter().for_each(|event| state.evolve(event));
    let bytes = encode(&events).len();
    assert!(bytes < MOST, "one decision made {bytes} bytes of events");
    events
}

fn start(state: &mut State, def: Value, input: Value) -> WorkflowId {
    let start = StartWorkflow {
        name: "bomb".to_owned(),
        version: None,
        inline: Some(Box::new(serde_json::from_value(def).unwrap())),
        start: Start { input: input.into(), ..Start::default() },
        taken: KeyTaken::default(),
        seed: 1,
    };
    let events = carry_out(state, Command::StartWorkflow(Box::new(start)));
    events.iter().find_map(Event::workflow).unwrap()
}

fn complete(state: &mut State, id: WorkflowId, seq: u32, output: Value) {
    let update = TaskUpdate {
        workflow: id,
        task: id.task(seq),
        report: Report::Completed,
        output: output.into(),
        reason: None,
        worker: None,
        logs: Vec::new(),
        callback_ms: 0,
        seed: 1,
    };
    carry_out(state, Command::UpdateTask(Box::new(update)));
}

/// So many parameters, each of which is the same megabyte.
fn greedy() -> (Map<String, Value>, Value) {
    let parameters = (0..100).map(|n| (format!("p{n}"), json!("${workflow.input.megabyte}"))).collect();
    (parameters, json!({"megabyte": "x".repeat(1 << 20)}))
}

fn failed_because(state: &State, id: WorkflowId, part: &str) {
    let workflow = state.workflow(id).unwrap();
    assert_eq!(workflow.status, WorkflowStatus::Failed);
    assert!(workflow.reason.as_deref().unwrap().contains(part), "{:?}", workflow.reason);
}

#[test]
fn parameters_that_name_a_payload_again_and_again_fail_the_workflow() {
    let (parameters, input) = greedy();
    let task = json!({"name": "a", "taskReferenceName": "a", "inputParameters": parameters});
    let mut state = State::default();
    let id = start(&mut state, json!({"name": "bomb", "tasks": [task]}), input);
    failed_because(&state, id, "inputs of the tasks");
}

#[test]
fn an_output_that_names_a_payload_again_and_again_fails_the_workflow() {
    let (parameters, input) = greedy();
    let mut state = State::default();
    let id = start(&mut state, json!({"name": "bomb", "tasks": [], "outputParameters": parameters}), input);
    failed_because(&state, id, "outputParameters");
}

#[test]
fn joins_of_joins_that_double_every_time_fail_the_workflow() {
    let fork = |name: &str, branch: Value| json!({"name": name, "taskReferenceName": name, "type": "FORK_JOIN", "forkTasks": [branch]});
    let mut tasks = vec![fork("f", json!([{"name": "a", "taskReferenceName": "a"}]))];
    let mut joined = vec!["a".to_owned()];
    for n in 0..12 {
        let name = format!("j{n}");
        tasks.push(json!({"name": name, "taskReferenceName": name, "type": "JOIN", "joinOn": joined}));
        tasks.push(fork(&format!("f{n}"), json!([])));
        joined.push(name);
    }
    tasks.push(json!({"name": "end", "taskReferenceName": "end", "type": "JOIN", "joinOn": []}));
    let mut state = State::default();
    let id = start(&mut state, json!({"name": "bomb", "tasks": tasks}), json!({}));
    complete(&mut state, id, 2, json!({"megabyte": "x".repeat(1 << 20)}));
    failed_because(&state, id, "joins take more");
}

/// The processor time that starting `forks` empty forks and joins in a row takes.
fn chain_of(forks: usize) -> Duration {
    let pair = |n: usize| {
        let (fork, join) = (format!("f{n}"), format!("j{n}"));
        [
            json!({"name": fork, "taskReferenceName": fork, "type": "FORK_JOIN", "forkTasks": [[]]}),
            json!({"name": join, "taskReferenceName": join, "type": "JOIN", "joinOn": []}),
        ]
    };
    let tasks: Vec<Value> = (0..forks).flat_map(pair).collect();
    let mut state = State::default();
    let begun = thread_time();
    let id = start(&mut state, json!({"name": "bomb", "tasks": tasks}), json!({}));
    assert_eq!(state.workflow(id).unwrap().status, WorkflowStatus::Completed);
    thread_time() - begun
}

/// Processor time of this thread: other tests take none of it.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to a value of this function.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

#[test]
fn a_long_chain_of_empty_forks_is_gone_through_once() {
    let (short, long) = (chain_of(5_000), chain_of(20_000));
    // Four times the tasks are four times the work; looking through all of them at each join made it sixteen times.
    assert!(long < short * 9, "5,000 took {short:?}, 20,000 {long:?}");
}
