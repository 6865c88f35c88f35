//! Runs made up for tests: every latency in them is known, so what the measures say can be compared with it.

#![allow(dead_code, reason = "each test file uses the part that it needs")]

pub mod chaos;
pub mod killed_worker;
pub mod page;
pub mod run_dir;

use shakedown_reports::history::{
    Call, Execution, FinalTask, FinalWorkflow, Footer, Header, History, LevelEnd, LevelMark, Observed,
    Outcome, Reported, Resource, SCHEMA_VERSION, Start,
};
use shakedown_reports::plan::{Level, Model, Plan, Template, TemplateTask, Workflow};
use std::collections::BTreeMap;

/// Nanoseconds in a millisecond.
pub const MS: u64 = 1_000_000;
/// The target's epoch at harness instant 0, milliseconds.
const EPOCH_MS: u64 = 1_700_000_000_000;
/// Workflow seconds per real second in every run made here.
pub const SPEED: f64 = 100.0;

/// A level to be made: workflows of two tasks, `a` (pool `dev`) then `b` (pool `qa`), one after another.
#[derive(Clone)]
pub struct Made {
    pub name: &'static str,
    pub template: &'static str,
    pub concurrency: u32,
    pub workflows: u64,
    /// Work of each task of workflow i, milliseconds.
    pub work_ms: fn(u64) -> u64,
    /// Time in the target's queue and in the worker's hands of both tasks of workflow i, milliseconds.
    pub wait_ms: fn(u64) -> (u64, u64),
    /// How late the start of workflow i is sent, milliseconds.
    pub lag_ms: fn(u64) -> u64,
    /// How long an update takes, microseconds.
    pub update_us: fn(u64) -> u64,
    /// How long after its end a workflow is seen to have ended, milliseconds.
    pub seen_after_ms: u64,
    pub slots: u32,
    pub harness_cpu_share: f64,
    pub cap_reached: bool,
}

pub fn level(name: &'static str, workflows: u64) -> Made {
    Made {
        name,
        template: "pair",
        concurrency: 1,
        workflows,
        work_ms: |_| 1_000,
        wait_ms: |_| (2, 0),
        lag_ms: |_| 1,
        update_us: |_| 500,
        seen_after_ms: 5,
        slots: 1,
        harness_cpu_share: 0.2,
        cap_reached: false,
    }
}

/// Plan and history of a run of these levels, one after another.
pub fn run(levels: &[Made]) -> (Plan, History) {
    let mut plan = Plan::default();
    let mut history = empty();
    let mut now_ms = 1_000;
    for made in levels {
        if plan.template(made.template).is_none() {
            plan.templates.push(template(made.template));
        }
        now_ms = add_level(made, now_ms, &mut plan, &mut history) + 100;
    }
    history.footer = Some(Footer { at_ns: now_ms * MS, complete: true, reason: None, interrupted: false });
    history.truncated = false;
    (plan, history)
}

pub fn empty() -> History {
    let header = Header {
        schema_version: SCHEMA_VERSION,
        run: "made".into(),
        scenario: "made-up".into(),
        seed: 7,
        speed: SPEED,
        target: "http://127.0.0.1:8080/api".into(),
        embedded: true,
        version: "0.1.0".into(),
        started_ms: EPOCH_MS,
        started_ns: 0,
        machine: BTreeMap::from([("cores".into(), "2".into())]),
        shared_cpu: false,
        again: Vec::new(),
    };
    let text = serde_json::to_string(&shakedown_reports::history::Record::Header(header)).unwrap();
    History::parse("made", &(text + "\n")).unwrap()
}

fn template(name: &str) -> Template {
    let task = |reference: &str, pool: &str, after: &[&str]| TemplateTask {
        reference: reference.into(),
        task_type: format!("do_{reference}"),
        title: reference.into(),
        pool: pool.into(),
        nominal_s: 100.0,
        after: after.iter().map(|r| (*r).to_owned()).collect(),
        steps_s: BTreeMap::new(),
        carries: after.iter().map(|r| (*r).to_owned()).collect(),
    };
    let tasks = vec![task("a", "dev", &[]), task("b", "qa", &["a"])];
    Template { name: name.into(), tasks, critical_path_s: 200.0 }
}

fn add_level(made: &Made, began_ms: u64, plan: &mut Plan, history: &mut History) -> u64 {
    let slots = BTreeMap::from([("dev".to_owned(), made.slots), ("qa".to_owned(), made.slots)]);
    plan.levels.push(Level {
        name: made.name.into(),
        template: made.template.into(),
        mix: Vec::new(),
        model: Model::Closed,
        concurrency: made.concurrency,
        waves: 1,
        open: None,
        probes: false,
        beside: None,
        slots: slots.clone(),
        drain_s: 5.0,
    });
    history.began.push(LevelMark { level: made.name.into(), at_ns: began_ms * MS, slots });
    let mut lanes = vec![began_ms; made.concurrency as usize];
    for index in 0..made.workflows {
        let lane = (index % u64::from(made.concurrency)) as usize;
        lanes[lane] = add_workflow(made, index, lanes[lane], plan, history);
    }
    let ended_ms = lanes.into_iter().max().unwrap();
    use_cpu(history, began_ms, ended_ms, made.harness_cpu_share);
    history.ended.push(LevelEnd {
        level: made.name.into(),
        at_ns: ended_ms * MS,
        cap_reached: made.cap_reached,
    });
    ended_ms
}

/// The harness's counter goes up evenly from the beginning to the end of a level; the machine has two cores.
fn use_cpu(history: &mut History, began_ms: u64, ended_ms: u64, share: f64) {
    let before = history.resources.last().map_or(0, |r| r.cpu_ns);
    let used = (share * 2.0 * ((ended_ms - began_ms) * MS) as f64) as u64;
    for (at_ms, cpu_ns) in [(began_ms, before), (ended_ms, before + used)] {
        history.resources.push(resource("harness", 1, at_ms, cpu_ns, 20 << 20));
    }
}

/// A sample that counts CPU and memory only.
pub fn resource(process: &str, pid: u32, at_ms: u64, cpu_ns: u64, resident_bytes: u64) -> Resource {
    Resource {
        process: process.into(),
        pid,
        at_ns: at_ms * MS,
        cpu_ns,
        resident_bytes,
        threads: 1,
        read_bytes: None,
        written_bytes: None,
        io_wait_ns: None,
    }
}

fn add_workflow(made: &Made, index: u64, due_ms: u64, plan: &mut Plan, history: &mut History) -> u64 {
    let (level, id) = (made.name.to_owned(), format!("{}-{index}", made.name));
    plan.workflows.push(Workflow {
        level: level.clone(),
        index,
        correlation_id: id.clone(),
        template: None,
        due_ns: None,
        input_bytes: None,
        durations_s: BTreeMap::new(),
    });
    let sent_ms = due_ms + (made.lag_ms)(index);
    history.starts.push(Start {
        level: level.clone(),
        index,
        correlation_id: id.clone(),
        due_ns: due_ms * MS,
        sent_ns: sent_ms * MS,
        done_ns: (sent_ms + 1) * MS,
        outcome: Outcome::Ok,
        status: Some(200),
        workflow_id: Some(id.clone()),
        error: None,
        tries: 1,
    });
    let mut tasks = Vec::new();
    let mut at_ms = sent_ms;
    for (reference, pool, after) in [("a", "dev", None), ("b", "qa", Some("a"))] {
        let (execution, record) = task(made, index, &id, at_ms, (reference, pool, after));
        at_ms = execution.finished_ns / MS;
        history.executions.push(execution);
        tasks.push(record);
    }
    let seen_ms = at_ms + made.seen_after_ms;
    history.observed.push(Observed {
        level: level.clone(),
        index,
        workflow_id: id.clone(),
        done_ns: seen_ms * MS,
        status: "COMPLETED".into(),
        resolution_ns: MS,
    });
    history.calls.push(Call {
        level: level.clone(),
        op: "status".into(),
        sent_ns: (seen_ms - 1) * MS,
        done_ns: seen_ms * MS,
        outcome: Outcome::Ok,
        status: Some(200),
    });
    history.finals.push(FinalWorkflow {
        level,
        index,
        reading: 1,
        workflow_id: id,
        found: true,
        status: "COMPLETED".into(),
        reason: None,
        created_ms: EPOCH_MS + sent_ms,
        ended_ms: EPOCH_MS + at_ms,
        tasks,
    });
    seen_ms
}

fn task(
    made: &Made,
    index: u64,
    workflow_id: &str,
    scheduled_ms: u64,
    (reference, pool, after): (&str, &str, Option<&str>),
) -> (Execution, FinalTask) {
    let (queued_ms, held_ms) = (made.wait_ms)(index);
    let polled_ms = scheduled_ms + queued_ms;
    let started_ms = polled_ms + held_ms;
    let finished_ms = started_ms + (made.work_ms)(index);
    let (task_id, nonce) = (format!("{workflow_id}-{reference}"), format!("n-{workflow_id}-{reference}"));
    let execution = Execution {
        level: made.name.into(),
        index,
        workflow_id: workflow_id.into(),
        task_id: task_id.clone(),
        reference: reference.into(),
        task_type: format!("do_{reference}"),
        pool: pool.into(),
        worker: format!("{pool}-1"),
        attempt: 0,
        poll_count: 1,
        nonce: nonce.clone(),
        after: after.map(|a| (a.to_owned(), format!("n-{workflow_id}-{a}"))).into_iter().collect(),
        polled_ns: polled_ms * MS,
        started_ns: started_ms * MS,
        finished_ns: finished_ms * MS,
        planned_ns: (finished_ms - started_ms) * MS,
        reported: Reported::Completed,
        update_sent_ns: finished_ms * MS,
        update_done_ns: finished_ms * MS + (made.update_us)(index) * 1_000,
        outcome: Outcome::Ok,
        status: Some(200),
        tries: 1,
        scheduled_ms: EPOCH_MS + scheduled_ms,
        server_started_ms: EPOCH_MS + polled_ms,
        lease_s: 60.0,
        extended_ns: None,
        steps_s: BTreeMap::new(),
    };
    let record = FinalTask {
        task_id,
        reference: reference.into(),
        task_type: format!("do_{reference}"),
        status: "COMPLETED".into(),
        attempt: 0,
        poll_count: 1,
        nonce: Some(nonce),
        scheduled_ms: EPOCH_MS + scheduled_ms,
        started_ms: EPOCH_MS + polled_ms,
        ended_ms: EPOCH_MS + finished_ms,
        reason: None,
    };
    (execution, record)
}
