//! What nobody meant to send: random and mutated definitions, expressions, journal frames, bodies and query strings.
//! Nothing panics, everything is answered in time, and what is refused says why as JSON.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod endpoints;
mod odd;
mod stage;

use endpoints::{asked, word};
use odd::{changes, mutated, odd, task_def, workflow_def};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use shakedown_engine::archive::Query;
use shakedown_engine::machine::definition::{TaskDef, WorkflowDef};
use shakedown_engine::machine::{expression, validate};
use shakedown_engine::store::decode;
use stage::Stage;
use std::rc::Rc;

/// The journal of an engine that did some of everything, as frames.
fn journal() -> Vec<Vec<u8>> {
    let (stage, recorded) = Stage::recorded();
    stage.block_on(async |stage| {
        stage.work().await;
    });
    drop(stage);
    let frames = recorded.lock().unwrap().clone();
    assert!(frames.len() > 5, "only {} frames were recorded", frames.len());
    frames
}

struct Nothing;

impl expression::Scope for Nothing {
    fn field(&self, root: &str, field: &str) -> Option<Rc<Value>> {
        (root != "b").then(|| Rc::new(json!({"a": [{"b": field}, root], "c": "${a.b}"})))
    }

    fn bare(&self, name: &str) -> Option<Value> {
        (name == "a").then(|| json!("a.b"))
    }

    fn may_give(&self, _: &Value) -> bool {
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_is_answered(asked in prop::collection::vec(asked(), 1..30)) {
        let stage = Stage::with_work();
        let broken = stage.block_on(async |stage| {
            for one in &asked {
                let (method, path, body) = one.request(&stage.ids);
                if let Err(why) = stage.ask(method, &path, body.clone()).await {
                    return Some(format!("{method} {path} {}: {why}", String::from_utf8_lossy(&body)));
                }
            }
            // Whatever came, the engine goes on.
            stage.ask("GET", "/health", Vec::new()).await.err()
        });
        prop_assert_eq!(broken, None);
    }

    #[test]
    fn definitions_are_read_or_refused(changes in changes(), odd in odd()) {
        for value in [mutated(workflow_def(), &changes), mutated(task_def(), &changes), odd] {
            if let Ok(def) = serde_json::from_value::<WorkflowDef>(value.clone()) {
                let _ = (validate::workflow_def(&def), validate::inline_workflow_def(&def));
                let again = serde_json::to_value(&def).unwrap();
                prop_assert_eq!(&serde_json::from_value::<WorkflowDef>(again).unwrap(), &def);
            }
            if let Ok(def) = serde_json::from_value::<TaskDef>(value) {
                let _ = validate::task_def(&def);
            }
        }
    }

    #[test]
    fn expressions_give_a_value(text in prop_oneof!["[${}a-c.\\[\\]*'\"0-9 ]{0,60}", "\\PC{0,40}", "(\\$\\{[ab.]{0,4}){0,30}\\}{0,30}"]) {
        let value = json!({"text": text, "list": [text]});
        let _ = expression::evaluate(&value, &Nothing);
        if let Ok(paths) = expression::paths(&value) {
            paths.iter().for_each(|path| drop(expression::root(path)));
        }
    }

    #[test]
    fn queries_are_read_or_refused(query in word(), sort in word(), text in "(status|startTime|version|workflowType) ?[=<>IN(]{1,4}['\"a-c*0-9,)]{0,8}( AND )?") {
        let _ = Query::parse(&query, &sort, 0, 10, false);
        let _ = Query::parse(&text, &sort, usize::MAX, 10, true);
    }
}

#[test]
fn a_damaged_frame_is_refused_and_never_replayed() {
    let frames = journal();
    let config = ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() };
    let damage = prop::collection::vec((any::<Index>(), any::<u8>()), 1..4);
    let cut = (any::<Index>(), any::<Index>());
    let garbage = prop::collection::vec(any::<u8>(), 0..60);
    proptest!(config, |(which in any::<Index>(), damage in damage, (from, to) in cut, garbage in garbage)| {
        let whole = &frames[which.index(frames.len())];
        prop_assert!(decode(whole).is_ok());
        let mut damaged = whole.clone();
        for (place, byte) in &damage {
            let place = place.index(damaged.len());
            damaged[place] = *byte;
        }
        prop_assert!(damaged == *whole || decode(&damaged).is_err(), "{}", String::from_utf8_lossy(&damaged));
        let (from, to) = (from.index(whole.len()), to.index(whole.len()));
        let part = &whole[from.min(to)..from.max(to)];
        prop_assert!(decode(part).is_err(), "{}", String::from_utf8_lossy(part));
        let _ = decode(&garbage);
    });
}
