//! Open load in a made-up run: what was due and waited counts from when it was due, and what was shed is told.

use crate::made::{MS, Made, level, run};
use shakedown_reports::exit_code;
use shakedown_reports::gate::{Gate, Verdict};
use shakedown_reports::history::{History, Outcome, Shed};
use shakedown_reports::joined::Joined;
use shakedown_reports::judge::{Summary, judge};
use shakedown_reports::measure::{self, Measure};
use shakedown_reports::plan::{Model, Open, Part, Plan, Stage};

/// A level of open load for 20 s at 15 arrivals a second, of which the first 60 starts take 2 s to be accepted.
fn open() -> (Plan, History) {
    let (mut plan, mut history) = run(&[Made { concurrency: 300, ..level("open", 300) }]);
    let stages = vec![Stage::Rate { from_per_s: 15.0, to_per_s: 15.0, length_s: 20.0 }];
    plan.levels[0].model = Model::Open;
    plan.levels[0].open = Some(Open { stages, may_shed: false });
    let began_ns = history.began[0].at_ns;
    for start in &mut history.starts {
        start.due_ns = began_ns + start.index * 20_000 * MS / 300;
        start.sent_ns = start.due_ns;
        start.done_ns = start.due_ns + if start.index < 60 { 2_000 * MS } else { 10 * MS };
    }
    for observed in &mut history.observed {
        let record = &history.finals[observed.index as usize];
        let start = &history.starts[observed.index as usize];
        observed.done_ns = start.done_ns + (record.ended_ms - record.created_ms) * MS;
    }
    history.ended[0].at_ns = began_ns + 25_000 * MS;
    (plan, history)
}

fn measured(plan: &Plan, history: &History) -> Vec<Measure> {
    measure::all(&Joined::new(plan, history))
}

#[track_caller]
fn value(measures: &[Measure], name: &str) -> f64 {
    let m = measure::find(measures, name).unwrap_or_else(|| panic!("no measure {name}"));
    m.value.unwrap_or_else(|| panic!("{m:?}"))
}

#[test]
fn a_start_that_waited_counts_from_when_it_was_due_and_says_how_it_was_offered() {
    let (plan, mut history) = open();
    // The driver sent them late: that is part of what whoever asked had to wait.
    history.starts.iter_mut().filter(|s| s.index < 60).for_each(|s| s.sent_ns += 1_990 * MS);
    let m = measured(&plan, &history);
    let p95 = measure::find(&m, "open/start_response_p95_ms").unwrap();
    assert!((p95.value.unwrap() - 2_000.0).abs() < 2.0, "{p95:?}");
    assert_eq!((p95.n, p95.load), (300, Some(Model::Open)));
    assert!((value(&m, "open/start_response_p50_ms") - 10.0).abs() < 0.1);
    // Service time alone would say that all is well.
    assert!(value(&m, "open/api_p99_ms.start") < 11.0);
}

#[test]
fn what_was_refused_is_not_among_the_accepted() {
    let (plan, mut history) = open();
    history.starts.iter_mut().filter(|s| s.index < 60).for_each(|s| s.outcome = Outcome::Failed);
    let m = measured(&plan, &history);
    assert_eq!(measure::find(&m, "open/start_response_p95_ms").unwrap().n, 240);
    assert!((value(&m, "open/start_response_p95_ms") - 10.0).abs() < 0.1);
    assert!((value(&m, "open/starts_accepted_per_s") - 12.0).abs() < 1e-9);
    assert!((value(&m, "open/starts_offered_per_s") - 15.0).abs() < 1e-9);
}

/// Holds back the arrivals from 200 on.
fn shed(history: &mut History) {
    let late: Vec<_> = history.starts.extract_if(.., |s| s.index >= 200).collect();
    history.shed = late
        .iter()
        .map(|s| Shed {
            level: s.level.clone(),
            index: s.index,
            due_ns: s.due_ns,
            at_ns: s.due_ns + MS,
            in_flight: 300,
        })
        .collect();
    history.observed.retain(|o| o.index < 200);
    history.executions.retain(|e| e.index < 200);
    history.finals.retain(|f| f.index < 200);
    history.ended[0].cap_reached = true;
}

fn judged(plan: &Plan, history: &History) -> Summary {
    let gate = Gate {
        name: "all that were asked for complete".into(),
        measure: "open/workflow_success".into(),
        at_least: Some(1.0),
        at_most: None,
        sure: false,
        duration: false,
    };
    judge(plan, history, &[gate])
}

#[test]
fn arrivals_that_were_shed_make_the_run_invalid_unless_it_studies_them() {
    let (mut plan, mut history) = open();
    shed(&mut history);
    let m = measured(&plan, &history);
    assert_eq!(value(&m, "open/starts_shed"), 100.0);
    assert!((value(&m, "open/shed_ratio") - 1.0 / 3.0).abs() < 1e-9);
    let summary = judged(&plan, &history);
    assert_eq!(summary.exit_code, exit_code::INVALID, "{:?}", summary.validity.reasons());
    let reason = &summary.validity.reasons()[0];
    assert!(reason.contains("100 of 300 arrivals were shed") && reason.contains("in_flight_cap"), "{reason}");
    assert_eq!(summary.gates[0].verdict, Verdict::Unknown, "nothing passes in it");
    plan.levels[0].open.as_mut().unwrap().may_shed = true;
    let studied = judged(&plan, &history);
    assert!(studied.validity.valid, "{:?}", studied.validity.reasons());
    assert_eq!(studied.levels[0].shed, Some(100));
}

#[test]
fn a_pool_that_never_was_full_is_not_short_however_long_tasks_wait_in_a_burst() {
    let with = |slots: u32| {
        let (mut plan, mut history) = open();
        plan.levels[0].concurrency = 600;
        for mark in &mut history.began {
            mark.slots.insert("dev".into(), slots);
            mark.slots.insert("qa".into(), 10_000);
        }
        for execution in &mut history.executions {
            execution.server_started_ms += 5_000;
        }
        judged(&plan, &history).levels[0].bottleneck.clone().map(|b| b.pool)
    };
    assert_eq!(with(300).as_deref(), Some("dev"), "all 300 were at work at once");
    assert_eq!(with(301), None);
}

#[test]
fn an_arrival_that_is_neither_sent_nor_shed_is_missed() {
    let (plan, mut history) = open();
    history.starts.pop();
    let summary = judged(&plan, &history);
    assert!(summary.validity.reasons().iter().any(|r| r.contains("299 of 300")), "{summary:?}");
}

#[test]
fn both_kinds_of_load_are_labelled_everywhere() {
    let (plan, history) = open();
    let summary = judged(&plan, &history);
    let report = shakedown_reports::render::markdown::render(&summary);
    assert!(report.contains("open 15 /s"), "{report}");
    let line = report.lines().find(|l| l.contains("`open/start_response_p95_ms`")).unwrap();
    assert!(line.contains("open)"), "{line}");
    let (plan, history) = run(&[level("1x", 300)]);
    let report = shakedown_reports::render::markdown::render(&judge(&plan, &history, &[]));
    let line = report.lines().find(|l| l.contains("`1x/start_response_p95_ms`")).unwrap();
    assert!(line.contains("closed)") && report.contains("closed 1 "), "{line}");
}

#[test]
fn a_mix_tells_its_templates_apart() {
    let (mut plan, mut history) = run(&[level("mixed", 200)]);
    let mut other = plan.templates[0].clone();
    other.name = "slow".into();
    plan.templates.push(other);
    let part = |template: &str| Part { template: template.into(), weight: 1.0 };
    plan.levels[0].mix = vec![part("pair"), part("slow")];
    for workflow in plan.workflows.iter_mut().filter(|w| w.index % 2 == 1) {
        workflow.template = Some("slow".into());
    }
    for done in history.observed.iter_mut().filter(|o| o.index % 2 == 1) {
        done.done_ns += 3_000 * MS;
    }
    history.finals[1].status = "FAILED".into();
    let m = measured(&plan, &history);
    let (fast, slow) = (value(&m, "mixed/response_p50_s.pair"), value(&m, "mixed/response_p50_s.slow"));
    assert!((slow - fast - 3.0).abs() < 0.02, "{fast} {slow}");
    assert_eq!(value(&m, "mixed/workflow_success.pair"), 1.0);
    assert!((value(&m, "mixed/workflow_success.slow") - 0.99).abs() < 1e-9);
    assert_eq!(judge(&plan, &history, &[]).levels[0].template, "pair + slow");
}

#[test]
fn a_backlog_that_grows_has_a_slope_and_one_that_does_not_has_none() {
    // Every workflow waits longer than the one before it, so more and more of them wait at once.
    let waits = |wait_ms: fn(u64) -> (u64, u64)| {
        let (mut plan, mut history) = run(&[Made { concurrency: 300, wait_ms, ..level("open", 300) }]);
        plan.levels[0].model = Model::Open;
        let epoch_ms = history.finals[0].created_ms;
        for record in &mut history.finals {
            let by_ms = record.index * 100;
            assert!(record.created_ms >= epoch_ms);
            record.created_ms += by_ms;
            record.ended_ms += by_ms;
            for task in &mut record.tasks {
                (task.scheduled_ms, task.started_ms) = (task.scheduled_ms + by_ms, task.started_ms + by_ms);
                task.ended_ms += by_ms;
            }
        }
        measured(&plan, &history)
    };
    let growing = waits(|i| (i * 50, 0));
    let slope = measure::find(&growing, "open/queue_depth_growth_per_min").unwrap();
    assert!(slope.lo.unwrap() > 10.0, "{slope:?}");
    assert!(value(&growing, "open/queue_depth_max") > 80.0);
    let steady = waits(|_| (300, 0));
    let slope = measure::find(&steady, "open/queue_depth_growth_per_min").unwrap();
    assert!(slope.lo.unwrap() < 6.0 && slope.value.unwrap().abs() < 6.0, "{slope:?}");
    // Ten arrivals a second, two tasks each, 0.3 s of waiting each: six wait at a time.
    assert!((value(&steady, "open/queue_depth_mean") - 6.0).abs() < 1.0);
}

#[test]
fn workflows_that_take_longer_and_longer_drift() {
    let drift = |work_ms: fn(u64) -> u64| {
        let (mut plan, history) = run(&[Made { work_ms, ..level("1x", 40) }]);
        for workflow in &mut plan.workflows {
            workflow.durations_s = [("a".to_owned(), 100.0), ("b".to_owned(), 100.0)].into();
        }
        let m = measured(&plan, &history);
        let drift = measure::find(&m, "1x/makespan_drift_per_min").unwrap().clone();
        (drift.lo.unwrap(), drift.value.unwrap(), drift.hi.unwrap())
    };
    // 40 workflows of 2 s: 80 s in which the last takes 40 % more than the first.
    let (lo, value, _) = drift(|i| 1_000 + 10 * i);
    assert!(lo > 0.15 && value < 0.35, "{lo} {value}");
    let (lo, value, hi) = drift(|i| 1_000 + (i * 7) % 11);
    assert!(lo <= 0.0 && hi >= 0.0 && value.abs() < 0.01, "{lo} {value} {hi}");
}
