//! Recovery over repeats, in second readings and in what others did about it.

use crate::made::chaos::{Drill, MadeFault, drill, kill, outage};
use crate::made::killed_worker::kill_a_worker;
use shakedown_reports::gate::Verdict;
use shakedown_reports::history::{FaultPhase, History, StepMark};
use shakedown_reports::judge::{Summary, judge};
use shakedown_reports::plan::Plan;
use shakedown_reports::recovery::Reading;

fn judged((plan, history): &(Plan, History)) -> Summary {
    judge(plan, history, &[])
}

fn value(summary: &Summary, name: &str) -> Option<f64> {
    summary.measure(name).unwrap_or_else(|| panic!("no measure {name}")).value
}

#[test]
fn repeats_have_a_mean_with_an_interval_and_the_worst() {
    let downs = [600, 900, 1_200];
    let at = |i: usize| 8_000 + i as u64 * 6_000;
    let faults: Vec<MadeFault> = (0..3).map(|i| kill(i as u32 + 1, at(i), downs[i])).collect();
    let down = (0..3).map(|i| (at(i), at(i) + downs[i])).collect();
    let made = Drill { seconds: 26, down, faults, ..outage(8_000, 600) };
    let summary = judged(&drill(&made));
    let each: Vec<f64> = summary
        .recovery
        .as_ref()
        .unwrap()
        .injections
        .iter()
        .map(|i| i.clocks.recovered.seconds().unwrap())
        .collect();
    let mttr = summary.measure("engine-killed/mttr_s").unwrap();
    assert!((mttr.value.unwrap() - each.iter().sum::<f64>() / 3.0).abs() < 1e-9);
    assert!(mttr.lo.unwrap() < mttr.value.unwrap() && mttr.value.unwrap() < mttr.hi.unwrap());
    let worst = value(&summary, "engine-killed/recovered_s").unwrap();
    assert!((worst - each.iter().copied().fold(0.0, f64::max)).abs() < 1e-9 && worst > 1.2, "{each:?}");
    assert_eq!(summary.verdict, Verdict::Pass);
}

#[test]
fn ten_repeats_have_a_median_whose_interval_is_the_second_and_the_ninth() {
    let downs: Vec<u64> = (1..=10).map(|i| 300 + i * 100).collect();
    let at = |i: usize| 8_000 + i as u64 * 6_000;
    let faults: Vec<MadeFault> = (0..10).map(|i| kill(i as u32 + 1, at(i), downs[i])).collect();
    let down = (0..10).map(|i| (at(i), at(i) + downs[i])).collect();
    let made = Drill { seconds: 68, down, faults, ..outage(8_000, 400) };
    let summary = judged(&drill(&made));
    let median = summary.measure("engine-killed/first_success_median_s").unwrap();
    let is_about = |value: Option<f64>, s: f64| (value.unwrap() - s).abs() < 0.1;
    assert!(
        is_about(median.value, 0.8) && is_about(median.lo, 0.5) && is_about(median.hi, 1.2),
        "{median:?}"
    );
    assert_eq!(median.n, 10);
}

#[test]
fn what_drains_only_when_nothing_arrives_has_not_recovered() {
    let (mut plan, mut history) = drill(&Drill { seconds: 11, ..outage(10_000, 600) });
    kill_a_worker(&mut plan, &mut history, 1_999);
    let injection = judged(&(plan, history)).recovery.unwrap().injections.remove(0);
    assert!(injection.clocks.first_success.seconds().is_some(), "{injection:#?}");
    assert!(matches!(injection.clocks.recovered, Reading::NotWithin { .. }), "{injection:#?}");
}

#[test]
fn what_was_not_read_a_second_time_after_faults_is_not_known_to_be_kept() {
    let (plan, mut history) = drill(&outage(10_000, 600));
    history.finals.retain(|read| read.reading == 1);
    let summary = judged(&(plan, history));
    let lost = summary.checks.iter().find(|check| check.name == "lost_start").unwrap();
    assert_eq!(lost.verdict, Verdict::Unknown);
    assert!(lost.undecided[0].what.contains("not read again"), "{:?}", lost.undecided[0]);
}

#[test]
fn what_could_not_be_healed_is_exit_code_6_whatever_else_was_seen() {
    let made = outage(10_000, 600);
    let (plan, mut history) = drill(&made);
    assert_eq!(judged(&(plan.clone(), history.clone())).exit_code, 0);
    let mut mark = history.faults.last().unwrap().clone();
    mark.phase = FaultPhase::NotHealed;
    history.faults.push(mark);
    assert_eq!(judged(&(plan, history)).exit_code, 6);
}

#[test]
fn what_a_manager_did_stands_beside_the_clocks() {
    let (plan, mut history) = drill(&outage(10_000, 600));
    let t0 = history.faults.iter().find(|mark| mark.phase == FaultPhase::Applied).unwrap().at_ns;
    let step = |step: &str, at_ms: u64| StepMark {
        who: "database".into(),
        step: step.into(),
        node: "db-a".into(),
        at_ns: t0 + at_ms * 1_000_000 - 1_000_000_000,
        text: String::new(),
    };
    // The first is from before, and the last is the second of its kind.
    history.steps = vec![
        step("writable", 900),
        step("detected", 1_200),
        step("writable", 1_450),
        step("writable", 1_500),
    ];
    let summary = judged(&(plan, history));
    let close = |name: &str, s: f64| (value(&summary, name).unwrap() - s).abs() < 1e-6;
    assert!(
        close("engine-killed/database.detected_s", 0.2) && close("engine-killed/database.writable_s", 0.45)
    );
    let phases = &summary.recovery.as_ref().unwrap().injections[0].phases;
    assert_eq!(phases.iter().map(|phase| phase.step.as_str()).collect::<Vec<_>>(), ["detected", "writable"]);
}
