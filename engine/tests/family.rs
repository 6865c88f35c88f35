//! BT-77: many parents with children at once. Whatever frame of the journal is the last one, parents and children tell
//! the same: no end was written without what it brings with it.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use shakedown_engine::api::{Api, routes};
use shakedown_engine::archive::MemoryArchive;
use shakedown_engine::machine::State;
use shakedown_engine::machine::id::WorkflowId;
use shakedown_engine::machine::status::WorkflowStatus;
use shakedown_engine::store::{AppendError, Apply, Memory, Store, StoreError, decode};
use shakedown_engine::writer::{Handle, Writer};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

const PARENTS: usize = 60;

/// A journal whose frames can be read while it is written.
struct Open(Memory, Arc<Mutex<Vec<Vec<u8>>>>);

impl Store for Open {
    fn append(&mut self, position: u64, frame: &[u8]) -> Result<(), AppendError> {
        self.1.lock().unwrap().push(frame.to_vec());
        self.0.append(position, frame)
    }

    fn replay(&mut self, apply: &mut Apply<'_>) -> Result<u64, StoreError> {
        self.0.replay(apply)
    }

    fn forget(&mut self, position: u64) {
        self.0.forget(position);
    }
}

async fn ask(routes: &Router, method: &str, path: &str, body: Value) -> String {
    let request = Request::builder().method(method).uri(path).body(Body::from(body.to_string())).unwrap();
    let answer = routes.clone().oneshot(request).await.unwrap();
    assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn check(state: &State) {
    assert!(state.indexes().next_owed().is_none(), "something is owed: {:?}", state.indexes().next_owed());
    for workflow in state.workflows() {
        for task in &workflow.tasks {
            let Some(child) = task.child else { continue };
            let child = state.workflow(child.id).unwrap();
            let link = child.start.parent.unwrap();
            assert_eq!((link.workflow, link.seq), (workflow.id, task.seq), "the child's parent is right");
            assert_eq!(task.status.is_terminal(), child.status.is_terminal());
        }
        if let Some(link) = workflow.start.parent {
            let record = state.workflow(link.workflow).unwrap().task(link.seq).unwrap();
            assert_eq!(record.child.unwrap().id, workflow.id, "no child but the one that the record names");
        }
    }
}

#[tokio::test]
async fn bt_77_parents_and_children_agree_in_every_frame() {
    let frames = Arc::new(Mutex::new(Vec::new()));
    let archive = Arc::new(MemoryArchive::default());
    let store = Box::new(Open(Memory::default(), Arc::clone(&frames)));
    let writer = Writer::open((store, archive.clone()), Box::new(|| 1_700_000_000_000), None).unwrap();
    let metrics = writer.metrics();
    let (handle, requests) = Handle::channel();
    std::thread::spawn(move || writer.run(&requests).unwrap());
    let routes = routes(Api { writer: handle, archive, metrics });
    let child = json!({"name": "child", "tasks": [{"name": "a", "taskReferenceName": "t1"}]});
    ask(&routes, "POST", "/api/metadata/workflow", child).await;
    let s = json!({"name": "s", "taskReferenceName": "s", "type": "SUB_WORKFLOW", "subWorkflowParam": {"name": "child"}});
    ask(&routes, "POST", "/api/metadata/workflow", json!({"name": "parent", "tasks": [s]})).await;
    let starts = (0..PARENTS).map(|_| {
        let routes = routes.clone();
        tokio::spawn(async move { ask(&routes, "POST", "/api/workflow", json!({"name": "parent"})).await })
    });
    let starts: Vec<_> = starts.collect();
    let mut parents = BTreeSet::new();
    for start in starts {
        parents.insert(start.await.unwrap().parse::<WorkflowId>().unwrap());
    }
    assert_eq!(parents.len(), PARENTS);
    let tasks = ask(&routes, "GET", "/api/tasks/poll/batch/a?count=999&timeout=0", json!({})).await;
    let tasks: Vec<Value> = serde_json::from_str(&tasks).unwrap();
    assert_eq!(tasks.len(), PARENTS, "each parent has one child, and no more");
    for (task, turn) in tasks.iter().zip(0..) {
        // A third of the children is terminated, which ends their parents too.
        let (id, workflow) = (task["taskId"].as_str().unwrap(), task["workflowInstanceId"].as_str().unwrap());
        if turn % 3 == 0 {
            ask(&routes, "DELETE", &format!("/api/workflow/{workflow}"), json!({})).await;
        } else {
            let done = json!({"workflowInstanceId": workflow, "taskId": id, "status": "COMPLETED"});
            ask(&routes, "POST", "/api/tasks", done).await;
        }
    }
    let mut state = State::default();
    let frames = frames.lock().unwrap();
    for frame in frames.iter() {
        decode(frame).unwrap().iter().for_each(|event| state.evolve(event));
        check(&state);
    }
    let ended = |status| parents.iter().filter(|id| state.workflow(**id).unwrap().status == status).count();
    assert_eq!(ended(WorkflowStatus::Completed), PARENTS * 2 / 3);
    assert_eq!(ended(WorkflowStatus::Terminated), PARENTS / 3);
}
