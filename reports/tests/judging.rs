//! From a run to its verdict and exit code: what makes it invalid, unknown, failed.

use crate::made::{MS, Made, level, run};
use shakedown_reports::exit_code;
use shakedown_reports::gate::{Gate, Verdict};
use shakedown_reports::history::{History, Outcome, Reported};
use shakedown_reports::judge::{Summary, judge};
use shakedown_reports::plan::Plan;
use shakedown_reports::render::terminal::{Options, render};
use std::fs;
use std::path::Path;

fn gate(measure: &str, at_most: f64, duration: bool) -> Gate {
    Gate {
        name: measure.into(),
        measure: measure.into(),
        at_least: None,
        at_most: Some(at_most),
        sure: false,
        duration,
    }
}

fn sound() -> (Plan, History) {
    run(&[level("1x", 6), Made { concurrency: 3, ..level("3x", 6) }])
}

fn judged((plan, history): (Plan, History)) -> Summary {
    judge(&plan, &history, &[gate("slowdown_3x", 0.05, false), gate("1x/makespan_max_s", 300.0, true)])
}

fn altered(change: impl FnOnce(&mut History)) -> Summary {
    let (plan, mut history) = sound();
    change(&mut history);
    judged((plan, history))
}

fn failed(summary: &Summary) -> Vec<String> {
    let checks = summary.validity.checks.iter().filter(|c| c.verdict == Verdict::Fail);
    checks
        .map(|c| format!("{}{}", c.level.as_ref().map_or(String::new(), |l| format!("{l} ")), c.name))
        .collect()
}

#[test]
fn a_sound_run_passes() {
    let summary = judged(sound());
    assert_eq!((summary.verdict, summary.exit_code), (Verdict::Pass, exit_code::PASSED), "{summary:#?}");
    assert!(summary.validity.valid && summary.validity.durations_unknown.is_none());
    assert_eq!(summary.levels[1].concurrency, 3);
    assert_eq!((summary.levels[1].n, summary.levels[1].completed), (6, 6));
}

#[test]
fn judging_again_gives_the_same() {
    assert_eq!(judged(sound()), judged(sound()));
}

#[test]
fn a_gate_that_is_broken_fails_the_run() {
    let (plan, history) = sound();
    let summary = judge(&plan, &history, &[gate("1x/makespan_max_s", 100.0, false)]);
    assert_eq!((summary.verdict, summary.exit_code), (Verdict::Fail, exit_code::FAILED));
}

#[test]
fn a_gate_without_evidence_leaves_the_run_unknown() {
    let (plan, history) = sound();
    let summary = judge(&plan, &history, &[gate("1x/response_p99_s", 100.0, false)]);
    assert_eq!((summary.verdict, summary.exit_code), (Verdict::Unknown, exit_code::UNKNOWN));
    assert_eq!(summary.gates[0].reason, "no value: needs 299, has 6");
}

#[test]
fn a_breach_fails_the_run_though_every_gate_passes() {
    let summary = altered(|h| h.finals[0].tasks[1].nonce = None);
    assert!(summary.gates.iter().all(|g| g.verdict == Verdict::Pass));
    assert_eq!((summary.verdict, summary.exit_code), (Verdict::Fail, exit_code::FAILED));
}

fn is_invalid(summary: &Summary, reason: &str) {
    assert_eq!(failed(summary), [reason], "{:#?}", summary.validity);
    assert_eq!(summary.exit_code, exit_code::INVALID);
    assert!(summary.verdict >= Verdict::Unknown);
    assert!(summary.gates.iter().all(|g| g.verdict != Verdict::Pass), "no gate of an invalid run passes");
}

#[test]
fn a_late_driver_makes_the_run_invalid() {
    let late = Made { concurrency: 3, lag_ms: |_| 21, ..level("3x", 6) };
    is_invalid(&judged(run(&[level("1x", 6), late])), "3x driver_lag");
    let one_hiccup = Made { concurrency: 3, lag_ms: |i| if i == 0 { 90 } else { 1 }, ..level("3x", 6) };
    assert!(judged(run(&[level("1x", 6), one_hiccup])).validity.valid, "one of six proves nothing of a p99");
    let on_the_bound = Made { concurrency: 3, lag_ms: |_| 20, ..level("3x", 6) };
    assert!(judged(run(&[level("1x", 6), on_the_bound])).validity.valid);
}

#[test]
fn late_workers_make_the_run_invalid() {
    let summary = altered(|h| h.executions.iter_mut().for_each(|e| e.planned_ns -= 25 * MS));
    assert_eq!(failed(&summary), ["1x worker_overrun", "3x worker_overrun"]);
    assert_eq!(summary.exit_code, exit_code::INVALID);
}

#[test]
fn a_cap_or_a_busy_driver_makes_the_run_invalid() {
    is_invalid(&altered(|h| h.ended[1].cap_reached = true), "3x caps");
    let busy = |h: &mut History| {
        let grown = h.resources[3].cpu_ns - h.resources[2].cpu_ns;
        h.resources[3].cpu_ns = h.resources[2].cpu_ns + grown * 41 / 10;
    };
    is_invalid(&altered(busy), "3x driver_cpu");
    let meant = altered(|h| {
        busy(h);
        h.header.shared_cpu = true;
    });
    assert!(meant.validity.valid, "the scenario means to saturate the machine");
}

#[test]
fn accounts_that_do_not_agree_make_the_run_invalid() {
    let blind = Made { concurrency: 3, seen_after_ms: 400, ..level("3x", 6) };
    is_invalid(&judged(run(&[level("1x", 6), blind])), "3x littles_law");
}

#[test]
fn what_the_reading_interval_explains_is_no_disagreement() {
    let (plan, mut history) =
        run(&[level("1x", 6), Made { concurrency: 3, seen_after_ms: 400, ..level("3x", 6) }]);
    history.observed.iter_mut().for_each(|o| o.resolution_ns = 400 * MS);
    assert!(judged((plan, history)).validity.valid);
}

#[test]
fn a_history_that_is_not_whole_makes_the_run_invalid() {
    is_invalid(
        &altered(|h| {
            h.footer = None;
            h.truncated = true;
        }),
        "history_whole",
    );
    is_invalid(&altered(|h| h.footer.as_mut().unwrap().complete = false), "history_whole");
    let missing = altered(|h| {
        h.starts.pop();
    });
    assert!(failed(&missing).contains(&"plan_followed".to_owned()), "{:?}", failed(&missing));
    let no_end = altered(|h| {
        h.ended.pop();
    });
    assert!(failed(&no_end).contains(&"plan_followed".to_owned()));
}

#[test]
fn an_interrupt_wins_over_everything() {
    let summary = altered(|h| {
        let footer = h.footer.as_mut().unwrap();
        (footer.interrupted, footer.complete) = (true, false);
    });
    assert_eq!(summary.exit_code, exit_code::INTERRUPTED);
    assert_ne!(summary.verdict, Verdict::Pass);
}

#[test]
fn an_interrupted_run_does_not_fail_the_target() {
    let interrupt = |h: &mut History| {
        let footer = h.footer.as_mut().unwrap();
        (footer.interrupted, footer.complete) = (true, false);
        // The last workflow was ended by the harness.
        let last = h.finals.last_mut().unwrap();
        (last.status, last.tasks[1].status) = ("TERMINATED".into(), "CANCELED".into());
        h.observed.pop();
        let end = h.executions.last_mut().unwrap();
        end.reported = Reported::Nothing;
        end.outcome = Outcome::Failed;
    };
    let (plan, mut history) = sound();
    interrupt(&mut history);
    let mut gates = success_gates();
    gates.push(gate("3x/tasks_failed", 0.0, false));
    gates.push(gate("no/such", 0.0, false));
    let summary = judge(&plan, &history, &gates);
    assert_eq!(summary.verdict, Verdict::Unknown, "{:#?}", summary.checks);
    assert_eq!(summary.exit_code, exit_code::INTERRUPTED);
    for gate in &summary.gates {
        let said = (gate.verdict, gate.reason.as_str());
        assert_eq!(said, (Verdict::Unknown, "the run was interrupted"), "{}", gate.gate.name);
    }
    let shown = render(&summary, &Options { width: 200, ..Options::default() });
    assert!(shown.contains("stuck: not applicable, the run was interrupted"), "{shown}");
    assert!(!shown.contains("FAIL") && !shown.contains("drain time"), "{shown}");
    assert!(!shown.contains("workflow_success: the run was"), "said once: {shown}");
    // A breach that no interrupt explains is one.
    let breach = altered(|h| {
        interrupt(h);
        h.finals[0].tasks[1].nonce = None;
    });
    assert_eq!((breach.verdict, breach.exit_code), (Verdict::Fail, exit_code::INTERRUPTED));
}

#[test]
fn an_orchestrator_that_is_too_slow_for_the_speed_leaves_durations_unknown() {
    let slow = Made { wait_ms: |_| (30, 0), ..level("1x", 6) };
    let summary = judged(run(&[slow, Made { concurrency: 3, wait_ms: |_| (30, 0), ..level("3x", 6) }]));
    assert!(summary.validity.valid, "the run itself is sound");
    let verdicts: Vec<Verdict> = summary.gates.iter().map(|g| g.verdict).collect();
    assert_eq!(verdicts, [Verdict::Pass, Verdict::Unknown], "only the gate on durations is touched");
    assert!(summary.gates[1].reason.contains("2.9 %"), "{}", summary.gates[1].reason);
    assert_eq!(summary.exit_code, exit_code::UNKNOWN);
    assert!(summary.gates[1].reason.ends_with(": lower `speed`"));
}

#[test]
fn nobody_is_told_to_lower_the_speed_whose_gates_ask_for_no_duration() {
    let (plan, history) = run(&[Made { wait_ms: |_| (30, 0), ..level("1x", 6) }]);
    let summary = judge(&plan, &history, &[gate("1x/tasks_failed", 0.0, false)]);
    let reason = summary.validity.durations_unknown.as_deref().unwrap();
    assert!(reason.contains("2.9 % of a workflow") && !reason.contains("lower"), "{reason}");
    assert_eq!(summary.exit_code, exit_code::PASSED);
}

#[test]
fn every_gate_on_a_slowdown_that_is_shipped_is_one_on_durations() {
    let load = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/load");
    let files = fs::read_dir(load).unwrap().map(|f| fs::read_to_string(f.unwrap().path()).unwrap());
    let texts: Vec<String> = files.collect();
    let gates: Vec<&str> = texts.iter().flat_map(|t| t.split("[[gate]]").skip(1)).collect();
    let slowdowns: Vec<&&str> = gates.iter().filter(|g| g.contains("measure = \"slowdown_")).collect();
    assert_eq!(slowdowns.len(), 3);
    assert!(slowdowns.iter().all(|g| g.contains("\nduration = true\n")), "{slowdowns:?}");
}

#[test]
fn durations_are_unknown_without_a_level_that_runs_one_at_a_time() {
    let summary = judged(run(&[Made { concurrency: 3, ..level("3x", 6) }]));
    assert!(summary.validity.durations_unknown.is_some());
}

#[test]
fn the_summary_says_which_pool_is_short_when_waiting_is_material() {
    let waiting = Made { concurrency: 4, slots: 2, wait_ms: |_| (400, 0), ..level("4x", 8) };
    let summary = judged(run(&[level("1x", 6), waiting]));
    let little = Made { concurrency: 4, slots: 2, wait_ms: |_| (19, 0), ..level("4x", 8) };
    let immaterial = judged(run(&[level("1x", 6), little]));
    assert_eq!(immaterial.levels[1].bottleneck, None, "1.9 s of 200 s are not material");
    let bottleneck = summary.levels[1].bottleneck.as_ref().unwrap();
    assert_eq!(bottleneck.slots, 2);
    // Four workflows keep 4 × 100/200 = 2 slots of a pool busy if nothing waits; 2 / 0.7 rounds up to 3.
    assert_eq!((bottleneck.suggested_slots, bottleneck.enough_slots), (3, 4));
    assert!((bottleneck.wait_mean_s - 40.0).abs() < 1e-6);
    assert!(bottleneck.sentence.contains("`qa` is short") || bottleneck.sentence.contains("`dev` is short"));
}

#[test]
fn no_pool_is_short_that_has_a_slot_for_every_task() {
    let waiting = Made { concurrency: 4, slots: 4, wait_ms: |_| (400, 0), ..level("4x", 8) };
    let summary = judged(run(&[level("1x", 6), waiting]));
    assert_eq!(summary.levels[1].bottleneck, None, "the wait is the orchestrator's own");
}

#[test]
fn of_two_pools_the_one_without_slots_for_all_is_short() {
    let waiting = Made { concurrency: 4, slots: 2, wait_ms: |_| (400, 0), ..level("4x", 8) };
    for (enough, short) in [("dev", "qa"), ("qa", "dev")] {
        let (plan, mut history) = run(&[level("1x", 6), waiting.clone()]);
        history.began[1].slots.insert(enough.into(), 4);
        assert_eq!(judged((plan, history)).levels[1].bottleneck.as_ref().unwrap().pool, short);
    }
}

#[test]
fn a_pool_that_is_not_busy_in_the_mean_is_told_to_grow_all_the_same() {
    // Slots for the mean are there, so the tasks wait at peaks: 4 × 100/200 / 0.7 = 3, and 3 there are.
    let waiting = Made { concurrency: 4, slots: 3, wait_ms: |_| (400, 0), ..level("4x", 8) };
    let summary = judged(run(&[level("1x", 6), waiting]));
    assert_eq!(summary.levels[1].bottleneck.as_ref().unwrap().suggested_slots, 4);
}

#[test]
fn an_invalid_run_without_gates_does_not_pass_either() {
    let (plan, mut history) = sound();
    history.ended[1].cap_reached = true;
    let summary = judge(&plan, &history, &[]);
    assert!(summary.checks.iter().all(|c| !c.applies || c.verdict == Verdict::Pass));
    assert_eq!((summary.verdict, summary.exit_code), (Verdict::Unknown, exit_code::INVALID));
}

#[test]
fn checks_that_the_plan_gives_nothing_to_do_keep_no_run_from_passing() {
    let (mut plan, mut history) = sound();
    for task in &mut plan.templates[0].tasks {
        task.after.clear();
        task.carries.clear();
    }
    history.executions.iter_mut().for_each(|e| e.after.clear());
    let summary = judge(&plan, &history, &[]);
    let idle = |name: &str| summary.checks.iter().any(|c| c.name == name && !c.applies);
    assert!(idle("out_of_order") && idle("flow"), "{:#?}", summary.checks);
    assert_eq!(summary.exit_code, exit_code::PASSED);
}

/// The level's starts were all refused but the first `but`: nothing came of the others.
fn refused(level: &str, but: u64, history: &mut History) {
    let gone = |l: &str, index: u64| l == level && index >= but;
    for start in history.starts.iter_mut().filter(|s| gone(&s.level, s.index)) {
        (start.outcome, start.status, start.workflow_id) = (Outcome::Failed, Some(503), None);
    }
    history.executions.retain(|e| !gone(&e.level, e.index));
    history.finals.retain(|f| !gone(&f.level, f.index));
    history.observed.retain(|o| !gone(&o.level, o.index));
}

fn success_gates() -> Vec<Gate> {
    ["3x/workflow_success", "3x/task_success"]
        .map(|m| Gate { at_least: Some(0.95), at_most: None, ..gate(m, 0.0, false) })
        .to_vec()
}

#[test]
fn refused_starts_count_against_the_target() {
    let (plan, mut history) = sound();
    refused("3x", 2, &mut history);
    let summary = judge(&plan, &history, &success_gates());
    assert_eq!(summary.gates.iter().map(|g| g.verdict).collect::<Vec<_>>(), [Verdict::Fail; 2]);
    assert_eq!((summary.levels[1].completed, summary.levels[1].n), (2, 6));
    assert_eq!(summary.measure("3x/workflows_started").unwrap().value, Some(2.0));
    let followed = summary.validity.checks.iter().find(|c| c.name == "plan_followed").unwrap();
    assert!(followed.text.starts_with("12 of 12 planned workflows were asked for"), "{}", followed.text);
}

#[test]
fn a_target_that_refuses_every_start_fails() {
    let (plan, mut history) = sound();
    refused("3x", 0, &mut history);
    let summary = judge(&plan, &history, &success_gates());
    assert_eq!(summary.gates.iter().map(|g| g.verdict).collect::<Vec<_>>(), [Verdict::Fail; 2]);
    assert_eq!((summary.verdict, summary.exit_code), (Verdict::Fail, exit_code::FAILED));
    let failed = summary.measure("3x/tasks_failed").unwrap();
    assert_eq!(failed.value, None, "no task was there to fail: that is no evidence of none failing");
}

fn own_workers(summary: &Summary) -> (Verdict, &str) {
    let check = summary.validity.checks.iter().find(|c| c.name == "own_workers").unwrap();
    (check.verdict, &check.text)
}

#[test]
fn tasks_that_somebody_else_completed_make_the_run_invalid() {
    // Two tasks went to another worker: ours know neither their ids nor their nonces.
    let summary = altered(|h| {
        for at in [3, 5] {
            let id = h.executions[at].task_id.clone();
            let record = h.finals.iter_mut().flat_map(|f| &mut f.tasks).find(|t| t.task_id == id).unwrap();
            record.nonce = None;
        }
        h.executions.remove(5);
        h.executions.remove(3);
    });
    assert!(failed(&summary).contains(&"own_workers".to_owned()), "{:?}", failed(&summary));
    assert_eq!(summary.exit_code, exit_code::INVALID);
    let (_, text) = own_workers(&summary);
    assert_eq!(
        text,
        "2 tasks of ours were completed by somebody who is not a worker of this run, e.g. `b` of 1x #1 (1x-1) \
         (task 1x-1-b); does another worker or run poll the same server?"
    );
    // Ours had it in hand, and what the target keeps is from nobody that we know.
    let overtaken = altered(|h| h.finals[2].tasks[1].nonce = Some("from somewhere".into()));
    is_invalid(&overtaken, "own_workers");
    assert!(own_workers(&overtaken).1.starts_with("1 task of ours was"));
}

#[test]
fn what_the_target_does_itself_is_nobody_elses() {
    let summary = altered(|h| {
        let mut fork = h.finals[0].tasks[0].clone();
        (fork.reference, fork.task_type) = ("fork".into(), "FORK".into());
        (fork.task_id, fork.nonce) = ("1x-0-fork".into(), None);
        h.finals[0].tasks.insert(0, fork);
    });
    let said = (Verdict::Pass, "all 24 completed tasks of ours were done by workers of this run");
    assert_eq!(own_workers(&summary), said);
    assert_eq!(summary.exit_code, exit_code::PASSED);
}

#[test]
fn a_run_that_was_stopped_accuses_nobody() {
    let stopped = |h: &mut History| {
        h.footer.as_mut().unwrap().complete = false;
        h.executions.pop();
    };
    let summary = altered(stopped);
    assert_eq!(own_workers(&summary).0, Verdict::Unknown);
    let empty = altered(|h| h.finals.clear());
    assert_eq!(own_workers(&empty).0, Verdict::Unknown, "nothing was looked at");
}
