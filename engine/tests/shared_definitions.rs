//! Equal definitions share a snapshot: a client that sends its definition with every start does not fill the memory.

use serde_json::json;
use shakedown_engine::machine::command::{KeyTaken, StartWorkflow};
use shakedown_engine::machine::definition::WorkflowDef;
use shakedown_engine::machine::event::Start;
use shakedown_engine::machine::{Command, State, decide};

#[test]
fn equal_definitions_share_a_snapshot() {
    let mut state = State::default();
    let start = |state: &mut State, name: &str, seed: u64| {
        let def = json!({"name": name, "tasks": [{"name": "a", "taskReferenceName": "t"}]});
        let inline = Some(Box::new(serde_json::from_value(def).unwrap()));
        let start = StartWorkflow {
            name: name.to_owned(),
            version: None,
            inline,
            start: Start::default(),
            seed,
            taken: KeyTaken::Fail,
        };
        let events = decide(state, Command::StartWorkflow(Box::new(start)), 1_000_000).unwrap();
        events.iter().for_each(|event| state.evolve(event));
    };
    (0..10).for_each(|seed| start(&mut state, "one", seed));
    start(&mut state, "two", 99);
    assert_eq!(state.snapshots().len(), 2);
    // A definition that is registered again as it was shares what its workflows had.
    let def: WorkflowDef =
        serde_json::from_value(json!({"name": "w", "tasks": [{"name": "a", "taskReferenceName": "t"}]}))
            .unwrap();
    for seed in 100..105 {
        let save = Command::SaveWorkflowDef { def: Box::new(def.clone()), overwrite: true };
        let events = decide(&state, save, 1_000_000).unwrap();
        events.iter().for_each(|event| state.evolve(event));
        let start = Start::default();
        let start = StartWorkflow {
            name: "w".to_owned(),
            version: None,
            inline: None,
            start,
            seed,
            taken: KeyTaken::Fail,
        };
        let events = decide(&state, Command::StartWorkflow(Box::new(start)), 1_000_000).unwrap();
        events.iter().for_each(|event| state.evolve(event));
    }
    assert_eq!(state.snapshots().len(), 3);
}
