//! Metrics for Prometheus, in the words of the reports: queue wait, run time, makespan, backlog, service time.
//!
//! What a batch did is counted after its append succeeded, so a metric never runs ahead of the disk. Counters begin
//! at 0 with the process; names come from definitions, and beyond 500 of them the rest counts as `other`.

mod histogram;
mod node;

use crate::clock;
use crate::machine::event::{TaskChange, WorkflowChange};
use crate::machine::{Event, State};
use histogram::Histogram;
pub use node::NodeCounts;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names of workflows, of task types and of routes that get series of their own: bounds the memory.
const NAMES: usize = 500;
/// What the rest is called.
const OTHER: &str = "other";

#[derive(Default)]
struct Tasks {
    queue_wait: Histogram,
    run_time: Histogram,
    ended: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct Workflows {
    makespan: Histogram,
    started: u64,
    ended: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct Series {
    workflows: BTreeMap<String, Workflows>,
    tasks: BTreeMap<String, Tasks>,
    routes: BTreeMap<String, Histogram>,
    append: Histogram,
    frames: u64,
    frame_bytes: u64,
    batched: u64,
    refused: BTreeMap<&'static str, u64>,
}

/// Everything that is counted; shared by the writer and the API.
#[derive(Default)]
pub struct Metrics {
    series: Mutex<Series>,
    /// Of a node that shares its store with others.
    node: Option<Arc<NodeCounts>>,
}

/// Something that happened, kept until it is durable.
pub struct Observation {
    /// Name of the workflow or of the task type.
    name: String,
    what: Observed,
}

enum Observed {
    WorkflowStarted,
    WorkflowEnded { status: &'static str, makespan_ms: u64 },
    TaskStarted { wait_ms: u64 },
    TaskEnded { status: &'static str, run_ms: Option<u64> },
}

impl Observation {
    /// What an event that was just applied means for the metrics.
    #[must_use]
    pub fn of(event: &Event, state: &State) -> Option<Self> {
        let workflow = state.workflow(event.workflow()?)?;
        let of_workflow = |what| Some(Self { name: workflow.snapshot.def.name.clone(), what });
        match event {
            Event::WorkflowStarted { .. } => of_workflow(Observed::WorkflowStarted),
            Event::Workflow { change: WorkflowChange::Ended { status, .. }, .. } => {
                let makespan_ms = workflow.ended_at.saturating_sub(workflow.created_at);
                of_workflow(Observed::WorkflowEnded { status: status.name(), makespan_ms })
            }
            Event::Task { seq, change, at, .. } => {
                let task = workflow.task(*seq)?;
                let what = match change {
                    TaskChange::Started { .. } => {
                        Observed::TaskStarted { wait_ms: at.saturating_sub(task.ready_at) }
                    }
                    TaskChange::Ended { status, .. } => {
                        let started = (task.started_at > 0).then_some(task.started_at);
                        let run_ms = started.map(|started| task.ended_at.saturating_sub(started));
                        Observed::TaskEnded { status: status.name(), run_ms }
                    }
                    _ => return None,
                };
                Some(Self { name: workflow.node(task).task.name.clone(), what })
            }
            _ => None,
        }
    }
}

impl Metrics {
    /// The metrics of a node that shares its store with others.
    #[must_use]
    pub fn of_node(node: Arc<NodeCounts>) -> Self {
        Self { series: Mutex::default(), node: Some(node) }
    }

    fn series(&self) -> MutexGuard<'_, Series> {
        // Counting can't panic half-way.
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch is durable: `requests` of them in a frame of `bytes`, appended in `seconds`.
    pub fn appended(&self, requests: usize, bytes: usize, seconds: f64, observed: Vec<Observation>) {
        let series = &mut *self.series();
        series.append.record(seconds);
        series.frames += 1;
        series.frame_bytes += bytes as u64;
        series.batched += requests as u64;
        observed.into_iter().for_each(|observation| series.count(observation));
    }

    /// A request was answered after `seconds`. `route` is the pattern of the path.
    pub fn served(&self, method: &str, route: &str, status: u16, seconds: f64) {
        let key = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\",");
        named(&mut self.series().routes, key, || "route=\"other\",".to_owned()).record(seconds);
    }

    /// A request was refused before anything was decided.
    pub fn refused(&self, why: &'static str) {
        *self.series().refused.entry(why).or_default() += 1;
    }

    /// The exposition format, with what only the state knows, where there is one to ask.
    #[must_use]
    pub fn exposition(&self, now: Option<&Now>) -> String {
        let mut text = String::with_capacity(16 << 10);
        if let Some(now) = now {
            now.write(&mut text);
        }
        if let Some(node) = &self.node {
            node.write(&mut text);
        }
        self.series().write(&mut text);
        text
    }
}

/// What is so at the instant of a scrape.
#[derive(Debug, Default)]
pub struct Now {
    /// Workflows in memory that have not ended.
    pub in_flight: usize,
    /// Workflows in memory.
    pub in_memory: usize,
    /// Position of the next frame.
    pub position: u64,
    /// By queue: tasks in it, and the milliseconds for which the oldest could have been polled.
    pub queues: Vec<(String, usize, u64)>,
}

impl Now {
    /// Looks at the state.
    #[must_use]
    pub fn of(state: &State, now: u64) -> Self {
        let queues = state.indexes().depths().filter(|(_, depth)| *depth > 0);
        let queues = queues.take(NAMES).map(|(queue, depth)| {
            let ready = state.indexes().next_ready(queue).map_or(now, |(at, _)| at);
            (queue.to_owned(), depth, now.saturating_sub(ready))
        });
        Self {
            in_flight: state.in_flight(),
            in_memory: state.in_memory(),
            position: state.frame(),
            queues: queues.collect(),
        }
    }

    fn write(&self, text: &mut String) {
        gauge(text, "shakedown_workflows_in_flight", "workflows that have not ended", self.in_flight);
        gauge(
            text,
            "shakedown_workflows_in_memory",
            "workflows in memory, ended ones included",
            self.in_memory,
        );
        gauge(text, "shakedown_journal_position", "frames appended since the store was made", self.position);
        head(text, "shakedown_backlog_tasks", "gauge", "tasks in a queue");
        for (queue, depth, _) in &self.queues {
            let _ = writeln!(text, "shakedown_backlog_tasks{{task=\"{}\"}} {depth}", escaped(queue));
        }
        head(
            text,
            "shakedown_oldest_waiting_seconds",
            "gauge",
            "how long the first task of a queue could have been polled",
        );
        for (queue, _, age_ms) in &self.queues {
            let age_s = seconds(*age_ms);
            let _ = writeln!(text, "shakedown_oldest_waiting_seconds{{task=\"{}\"}} {age_s}", escaped(queue));
        }
    }
}

impl Series {
    fn count(&mut self, Observation { name, what }: Observation) {
        let other = || OTHER.to_owned();
        match what {
            Observed::WorkflowStarted => named(&mut self.workflows, name, other).started += 1,
            Observed::WorkflowEnded { status, makespan_ms } => {
                let workflows = named(&mut self.workflows, name, other);
                workflows.makespan.record(seconds(makespan_ms));
                *workflows.ended.entry(status).or_default() += 1;
            }
            Observed::TaskStarted { wait_ms } => {
                named(&mut self.tasks, name, other).queue_wait.record(seconds(wait_ms));
            }
            Observed::TaskEnded { status, run_ms } => {
                let tasks = named(&mut self.tasks, name, other);
                *tasks.ended.entry(status).or_default() += 1;
                if let Some(run_ms) = run_ms {
                    tasks.run_time.record(seconds(run_ms));
                }
            }
        }
    }

    fn write(&self, text: &mut String) {
        self.write_workflows(text);
        self.write_tasks(text);
        let name = "shakedown_service_time_seconds";
        head(
            text,
            name,
            "histogram",
            "from the receipt of a request to its answer; long polls include their wait",
        );
        self.routes.iter().for_each(|(labels, times)| times.write(name, labels, text));
        let name = "shakedown_append_seconds";
        head(text, name, "histogram", "to append and sync one frame of the journal");
        self.append.write(name, "", text);
        counter(text, "shakedown_frames_total", "frames appended", self.frames);
        counter(text, "shakedown_frame_bytes_total", "bytes of them", self.frame_bytes);
        counter(text, "shakedown_batched_requests_total", "requests decided in them", self.batched);
        head(text, "shakedown_refused_total", "counter", "requests refused before anything was decided");
        for (why, count) in &self.refused {
            let _ = writeln!(text, "shakedown_refused_total{{why=\"{why}\"}} {count}");
        }
    }

    fn write_workflows(&self, text: &mut String) {
        head(text, "shakedown_workflows_started_total", "counter", "workflows started");
        for (name, series) in &self.workflows {
            let _ = writeln!(
                text,
                "shakedown_workflows_started_total{{workflow=\"{}\"}} {}",
                escaped(name),
                series.started
            );
        }
        head(text, "shakedown_workflows_ended_total", "counter", "workflows that reached a terminal status");
        for (name, series) in &self.workflows {
            for (status, count) in &series.ended {
                let labels = format!("workflow=\"{}\",status=\"{status}\"", escaped(name));
                let _ = writeln!(text, "shakedown_workflows_ended_total{{{labels}}} {count}");
            }
        }
        let name = "shakedown_makespan_seconds";
        head(text, name, "histogram", "from a workflow's creation to its end");
        for (workflow, series) in &self.workflows {
            series.makespan.write(name, &format!("workflow=\"{}\",", escaped(workflow)), text);
        }
    }

    fn write_tasks(&self, text: &mut String) {
        head(text, "shakedown_tasks_ended_total", "counter", "task records that reached a terminal status");
        for (name, series) in &self.tasks {
            for (status, count) in &series.ended {
                let labels = format!("task=\"{}\",status=\"{status}\"", escaped(name));
                let _ = writeln!(text, "shakedown_tasks_ended_total{{{labels}}} {count}");
            }
        }
        let name = "shakedown_queue_wait_seconds";
        head(text, name, "histogram", "from the instant at which a task could be polled to its hand-out");
        for (task, series) in &self.tasks {
            series.queue_wait.write(name, &format!("task=\"{}\",", escaped(task)), text);
        }
        let name = "shakedown_run_time_seconds";
        head(text, name, "histogram", "from a task's first hand-out to its end");
        for (task, series) in &self.tasks {
            series.run_time.write(name, &format!("task=\"{}\",", escaped(task)), text);
        }
    }
}

/// The series of a name, or the one of all the rest when there are too many.
fn named<T: Default>(map: &mut BTreeMap<String, T>, name: String, other: impl Fn() -> String) -> &mut T {
    let known = map.len() < NAMES || map.contains_key(&name);
    map.entry(if known { name } else { other() }).or_default()
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn gauge(text: &mut String, name: &str, help: &str, value: impl std::fmt::Display) {
    head(text, name, "gauge", help);
    let _ = writeln!(text, "{name} {value}");
}

fn counter(text: &mut String, name: &str, help: &str, value: u64) {
    head(text, name, "counter", help);
    let _ = writeln!(text, "{name} {value}");
}

/// A label's value may hold anything; three characters are written otherwise.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Measures a stretch of time: seconds since it was made.
pub struct Stopwatch(u64);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(clock::monotonic_ns())
    }

    /// Seconds since the start.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        clock::monotonic_ns().saturating_sub(self.0) as f64 / 1e9
    }
}
