//! The routes of the stand-in: as much of Conductor's REST API as a run of the harness uses.

use super::door::Door;
use super::world::{Due, Event, Now, Refusal, World, level_and_index};
use crate::calibrate::script::Script;
use crate::calibrate::truth::{Deed, Truth};
use crate::clock;
use crate::workers::timer::Timer;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What all requests share.
#[derive(Debug, Clone)]
pub struct Shared {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    world: Mutex<World>,
    script: Script,
    truth: Arc<Truth>,
    timer: Timer,
    /// Told whenever a task can be polled.
    queued: Notify,
    /// When the first start of each level came.
    first_starts: Mutex<HashMap<String, u64>>,
}

type Answer = Result<Response, Refused>;

/// A refusal as a response.
struct Refused(Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, message) = self.0;
        let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (code, Json(json!({ "status": status, "message": message }))).into_response()
    }
}

impl Shared {
    /// A stand-in that does what `script` says.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn new(script: Script, truth: Arc<Truth>) -> std::io::Result<Self> {
        let world = Mutex::new(World::new(script.clone(), Arc::clone(&truth)));
        let (timer, queued) = (Timer::start()?, Notify::new());
        let inner = Inner { world, script, truth, timer, queued, first_starts: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.inner.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets everything that is due now happen, and sees to the rest.
    fn see_to(&self, dues: Vec<Due>) {
        let mut open = VecDeque::from(dues);
        let mut queued = false;
        while let Some(due) = open.pop_front() {
            if due.at_ns <= clock::now_ns() {
                queued |= matches!(due.event, Event::Queue(_));
                open.extend(self.world().happen(due.event, now()));
                continue;
            }
            let later = self.clone();
            tokio::spawn(async move {
                later.inner.timer.sleep_until(due.at_ns).await;
                later.see_to(vec![due]);
            });
        }
        // Only then: a poller that was told of nothing would tell the others of nothing, for ever.
        if queued {
            self.inner.queued.notify_waiters();
        }
    }

    /// Until when a start that came at `at_ns` isn't answered.
    fn answered_at_ns(&self, request: &Value, at_ns: u64) -> u64 {
        let (level, index) = level_and_index(request["correlationId"].as_str().unwrap_or_default());
        let planned_ns = at_ns + self.inner.script.answer_ns(&level, index);
        let first_ns = {
            let mut first = self.inner.first_starts.lock().unwrap_or_else(PoisonError::into_inner);
            match first.get(&level) {
                Some(first_ns) => *first_ns,
                None => {
                    first.insert(level.clone(), at_ns);
                    self.tell_stalls(&level, at_ns);
                    at_ns
                }
            }
        };
        let stalls = self.inner.script.stalls.iter().filter(|stall| stall.level == level);
        let ends =
            stalls.map(|stall| (first_ns + stall.after_ns, first_ns + stall.after_ns + stall.lasts_ns));
        let held = ends.filter(|(began_ns, ended_ns)| (*began_ns..*ended_ns).contains(&at_ns));
        held.map(|(_, ended_ns)| ended_ns).fold(planned_ns, u64::max)
    }

    fn tell_stalls(&self, level: &str, first_ns: u64) {
        for stall in self.inner.script.stalls.iter().filter(|stall| stall.level == level) {
            let began_ns = first_ns + stall.after_ns;
            let ended_ns = began_ns + stall.lasts_ns;
            self.inner.truth.tell(&Deed::Stall { level: level.to_owned(), began_ns, ended_ns });
        }
    }
}

fn now() -> Now {
    Now { ns: clock::now_ns(), ms: clock::wall_ms() }
}

/// The API, with everything held back while `door` hangs.
pub fn routes(shared: Shared, door: Arc<Door>) -> Router {
    let api = Router::new()
        .route("/metadata/taskdefs", post(put_task_definitions))
        .route("/metadata/taskdefs/{name}", get(task_definition))
        .route("/metadata/workflow", post(put_definition))
        .route("/metadata/workflow/{name}", get(definition))
        .route("/tasks", post(update))
        .route("/tasks/update-v2", post(update_and_poll))
        .route("/tasks/queue/sizes", get(queue_sizes))
        .route("/tasks/poll/batch/{task_type}", get(poll))
        .route("/workflow", post(start))
        .route("/workflow/{id}", get(workflow).delete(terminate))
        .route("/workflow/{id}/status", get(status))
        .route("/workflow/{name}/correlated/{correlation_id}", get(correlated));
    Router::new()
        .route("/health", get(|| async { Json(json!({ "healthy": true })) }))
        .nest("/api", api)
        .with_state(shared)
        .layer(middleware::from_fn_with_state(door, hold_back))
}

async fn hold_back(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    door.answers().await;
    next.run(request).await
}

async fn put_task_definitions(State(shared): State<Shared>, Json(definitions): Json<Vec<Value>>) {
    shared.world().put_task_definitions(definitions);
}

async fn task_definition(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    found(shared.world().task_definition(&name), "task definition", &name)
}

async fn put_definition(State(shared): State<Shared>, Json(definition): Json<Value>) -> Result<(), Refused> {
    Ok(shared.world().put_definition(definition)?)
}

async fn definition(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    found(shared.world().definition(&name), "workflow definition", &name)
}

fn found(value: Option<&Value>, what: &str, name: &str) -> Answer {
    match value {
        Some(value) => Ok(Json(value.clone()).into_response()),
        None => Err(Refused((404, format!("no {what} {name:?}")))),
    }
}

async fn start(State(shared): State<Shared>, Json(request): Json<Value>) -> Answer {
    let began = now();
    let (answer, dues) = shared.world().start(&request, began)?;
    shared.see_to(dues);
    shared.inner.timer.sleep_until(shared.answered_at_ns(&request, began.ns)).await;
    Ok(answer?.into_response())
}

async fn poll(
    State(shared): State<Shared>,
    Path(task_type): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Vec<Value>> {
    let number = |key: &str| query.get(key).and_then(|text| text.parse::<u64>().ok());
    let count = usize::try_from(number("count").unwrap_or(1)).unwrap_or(1);
    let wait = Duration::from_millis(number("timeout").unwrap_or(100));
    let until_ns = clock::now_ns() + clock::nanos(wait);
    loop {
        let queued = shared.inner.queued.notified();
        tokio::pin!(queued);
        // Registered before the look, so that nothing comes unseen between the two.
        queued.as_mut().enable();
        let (handed, dues) = shared.world().poll(&task_type, count, now());
        shared.see_to(dues);
        if !handed.is_empty() || clock::now_ns() >= until_ns {
            return Json(handed);
        }
        // Whether it was told or the time is over shows at the next look.
        let _ = tokio::time::timeout(clock::until(until_ns), queued).await;
    }
}

async fn update(State(shared): State<Shared>, Json(report): Json<Value>) -> Answer {
    let dues = shared.world().update(&report, now())?;
    shared.see_to(dues);
    Ok(report["taskId"].as_str().unwrap_or_default().to_owned().into_response())
}

/// Takes the report and answers like a server that has no next task to give: the pollers get them all.
async fn update_and_poll(State(shared): State<Shared>, Json(report): Json<Value>) -> Answer {
    let dues = shared.world().update(&report, now())?;
    shared.see_to(dues);
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn queue_sizes(
    State(shared): State<Shared>,
    Query(asked): Query<Vec<(String, String)>>,
) -> Json<HashMap<String, usize>> {
    let world = shared.world();
    let of_type = asked.into_iter().filter(|(key, _)| key == "taskType").map(|(_, name)| name);
    Json(of_type.map(|name| (name.clone(), world.queue_size(&name))).collect())
}

async fn workflow(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    Ok(Json(shared.world().read(&id, now())?).into_response())
}

async fn status(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    Ok(Json(shared.world().status(&id)?).into_response())
}

async fn correlated(
    State(shared): State<Shared>,
    Path((_, correlation_id)): Path<(String, String)>,
) -> Json<Value> {
    Json(shared.world().correlated(&correlation_id))
}

async fn terminate(State(shared): State<Shared>, Path(id): Path<String>) -> Result<(), Refused> {
    Ok(shared.world().terminate(&id, now())?)
}
