//! Runs with faults made up for tests: a target that is down when it is said to be, and serves in order otherwise.

use super::{MS, empty};
use shakedown_reports::history::{
    Execution, FaultMark, FaultPhase, FinalTask, FinalWorkflow, Footer, History, LevelEnd, LevelMark,
    NodeChange, NodeMark, Observed, Outcome, Reported, Start,
};
use shakedown_reports::plan::drill::{Allowance, ConfiguredTimer, Injection, Terms};
use shakedown_reports::plan::{Level, Model, Open, Plan, Stage, Template, TemplateTask, Workflow};
use std::collections::BTreeMap;

/// The target's epoch at harness instant 0, milliseconds.
const EPOCH_MS: u64 = 1_700_000_000_000;
/// How long the work of a task takes, milliseconds.
const WORK_MS: u64 = 5;
/// Milliseconds between two probes.
pub const PROBE_MS: u64 = 50;
/// The load begins here, milliseconds after the run.
pub const BEGAN_MS: u64 = 1_000;

/// A drill to be made: instants are milliseconds since the load began.
#[derive(Clone)]
pub struct Drill {
    pub seconds: u64,
    /// Arrivals per second of one-task workflows.
    pub rate: u64,
    /// When the target is down: starts are refused, nothing is served or taken.
    pub down: Vec<(u64, u64)>,
    /// Microseconds that it takes to hand one task out, by the instant.
    pub serve_us: fn(u64) -> u64,
    /// Probes that fail though the target is up.
    pub probe_fails: fn(u64) -> bool,
    /// True: a start that finds the target down is tried until it is up.
    pub retried: bool,
    /// Injections with their marks.
    pub faults: Vec<MadeFault>,
    /// Milliseconds after the load by which everything is read.
    pub drain_ms: u64,
}

/// An injection to be made.
#[derive(Clone)]
pub struct MadeFault {
    pub name: &'static str,
    pub injection: u32,
    pub marks: Vec<(FaultPhase, u64)>,
    /// When its node ended, was started, and was ready.
    pub node: Option<[u64; 3]>,
    pub lasts_s: Option<f64>,
    pub allow: Allowance,
}

/// A kill that is known to be in effect at once and whose node is back after a while.
pub fn kill(injection: u32, at_ms: u64, down_ms: u64) -> MadeFault {
    MadeFault {
        name: "engine-killed",
        injection,
        marks: vec![(FaultPhase::Intended, at_ms - 5), (FaultPhase::Applied, at_ms)],
        node: Some([at_ms, at_ms + down_ms / 5, at_ms + down_ms]),
        lasts_s: None,
        allow: Allowance {
            first_success_s: Some(5.0),
            recovered_s: Some(10.0),
            lost: Some(0),
            ..Allowance::default()
        },
    }
}

/// A target that is down once, for so long, and then serves 1,000 tasks a second.
pub fn outage(at_ms: u64, down_ms: u64) -> Drill {
    Drill {
        seconds: 24,
        rate: 200,
        down: vec![(at_ms, at_ms + down_ms)],
        serve_us: |_| 1_000,
        probe_fails: |_| false,
        retried: true,
        faults: vec![kill(1, at_ms, down_ms)],
        drain_ms: 3_000,
    }
}

pub fn terms() -> Terms {
    Terms { baseline_s: 6.0, settle_s: 2.0, probe_deadline_s: 0.25, throughput_band: 0.1, compares: false }
}

/// The injection of the plan that belongs to a made fault.
pub fn planned(fault: &MadeFault) -> Injection {
    Injection {
        fault: fault.name.into(),
        injection: fault.injection,
        level: "chaos".into(),
        what: "kill".into(),
        on: "engine".into(),
        trigger: "after a while".into(),
        at_s: None,
        lasts_s: fault.lasts_s,
        details: serde_json::json!({ "fault": "kill" }),
        allow: fault.allow,
        timers: vec![ConfiguredTimer { name: "restart delay".into(), seconds: 0.1 }],
    }
}

/// Plan and history of a drill.
pub fn drill(made: &Drill) -> (Plan, History) {
    let mut plan = Plan { templates: vec![template()], terms: Some(terms()), ..Plan::default() };
    let mut history = empty();
    plan.injections = made.faults.iter().map(planned).collect();
    plan.levels = vec![level("chaos", made, made.rate), probes(made)];
    let end_ms = BEGAN_MS + made.seconds * 1_000 + made.drain_ms;
    for level in ["chaos", "probes"] {
        let slots = BTreeMap::from([("dev".to_owned(), 50)]);
        history.began.push(LevelMark { level: level.into(), at_ns: BEGAN_MS * MS, slots });
        history.ended.push(LevelEnd { level: level.into(), at_ns: end_ms * MS, cap_reached: false });
    }
    marks(made, &mut history);
    let mut target = Target { made, free_us: 0 };
    let step_us = 1_000_000 / made.rate;
    let load = (0..made.seconds * made.rate).map(|i| (i * step_us, "chaos", i));
    // Half a step off, so that no probe is due at the very instant of a fault.
    let beside = (0..made.seconds * 1_000 / PROBE_MS).map(|i| ((i * PROBE_MS + 25) * 1_000, "probes", i));
    let mut arrivals: Vec<(u64, &str, u64)> = load.chain(beside).collect();
    arrivals.sort_unstable();
    for (due_us, level, index) in arrivals {
        target.workflow(level, index, due_us, end_ms, &mut plan, &mut history);
    }
    history.footer =
        Some(Footer { at_ns: (end_ms + 500) * MS, complete: true, reason: None, interrupted: false });
    history.truncated = false;
    (plan, history)
}

fn marks(made: &Drill, history: &mut History) {
    let at_ns = |ms: u64| (BEGAN_MS + ms) * MS;
    for fault in &made.faults {
        for (phase, ms) in &fault.marks {
            history.faults.push(FaultMark {
                fault: fault.name.into(),
                injection: fault.injection,
                phase: *phase,
                at_ns: at_ns(*ms),
                node: Some("engine".into()),
                evidence: "process 4711 is gone (signal 9)".into(),
            });
        }
        let changes = [NodeChange::Ended, NodeChange::Started, NodeChange::Ready];
        for (change, ms) in changes.into_iter().zip(fault.node.into_iter().flatten()) {
            let (node, text) = ("engine".to_owned(), String::new());
            history.nodes.push(NodeMark { node, change, at_ns: at_ns(ms), pid: 4711, text });
        }
    }
}

fn template() -> Template {
    let task = TemplateTask {
        reference: "t".into(),
        task_type: "do_t".into(),
        title: "The task".into(),
        pool: "dev".into(),
        nominal_s: 0.5,
        after: Vec::new(),
        steps_s: BTreeMap::new(),
        carries: Vec::new(),
    };
    Template { name: "single".into(), tasks: vec![task], critical_path_s: 0.5 }
}

fn level(name: &str, made: &Drill, rate: u64) -> Level {
    let length_s = made.seconds as f64;
    let stage = Stage::Rate { from_per_s: rate as f64, to_per_s: rate as f64, length_s };
    Level {
        name: name.into(),
        template: "single".into(),
        mix: Vec::new(),
        model: Model::Open,
        concurrency: 100_000,
        waves: 0,
        open: Some(Open { stages: vec![stage], may_shed: false }),
        probes: false,
        beside: None,
        slots: BTreeMap::from([("dev".to_owned(), 50)]),
        drain_s: 5.0,
    }
}

fn probes(made: &Drill) -> Level {
    Level { probes: true, beside: Some("chaos".into()), ..level("probes", made, 1_000 / PROBE_MS) }
}

/// The target: first come, first served, and nothing while it is down.
struct Target<'a> {
    made: &'a Drill,
    free_us: u64,
}

impl Target<'_> {
    /// The instant from which on it is up.
    fn up_us(&self, at_us: u64) -> u64 {
        let hit = self.made.down.iter().find(|(from, to)| (from * 1_000..to * 1_000).contains(&at_us));
        hit.map_or(at_us, |(_, to)| to * 1_000)
    }

    fn workflow(
        &mut self,
        level: &str,
        index: u64,
        due_us: u64,
        end_ms: u64,
        plan: &mut Plan,
        history: &mut History,
    ) {
        let id = format!("{level}-{index}");
        plan.workflows.push(Workflow {
            level: level.into(),
            index,
            correlation_id: id.clone(),
            template: None,
            due_ns: Some(due_us * 1_000),
            input_bytes: None,
            durations_s: BTreeMap::new(),
        });
        let up_us = self.up_us(due_us);
        let is_probe = level == "probes";
        let waits = self.made.retried && !is_probe;
        let refused = (up_us > due_us && !waits) || (is_probe && (self.made.probe_fails)(due_us / 1_000));
        let done_us = if refused { due_us + 500 } else { up_us + 1_000 };
        history.starts.push(Start {
            level: level.into(),
            index,
            correlation_id: id.clone(),
            due_ns: at_ns(due_us),
            sent_ns: at_ns(due_us),
            done_ns: at_ns(done_us),
            outcome: if refused { Outcome::Failed } else { Outcome::Ok },
            status: (!refused).then_some(200),
            workflow_id: (!refused).then(|| id.clone()),
            error: refused.then(|| "connection refused".to_owned()),
            tries: 1,
        });
        if !refused {
            self.serve(level, index, &id, done_us, end_ms, history);
        }
    }

    fn serve(
        &mut self,
        level: &str,
        index: u64,
        id: &str,
        ready_us: u64,
        end_ms: u64,
        history: &mut History,
    ) {
        let polled_us = self.up_us(self.up_us(ready_us).max(self.free_us));
        self.free_us = polled_us + (self.made.serve_us)(polled_us / 1_000);
        let finished_us = polled_us + WORK_MS * 1_000;
        let done_us = self.up_us(finished_us) + 1_000;
        let execution = execution(level, index, id, ready_us, polled_us, finished_us, done_us);
        let seen_us = done_us + 2_000;
        let over = at_ns(seen_us) > end_ms * MS;
        history.observed.push(Observed {
            level: level.into(),
            index,
            workflow_id: id.into(),
            done_ns: at_ns(seen_us).min(end_ms * MS),
            status: if over { "RUNNING" } else { "COMPLETED" }.into(),
            resolution_ns: MS,
        });
        let task = FinalTask {
            task_id: execution.task_id.clone(),
            reference: "t".into(),
            task_type: "do_t".into(),
            status: "COMPLETED".into(),
            attempt: 0,
            poll_count: 1,
            nonce: Some(execution.nonce.clone()),
            scheduled_ms: EPOCH_MS + ready_us / 1_000,
            started_ms: EPOCH_MS + polled_us / 1_000,
            ended_ms: EPOCH_MS + done_us / 1_000,
            reason: None,
        };
        for reading in [1, 2] {
            history.finals.push(FinalWorkflow {
                level: level.into(),
                index,
                reading,
                workflow_id: id.into(),
                found: true,
                status: "COMPLETED".into(),
                reason: None,
                created_ms: EPOCH_MS + (ready_us - 1_000) / 1_000,
                ended_ms: EPOCH_MS + done_us / 1_000,
                tasks: vec![task.clone()],
            });
        }
        history.executions.push(execution);
    }
}

fn at_ns(us: u64) -> u64 {
    BEGAN_MS * MS + us * 1_000
}

fn execution(
    level: &str,
    index: u64,
    id: &str,
    ready_us: u64,
    polled_us: u64,
    finished_us: u64,
    done_us: u64,
) -> Execution {
    Execution {
        level: level.into(),
        index,
        workflow_id: id.into(),
        task_id: format!("{id}-t"),
        reference: "t".into(),
        task_type: "do_t".into(),
        pool: "dev".into(),
        worker: format!("dev-{}", index % 50),
        attempt: 0,
        poll_count: 1,
        nonce: format!("n-{id}"),
        after: BTreeMap::new(),
        polled_ns: at_ns(polled_us),
        started_ns: at_ns(polled_us),
        finished_ns: at_ns(finished_us),
        planned_ns: WORK_MS * MS,
        reported: Reported::Completed,
        update_sent_ns: at_ns(finished_us),
        update_done_ns: at_ns(done_us),
        outcome: Outcome::Ok,
        status: Some(200),
        tries: 1,
        scheduled_ms: EPOCH_MS + ready_us / 1_000,
        server_started_ms: EPOCH_MS + polled_us / 1_000,
        lease_s: 10.0,
        extended_ns: None,
        steps_s: BTreeMap::new(),
    }
}
