//! Workflows in all states and searches for them, so that two archives can be compared.
#![allow(dead_code, reason = "each test program uses a part of it")]

use proptest::prelude::*;
use serde_json::json;
use shakedown_engine::archive::{Archive, MemoryArchive, Page, Query, Slice};
use shakedown_engine::machine::command::{KeyTaken, StartWorkflow};
use shakedown_engine::machine::event::Start;
use shakedown_engine::machine::{Command, Event, State, decide};
use std::sync::Arc;

/// Kinds, fates and waits of workflows.
pub type Picks = Vec<(u8, u8, u16)>;
/// Queries with their order, their start and their size.
pub type Asked = Vec<(String, String, usize, usize)>;

pub fn picks() -> impl Strategy<Value = Picks> {
    proptest::collection::vec(any::<(u8, u8, u16)>(), 0..60)
}

pub fn asked() -> impl Strategy<Value = Asked> {
    proptest::collection::vec((query_text(), sort_text(), 0..5_usize, 1..30_usize), 1..12)
}

/// Checks that an archive with nothing in it finds what the one in memory finds.
pub fn finds_the_same(archive: &dyn Archive, picks: &Picks, asked: Asked) -> Result<(), TestCaseError> {
    let in_memory = MemoryArchive::default();
    let slice = population(picks);
    archive.save(&slice).unwrap();
    in_memory.save(&slice).unwrap();
    let keys: Vec<String> = (0..16).map(|n| format!("k{n}")).collect();
    let mut pairs: Vec<(&str, &str)> =
        keys.iter().flat_map(|key| ["a", "ab", "b", "nobody"].map(|name| (name, key.as_str()))).collect();
    // Some are asked for twice.
    pairs.extend_from_within(..8);
    prop_assert_eq!(archive.keyed(&pairs).unwrap(), in_memory.keyed(&pairs).unwrap());
    for (query, sort, start, size) in asked {
        let parsed = Query::parse(&query, &sort, start, size, false).unwrap();
        let (one, other) = (archive.search(&parsed).unwrap(), in_memory.search(&parsed).unwrap());
        let ids = |page: &Page| page.workflows.iter().map(|workflow| workflow.id).collect::<Vec<_>>();
        prop_assert_eq!(one.total, other.total, "{} | {}", &query, &sort);
        prop_assert_eq!(ids(&one), ids(&other), "{} | {}", &query, &sort);
    }
    Ok(())
}

/// Workflows of three names in all states.
pub fn population(picks: &[(u8, u8, u16)]) -> Slice {
    let mut state = State::default();
    let mut now = 1_000_000;
    let carry_out = |state: &mut State, command: Command, now: u64| {
        let Ok(events) = decide(state, command, now) else { return None };
        events.iter().for_each(|event| state.evolve(event));
        events.iter().find_map(Event::workflow)
    };
    for name in ["a", "ab", "b"] {
        let def =
            json!({"name": name, "version": name.len(), "tasks": [{"name": "t", "taskReferenceName": "t"}]});
        let def = serde_json::from_value(def).unwrap();
        carry_out(&mut state, Command::SaveWorkflowDef { def, overwrite: false }, now);
    }
    for (seed, (kind, fate, wait)) in (0..).zip(picks) {
        now += u64::from(*wait % 3);
        let correlation_id = (kind % 4 > 0).then(|| format!("c{}", kind % 4).into());
        // Every second one has a key, some of them one that another had before.
        let key = (seed % 2 == 0).then(|| format!("k{}", seed % 16).into());
        let start = Start { correlation_id, idempotency_key: key, ..Start::default() };
        let name = ["a", "ab", "b"][usize::from(*kind) % 3].to_owned();
        let start =
            StartWorkflow { name, version: None, inline: None, start, taken: KeyTaken::FailOnRunning, seed };
        let Some(id) = carry_out(&mut state, Command::StartWorkflow(Box::new(start)), now) else { continue };
        match fate % 3 {
            0 => carry_out(
                &mut state,
                Command::Terminate { id, reason: None, alarm: false },
                now + u64::from(*wait),
            ),
            1 => carry_out(&mut state, Command::Pause(id), now + 1),
            _ => None,
        };
    }
    let snapshots =
        state.snapshots().iter().map(|(number, snapshot)| (*number, Arc::clone(snapshot))).collect();
    Slice { workflows: state.workflows().cloned().collect(), snapshots, ..Slice::default() }
}

pub fn query_text() -> impl Strategy<Value = String> {
    let condition = prop_oneof![
        "[a-b]{1,2}".prop_map(|name| format!("workflowType = '{name}'")),
        Just("workflowType = a*".to_owned()),
        Just("workflowType = *b".to_owned()),
        Just("status IN (PAUSED, TERMINATED)".to_owned()),
        Just("status = RUNNING".to_owned()),
        (1_000_000..1_000_060_u64).prop_map(|at| format!("startTime > {at}")),
        (1_000_000..1_000_100_u64).prop_map(|at| format!("endTime < {at}")),
        (0..3_u8).prop_map(|n| format!("version = {n}")),
        (0..5_u8).prop_map(|n| format!("correlationId = \"c{n}\"")),
        Just("correlationId < c3".to_owned()),
        Just("workflowId = nobody".to_owned()),
        Just("correlationId = '; DROP TABLE workflow; --'".to_owned()),
    ];
    proptest::collection::vec(condition, 0..4).prop_map(|conditions| conditions.join(" AND "))
}

pub fn sort_text() -> impl Strategy<Value = String> {
    let fields =
        ["workflowId", "workflowType", "status", "correlationId", "startTime", "updateTime", "endTime"];
    let key = (proptest::sample::select(fields.to_vec()), any::<bool>());
    let key = key.prop_map(|(field, down)| format!("{field}:{}", if down { "DESC" } else { "ASC" }));
    proptest::collection::vec(key, 0..3).prop_map(|keys| keys.join("|"))
}
