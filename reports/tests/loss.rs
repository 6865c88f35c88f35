//! Loss: what was acknowledged and is gone, what came back, and which fault it is put down to.

use crate::made::MS;
use crate::made::chaos::{BEGAN_MS, Drill, MadeFault, drill, kill, outage};
use shakedown_reports::gate::Verdict;
use shakedown_reports::history::{FaultPhase, History, Outcome};
use shakedown_reports::judge::{Summary, judge};
use shakedown_reports::plan::Plan;
use shakedown_reports::plan::drill::Allowance;

fn judged((plan, history): &(Plan, History)) -> Summary {
    judge(plan, history, &[])
}

fn value(summary: &Summary, name: &str) -> Option<f64> {
    summary.measure(name).unwrap_or_else(|| panic!("no measure {name}")).value
}

/// Takes a workflow that was acknowledged so long before the fault away from what is read at the end.
fn lose(history: &mut History, before_ms: u64) {
    let latest_ns = (BEGAN_MS + 10_000 - before_ms) * MS;
    let start =
        history.starts.iter().rfind(|s| s.level == "chaos" && s.done_ns <= latest_ns).unwrap().clone();
    for reading in history.finals.iter_mut().filter(|f| f.index == start.index && f.level == "chaos") {
        reading.found = false;
        reading.tasks.clear();
    }
}

#[test]
fn loss_is_told_in_operations_and_in_seconds() {
    let mut run = drill(&outage(10_000, 600));
    lose(&mut run.1, 300);
    let summary = judged(&run);
    let injection = &summary.recovery.as_ref().unwrap().injections[0];
    // Its start, and the completion of its task.
    assert_eq!(injection.lost, Some(2));
    assert!((injection.lost_s.unwrap() - 0.3).abs() < 0.01, "{injection:#?}");
    assert_eq!((injection.verdict, summary.verdict), (Verdict::Fail, Verdict::Fail));
    assert_eq!((value(&summary, "lost"), value(&summary, "engine-killed/lost")), (Some(2.0), Some(2.0)));
    let ledger = &summary.recovery.as_ref().unwrap().ledger;
    assert_eq!((ledger.lost.len(), ledger.operations[0].lost, ledger.operations[1].lost), (2, 1, 1));
    // What was never read back is not known to be lost, and not known to be kept.
    let mut run = drill(&outage(10_000, 600));
    run.1.finals.retain(|f| f.index != 77);
    let summary = judged(&run);
    assert_eq!(value(&summary, "engine-killed/lost"), None);
    assert_eq!(summary.recovery.unwrap().injections[0].verdict, Verdict::Unknown);
}

#[test]
fn loss_belongs_to_the_fault_in_force_or_to_the_next() {
    let faults = vec![kill(1, 8_000, 600), kill(2, 16_000, 600)];
    let made = Drill { down: vec![(8_000, 8_600), (16_000, 16_600)], faults, ..outage(8_000, 600) };
    let lost_by = |at_ms: u64| {
        let mut run = drill(&made);
        lose(&mut run.1, 10_000 - at_ms);
        let injections = judged(&run).recovery.unwrap().injections;
        injections.iter().map(|i| i.lost.unwrap()).collect::<Vec<u64>>()
    };
    assert_eq!(lost_by(7_900), [2, 0]);
    assert_eq!(lost_by(8_605), [1, 1], "acknowledged while it came back; completed after");
    assert_eq!(lost_by(9_900), [0, 2]);
}

#[test]
fn an_unknown_start_that_is_there_is_recovered_and_a_refused_one_is_unexpected() {
    let mut run = drill(&outage(10_000, 600));
    let at = |history: &History, index: u64| {
        history.starts.iter().position(|s| s.level == "chaos" && s.index == index).unwrap()
    };
    let unknown = at(&run.1, 10);
    run.1.starts[unknown].outcome = Outcome::Unknown;
    run.1.starts[unknown].workflow_id = None;
    let recovered = judged(&run);
    assert_eq!(recovered.recovery.as_ref().unwrap().ledger.operations[0].recovered, 1);
    assert_eq!(value(&recovered, "unexpected"), Some(0.0));
    let refused = at(&run.1, 11);
    run.1.starts[refused].outcome = Outcome::Failed;
    assert_eq!(value(&judged(&run), "unexpected"), Some(1.0));
}

#[test]
fn an_end_that_changes_between_two_readings_is_resurrected() {
    let mut run = drill(&outage(10_000, 600));
    let again = run.1.finals.iter_mut().find(|f| f.reading == 2 && f.index == 5).unwrap();
    again.status = "RUNNING".into();
    let summary = judged(&run);
    assert_eq!((value(&summary, "resurrected"), summary.verdict), (Some(1.0), Verdict::Fail));
}

#[test]
fn how_old_the_lost_may_be_is_judged_by_the_oldest() {
    let lost_within = |most: f64| {
        let mut made = outage(10_000, 600);
        let allow = Allowance { lost_within_s: Some(most), ..Allowance::default() };
        made.faults[0].allow = allow;
        let mut run = drill(&made);
        lose(&mut run.1, 300);
        lose(&mut run.1, 2_000);
        judged(&run).recovery.unwrap().injections.swap_remove(0)
    };
    let passed = lost_within(2.5);
    assert_eq!((passed.verdict, passed.lost), (Verdict::Pass, Some(4)));
    assert!((passed.allowances[0].measured.unwrap() - 2.0).abs() < 0.05, "{passed:#?}");
    let failed = lost_within(1.5);
    assert_eq!(failed.verdict, Verdict::Fail);
    assert!(
        failed.reason.contains("the oldest of 4 lost operations was acknowledged 2.0"),
        "{}",
        failed.reason
    );
    assert!(failed.reason.contains("allowed are 1.5 s"), "{}", failed.reason);
    // Where nothing was lost it passes, and where nobody looked it is unknown.
    let mut made = outage(10_000, 600);
    made.faults[0].allow = Allowance { lost_within_s: Some(0.0), ..Allowance::default() };
    let mut run = drill(&made);
    assert_eq!(judged(&run).recovery.unwrap().injections[0].verdict, Verdict::Pass);
    run.1.finals.retain(|f| f.index != 77);
    assert_eq!(judged(&run).recovery.unwrap().injections[0].verdict, Verdict::Unknown);
}

/// A backup between what was lost and the restore does not take the blame.
#[test]
fn nothing_is_put_down_to_a_backup() {
    let backup = MadeFault {
        name: "backup",
        marks: vec![(FaultPhase::Intended, 7_995), (FaultPhase::Applied, 8_000), (FaultPhase::Healed, 8_500)],
        node: None,
        ..kill(1, 8_000, 0)
    };
    let faults = vec![backup, kill(1, 10_000, 600)];
    let mut run = drill(&Drill { faults, ..outage(10_000, 600) });
    run.0.injections[0].what = "backup".into();
    lose(&mut run.1, 1_700);
    let injections = judged(&run).recovery.unwrap().injections;
    assert_eq!((injections[0].lost, injections[0].acknowledged), (Some(0), 0));
    assert_eq!(injections[1].lost, Some(2));
    assert!((injections[1].lost_s.unwrap() - 1.7).abs() < 0.01, "{:#?}", injections[1]);
}
