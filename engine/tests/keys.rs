//! Idempotency keys of ended workflows: how often and for how many at a time the archive is asked, and what becomes of a
//! start when it does not answer.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use shakedown_engine::api::{Api, routes};
use shakedown_engine::archive::{Archive, ArchiveError, MemoryArchive, Page, Query, Recovered, Slice};
use shakedown_engine::machine::id::WorkflowId;
use shakedown_engine::machine::workflow::Workflow;
use shakedown_engine::store::{AppendError, Apply, Memory, Store, StoreError};
use shakedown_engine::writer::{self, Handle, Writer};
use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

/// An archive that notes for how many keys or workflows it is asked, and can be kept from answering.
#[derive(Default)]
struct Asked {
    archive: MemoryArchive,
    is_away: bool,
    /// The row of this key can't be read.
    broken: Option<&'static str>,
    questions: Mutex<Vec<usize>>,
}

impl Asked {
    fn questions(&self) -> Vec<usize> {
        self.questions.lock().unwrap().clone()
    }
}

impl Archive for Asked {
    fn keyed(&self, asked: &[(&str, &str)]) -> Result<Vec<Option<WorkflowId>>, ArchiveError> {
        self.questions.lock().unwrap().push(asked.len());
        let (path, why) = ("planted".to_owned(), "planted".to_owned());
        if self.is_away {
            return Err(ArchiveError::Away { path, why });
        }
        if asked.iter().any(|(_, key)| Some(*key) == self.broken) {
            return Err(ArchiveError::Broken { path, why });
        }
        self.archive.keyed(asked)
    }

    fn save(&self, slice: &Slice) -> Result<(), ArchiveError> {
        self.archive.save(slice)
    }

    fn sync(&self) -> Result<(), ArchiveError> {
        self.archive.sync()
    }

    fn prune(&self, ended_before: u64, at_most: usize) -> Result<usize, ArchiveError> {
        self.archive.prune(ended_before, at_most)
    }

    fn load(&self, id: WorkflowId) -> Result<Option<Workflow>, ArchiveError> {
        self.questions.lock().unwrap().push(1);
        self.archive.load(id)
    }

    fn recover(&self, running: &mut dyn FnMut(Workflow)) -> Result<Recovered, ArchiveError> {
        self.archive.recover(running)
    }

    fn search(&self, query: &Query) -> Result<Page, ArchiveError> {
        self.archive.search(query)
    }
}

/// A journal whose lead wants to be proven as soon as the archive was asked once since the last append.
struct Led {
    journal: Memory,
    archive: Arc<Asked>,
    proven: usize,
}

impl Store for Led {
    fn append(&mut self, position: u64, frame: &[u8]) -> Result<(), AppendError> {
        self.proven = self.archive.questions().len();
        self.journal.append(position, frame)
    }

    fn replay(&mut self, apply: &mut Apply<'_>) -> Result<u64, StoreError> {
        self.journal.replay(apply)
    }

    fn forget(&mut self, position: u64) {
        self.journal.forget(position);
    }

    fn has_time(&self) -> bool {
        self.archive.questions().len() == self.proven
    }
}

/// An engine whose batches are made by hand.
struct Stage {
    archive: Arc<Asked>,
    writer: Writer,
    requests: Receiver<writer::Request>,
    routes: Router,
}

impl Stage {
    async fn new(archive: Asked) -> Self {
        let archive = Arc::new(archive);
        Self::on(Box::new(Memory::default()), archive).await
    }

    /// With a lead that wants to be proven after each question to the archive.
    async fn led() -> Self {
        let archive = Arc::new(Asked::default());
        let store = Led { journal: Memory::default(), archive: Arc::clone(&archive), proven: 0 };
        Self::on(Box::new(store), archive).await
    }

    async fn on(store: Box<dyn Store>, archive: Arc<Asked>) -> Self {
        let opened = (store, Arc::clone(&archive) as _);
        let writer = Writer::by_hand(opened, Box::new(|| 1_000_000), None).unwrap();
        let (handle, requests) = Handle::channel();
        let routes = routes(Api { writer: handle, archive: archive.clone(), metrics: writer.metrics() });
        let mut stage = Self { archive, writer, requests, routes };
        let def = json!({"name": "w", "tasks": [{"name": "a", "taskReferenceName": "t1"}]});
        stage.in_steps("/api/metadata/workflow", vec![def], 1).await;
        stage
    }

    /// Starts under these keys, all of them taken in so many batches; status and body of each.
    async fn start(&mut self, keys: impl Iterator<Item = usize>, steps: usize) -> Vec<(u16, String)> {
        let body = |n| json!({"name": "w", "idempotencyKey": format!("k{n}"), "idempotencyStrategy": "RETURN_EXISTING"});
        self.in_steps("/api/workflow", keys.map(body).collect(), steps).await
    }

    async fn in_steps(&mut self, path: &str, bodies: Vec<Value>, steps: usize) -> Vec<(u16, String)> {
        let asked = bodies.len();
        let answers: Vec<_> = bodies
            .into_iter()
            .map(|body| {
                let request = Request::post(path).header("content-type", "application/json");
                let request = request.body(Body::from(body.to_string())).unwrap();
                tokio::spawn(self.routes.clone().oneshot(request))
            })
            .collect();
        let mut taken = VecDeque::new();
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
            taken.extend(self.requests.try_iter());
            if taken.len() == asked {
                break;
            }
        }
        assert_eq!(taken.len(), asked);
        for _ in 0..steps {
            assert!(!taken.is_empty(), "fewer batches were enough");
            self.writer.step(&mut taken).unwrap();
        }
        assert_eq!(taken.len(), 0, "these batches were not enough");
        let mut told = Vec::new();
        for answer in answers {
            let answer = answer.await.unwrap().unwrap();
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            told.push((status, String::from_utf8(body.to_vec()).unwrap()));
        }
        told
    }
}

#[tokio::test]
async fn the_keys_of_a_batch_are_looked_up_in_one_go() {
    let mut stage = Stage::new(Asked::default()).await;
    let told = stage.start((0..50).map(|n| n / 2), 1).await;
    assert_eq!(stage.archive.questions(), [25]);
    // Each key twice: who comes second gets what the first has started in this same batch.
    told.chunks(2).for_each(|pair| assert_eq!(pair[0], pair[1]));
    assert!(told.iter().all(|(status, _)| *status == 200), "{told:?}");
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), 25);
    assert_eq!(stage.start((0..50).map(|n| n / 2), 1).await, told);
    assert_eq!(stage.archive.questions(), [25], "memory knows all of them");
}

#[tokio::test]
async fn a_batch_ends_before_a_second_look_up_when_the_lead_wants_to_be_proven() {
    let mut stage = Stage::led().await;
    // What was looked up is not thrown away: the batch takes everything that needs no more.
    let told = stage.start(0..300, 3).await;
    assert!(told.iter().all(|(status, _)| *status == 200), "{told:?}");
    assert_eq!(stage.archive.questions(), [128, 128, 44]);
    let mut stage = Stage::led().await;
    let unknown = "/api/workflow/01890a5d-ac96-774b-bcce-b302a0000000/retry";
    stage.in_steps(unknown, vec![json!({}); 3], 3).await;
    assert_eq!(stage.archive.questions(), [1, 1, 1]);
}

#[tokio::test]
async fn a_key_whose_row_can_not_be_read_is_nobody_elses_trouble() {
    let mut stage = Stage::new(Asked { broken: Some("k7"), ..Asked::default() }).await;
    let told = stage.start(0..20, 1).await;
    let refused: Vec<usize> = (0..20).filter(|n| told[*n].0 != 200).collect();
    assert_eq!(refused, [7], "{told:?}");
    assert_eq!(told[7].0, 500, "{told:?}");
}

#[tokio::test]
async fn a_start_whose_key_can_not_be_looked_up_now_may_be_tried_again() {
    let mut stage = Stage::new(Asked { is_away: true, ..Asked::default() }).await;
    for (status, body) in stage.start(0..20, 1).await {
        assert_eq!(status, 503, "{body}");
        assert!(body.contains("nothing was changed, try again"), "{body}");
    }
    assert_eq!(stage.archive.questions(), [20], "one that is away is not asked for each of them");
    let without = stage.in_steps("/api/workflow", vec![json!({"name": "w"})], 1).await;
    assert_eq!(without[0].0, 200, "without a key nothing is looked up: {without:?}");
}
