//! Recovery clocks and loss: planted outages come back as long as they were planted, and nothing else does.

use crate::made;
use crate::made::MS;
use crate::made::chaos::{BEGAN_MS, Drill, MadeFault, PROBE_MS, drill, kill, outage};
use crate::made::killed_worker::kill_a_worker;
use proptest::prelude::*;
use shakedown_reports::gate::{Gate, Verdict};
use shakedown_reports::history::{FaultPhase, History, NodeChange, NodeMark};
use shakedown_reports::judge::{Summary, judge};
use shakedown_reports::plan::Plan;
use shakedown_reports::plan::drill::Allowance;
use shakedown_reports::recovery::{InjectionResult, Reading, Recovery, State};

fn judged((plan, history): &(Plan, History)) -> Summary {
    judge(plan, history, &[])
}

fn recovery(made: &Drill) -> Recovery {
    judged(&drill(made)).recovery.unwrap()
}

fn only(made: &Drill) -> InjectionResult {
    recovery(made).injections.remove(0)
}

fn value(summary: &Summary, name: &str) -> Option<f64> {
    summary.measure(name).unwrap_or_else(|| panic!("no measure {name}")).value
}

/// The gap of probes, and what an acknowledgement takes.
const RESOLUTION_S: f64 = PROBE_MS as f64 / 1e3 + 0.002;

fn is_close(reading: &Reading, planted_s: f64, resolution_s: f64) -> bool {
    reading.seconds().is_some_and(|s| s >= planted_s - 0.011 && s <= planted_s + resolution_s)
}

#[test]
fn a_killed_engine_passes_with_its_clocks() {
    let run = drill(&outage(10_000, 600));
    let summary = judged(&run);
    let recovery = summary.recovery.as_ref().unwrap();
    let injection = &recovery.injections[0];
    assert_eq!(summary.verdict, Verdict::Pass, "{:#?} {:#?}", injection, summary.validity);
    assert_eq!((injection.state, injection.lost, injection.lost_s), (State::Done, Some(0), Some(0.0)));
    assert!(is_close(&injection.clocks.detect, 0.0, RESOLUTION_S), "{injection:#?}");
    assert!(is_close(&injection.clocks.first_success, 0.6, RESOLUTION_S), "{injection:#?}");
    assert!(is_close(&injection.clocks.throughput, 0.6, 0.05), "{injection:#?}");
    // 120 workflows waited, and the target does 800 a second more than arrive; the last 20 are inside of the band.
    assert!(is_close(&injection.clocks.recovered, 0.7, 0.1), "{injection:#?}");
    assert_eq!(injection.clocks.restarted_s, Some(0.12));
    assert_eq!(injection.clocks.redundancy_s, Some(0.6));
    assert_eq!(injection.probes_failed, 12);
    assert_eq!(injection.resolution_s, Some(0.05));
    assert_eq!(value(&summary, "engine-killed/mttr_s"), None, "never a mean of one");
    assert_eq!((value(&summary, "lost"), value(&summary, "engine-killed/lost")), (Some(0.0), Some(0.0)));
    let availability = value(&summary, "probes/availability").unwrap();
    assert!((availability - 468.0 / 480.0).abs() < 1e-9, "{availability}");
}

#[test]
fn a_clean_drill_with_a_kill_and_a_lease_that_ran_out_passes_every_check() {
    let (mut plan, mut history) = drill(&outage(10_000, 600));
    kill_a_worker(&mut plan, &mut history, 1_999);
    let summary = judged(&(plan, history));
    assert_eq!(summary.verdict, Verdict::Pass, "{:#?}", summary.checks);
    // One-task workflows have no order and hand nothing on; no start of theirs was refused and looked for, nobody looked
    // afterwards, and nobody took over from anybody.
    let idle: Vec<&str> = summary.checks.iter().filter(|c| !c.applies).map(|c| c.name.as_str()).collect();
    assert_eq!(idle, ["unexpected", "out_of_order", "flow", "aftermath", "fenced", "lost_by_sql"]);
    // What the worker had in hand waited for its lease.
    let injection = &summary.recovery.unwrap().injections[0];
    assert!(is_close(&injection.clocks.recovered, 2.0, 0.1), "{injection:#?}");
    assert!((injection.oldest_age_max_s.unwrap() - 2.02).abs() < 0.03, "{injection:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_planted_outage_comes_back_as_long_as_it_was(at_ms in 8_000u64..12_000, down_ms in 100u64..5_000) {
        let injection = only(&outage(at_ms, down_ms));
        let down_s = down_ms as f64 / 1e3;
        prop_assert!(is_close(&injection.clocks.detect, 0.0, RESOLUTION_S), "{injection:#?}");
        prop_assert!(is_close(&injection.clocks.first_success, down_s, RESOLUTION_S), "{injection:#?}");
        // A pause of less than a slot of 0.2 s need not show in completions per second.
        let throughput = &injection.clocks.throughput;
        prop_assert!(is_close(throughput, down_s, 0.05) || (down_ms < 200 && *throughput == Reading::NoImpact));
        // What piled up at 220 a second is worked off at 780 a second, the last 100 ms of it inside of the band.
        let drained_s = down_s + down_s * 220.0 / 780.0;
        prop_assert!(is_close(&injection.clocks.recovered, (drained_s - 0.15).max(down_s), 0.3), "{injection:#?}");
        prop_assert!(injection.clocks.recovered.seconds() >= injection.clocks.first_success.seconds());
    }
}

#[test]
fn a_backlog_that_grows_after_throughput_is_back_is_not_recovered() {
    // As many are served as arrive, so what piled up stays; after 8 s it serves faster.
    let slow = |ms: u64| if (10_000..18_000).contains(&ms) { 4_545 } else { 1_000 };
    let injection = only(&Drill { serve_us: slow, ..outage(10_000, 1_000) });
    assert!(is_close(&injection.clocks.throughput, 1.0, 0.05), "{injection:#?}");
    assert!(injection.clocks.recovered.seconds().unwrap() > 8.0, "{injection:#?}");
    let never = |ms: u64| if ms >= 10_000 { 5_200 } else { 1_000 };
    let injection = only(&Drill { serve_us: never, drain_ms: 0, ..outage(10_000, 1_000) });
    let Reading::NotWithin { s, .. } = injection.clocks.recovered else { panic!("{injection:#?}") };
    assert!((s - 14.0).abs() < 0.02, "{s}");
    assert_eq!(injection.verdict, Verdict::Fail, "10 s are allowed");
}

#[test]
fn a_backlog_that_begins_when_users_are_served_again_belongs_to_the_fault() {
    // Undone after 1 s, and users are served after 5: what they kept trying piles up then, a settle window later.
    let phases = [
        (FaultPhase::Intended, 9_990),
        (FaultPhase::Applied, 10_000),
        (FaultPhase::Healing, 11_000),
        (FaultPhase::Healed, 11_001),
    ];
    let injection = only(&Drill { down: vec![(10_000, 15_000)], ..lasting(&phases) });
    assert!(is_close(&injection.clocks.first_success, 5.0, RESOLUTION_S), "{injection:#?}");
    // A thousand waited, and 780 a second more are served than arrive.
    assert!(is_close(&injection.clocks.recovered, 6.2, 0.2), "{injection:#?}");
}

#[test]
fn what_was_undone_when_the_load_ended_was_not_looked_at_since() {
    let phases = |healed_ms: u64| {
        let before = [(FaultPhase::Intended, 9_990), (FaultPhase::Applied, 10_000)];
        let after = [(FaultPhase::Healing, healed_ms - 1), (FaultPhase::Healed, healed_ms)];
        [before, after].concat()
    };
    let seen =
        |healed_ms| only(&Drill { down: vec![], ..lasting(&phases(healed_ms)) }).clocks.recovered_after_heal;
    assert_eq!(seen(20_000), Reading::NoImpact);
    assert!(matches!(seen(24_000), Reading::Unknown { .. }), "{:?}", seen(24_000));
}

#[test]
fn a_node_that_starts_anew_long_after_a_fault_was_undone_excuses_nothing() {
    let phases = [
        (FaultPhase::Intended, 9_990),
        (FaultPhase::Applied, 10_000),
        (FaultPhase::Healing, 10_990),
        (FaultPhase::Healed, 11_000),
    ];
    let overruns = |back_ms: Option<u64>| {
        let (plan, mut history) = drill(&lasting(&phases));
        let at_ns = |ms: u64| (BEGAN_MS + ms) * MS;
        history.nodes.extend(back_ms.map(|ms| NodeMark {
            node: "engine".into(),
            change: NodeChange::Ready,
            at_ns: at_ns(ms),
            pid: 4712,
            text: String::new(),
        }));
        let quiet = at_ns(14_000)..at_ns(19_000);
        for work in history.executions.iter_mut().filter(|e| quiet.contains(&e.started_ns)) {
            work.planned_ns -= 4 * MS;
            work.finished_ns += 30 * MS;
            work.update_done_ns += 30 * MS;
        }
        let validity = judged(&(plan, history)).validity;
        validity.checks.iter().any(|c| c.name == "worker_overrun" && c.verdict == Verdict::Fail)
    };
    assert!(overruns(None) && overruns(Some(20_000)));
}

#[test]
fn a_single_success_of_a_flapping_target_is_not_the_first_one() {
    // Up for 100 ms after half a second, and then down for 1.4 s more.
    let flapping = Drill { down: vec![(10_000, 10_500), (10_600, 12_000)], ..outage(10_000, 2_000) };
    assert!(is_close(&only(&flapping).clocks.first_success, 2.0, RESOLUTION_S));
    // Gaps under a second are no full second without success.
    let short = Drill { down: vec![(10_000, 10_500), (10_600, 11_200)], ..outage(10_000, 1_200) };
    assert!(is_close(&only(&short).clocks.first_success, 0.5, RESOLUTION_S));
}

#[test]
fn what_refuses_everything_has_no_backlog_and_is_not_recovered_for_that() {
    let refusing = Drill { retried: false, ..outage(10_000, 3_000) };
    let injection = only(&refusing);
    assert!(is_close(&injection.clocks.recovered, 3.0, RESOLUTION_S), "{injection:#?}");
}

#[test]
fn a_target_that_stays_down_never_succeeds() {
    let gone = Drill { down: vec![(10_000, 99_000)], ..outage(10_000, 600) };
    let injection = only(&gone);
    let Reading::NotWithin { s, .. } = injection.clocks.first_success else { panic!("{injection:#?}") };
    assert!((13.5..=14.0).contains(&s), "{s}");
    assert!(matches!(injection.clocks.recovered, Reading::NotWithin { .. }));
    assert_eq!(injection.verdict, Verdict::Fail);
    let summary = judged(&drill(&gone));
    let measure = summary.measure("engine-killed/first_success_s").unwrap();
    assert_eq!((measure.value, measure.lo), (None, Some(s)));
    let gate = Gate {
        name: "back in 5 s".into(),
        measure: "engine-killed/first_success_s".into(),
        at_least: None,
        at_most: Some(5.0),
        sure: false,
        duration: false,
    };
    let (plan, history) = drill(&gone);
    assert_eq!(judge(&plan, &history, &[gate]).gates[0].verdict, Verdict::Fail, "it took at least 13 s");
}

#[test]
fn a_fault_that_changes_nothing_had_no_visible_impact() {
    let calm = Drill { down: Vec::new(), ..outage(10_000, 600) };
    let injection = only(&calm);
    assert!(injection.without_impact(), "{injection:#?}");
    assert_eq!(injection.verdict, Verdict::Pass);
    let summary = judged(&drill(&calm));
    let measure = summary.measure("engine-killed/recovered_s").unwrap();
    assert_eq!((measure.value, measure.method.as_str()), (Some(0.0), "no visible impact"));
}

#[test]
fn a_start_that_was_not_acknowledged_is_an_impact_though_no_probe_failed() {
    let (plan, mut history) = drill(&Drill { down: Vec::new(), ..outage(10_000, 600) });
    let start =
        history.starts.iter_mut().find(|s| s.level == "chaos" && s.done_ns > 11_000 * made::MS).unwrap();
    (start.outcome, start.workflow_id) = (shakedown_reports::history::Outcome::Unknown, None);
    let injection = judged(&(plan, history)).recovery.unwrap().injections.remove(0);
    assert_eq!((injection.starts_failed, injection.clocks.detect.clone()), (1, Reading::NoImpact));
    assert!(!injection.without_impact());
}

#[test]
fn a_lone_failure_long_after_the_fault_is_not_its_doing() {
    let blip = Drill { down: Vec::new(), probe_fails: |ms| ms == 20_025, ..outage(10_000, 600) };
    assert!(only(&blip).without_impact());
    let soon = Drill { down: Vec::new(), probe_fails: |ms| ms == 11_025, ..outage(10_000, 600) };
    assert!(is_close(&only(&soon).clocks.first_success, 1.05, RESOLUTION_S));
}

fn lasting(phases: &[(FaultPhase, u64)]) -> Drill {
    let fault = MadeFault {
        name: "engine-frozen",
        marks: phases.to_vec(),
        node: None,
        lasts_s: Some(1.0),
        ..kill(1, 10_000, 1_000)
    };
    Drill { faults: vec![fault], ..outage(10_000, 1_000) }
}

#[test]
fn what_is_not_verified_is_unknown() {
    use FaultPhase::{Applied, Healed, Healing, Intended, Missed, NotApplied, NotHealed, NotRun};
    let all = [(Intended, 9_990), (Applied, 10_000), (Healing, 11_000), (Healed, 11_010)];
    let healed = only(&lasting(&all));
    assert_eq!((healed.state, healed.verdict), (State::Done, Verdict::Pass), "{healed:#?}");
    assert!(healed.clocks.recovered_after_heal.seconds().unwrap() < 0.5, "{healed:#?}");
    for (marks, state) in [
        (vec![(Intended, 9_990)], State::NotApplied),
        (vec![(Intended, 9_990), (NotApplied, 10_000)], State::NotApplied),
        (vec![(NotRun, 9_990)], State::NotRun),
        (vec![], State::Missed),
        (vec![(Missed, 9_990)], State::Missed),
    ] {
        let injection = only(&lasting(&marks));
        assert_eq!((injection.state, injection.verdict), (state, Verdict::Unknown), "{injection:#?}");
        assert!(matches!(injection.clocks.detect, Reading::Unknown { .. }), "{injection:#?}");
        assert_eq!(judged(&drill(&lasting(&marks))).verdict, Verdict::Unknown, "nothing at all was injected");
    }
    for marks in [&all[..2], &[all[0], all[1], all[2], (NotHealed, 11_010)]] {
        let injection = only(&lasting(marks));
        assert_eq!((injection.state, injection.verdict), (State::NotHealed, Verdict::Unknown));
        assert!(matches!(injection.clocks.recovered, Reading::Unknown { .. }), "{injection:#?}");
    }
}

#[test]
fn what_this_machine_cannot_do_does_not_hide_what_it_can() {
    let mut made = outage(10_000, 600);
    let not_run = MadeFault {
        name: "packets-lost",
        marks: vec![(FaultPhase::NotRun, 1)],
        node: None,
        ..kill(1, 12_000, 1)
    };
    made.faults.push(not_run);
    let summary = judged(&drill(&made));
    assert_eq!(summary.verdict, Verdict::Pass);
    let injections = &summary.recovery.as_ref().unwrap().injections;
    assert_eq!(
        (injections[1].state, injections[1].verdict),
        (State::NotRun, Verdict::Unknown),
        "never a pass"
    );
    assert_eq!(value(&summary, "packets-lost/recovered_s"), None);
}

#[test]
fn a_fault_that_was_never_set_off_lets_nothing_pass() {
    let mut made = outage(10_000, 600);
    let missed = MadeFault {
        name: "second-kill",
        marks: vec![(FaultPhase::Missed, 19_000)],
        node: None,
        ..kill(1, 12_000, 1)
    };
    made.faults.push(missed);
    let summary = judged(&drill(&made));
    let recovery = summary.recovery.as_ref().unwrap();
    assert_eq!((recovery.injections[1].state, recovery.verdict), (State::Missed, Verdict::Unknown));
    assert_eq!(summary.verdict, Verdict::Unknown, "what was planned did not happen");
    assert_eq!(recovery.injections[0].verdict, Verdict::Pass, "the one that struck is judged");
}

#[test]
fn what_is_left_of_a_node_after_the_run_is_not_healed() {
    let mut made = outage(10_000, 600);
    let marks = vec![(FaultPhase::NotHealed, 29_000)];
    made.faults.push(MadeFault { name: "left-behind", marks, node: None, ..kill(0, 12_000, 1) });
    let summary = judged(&drill(&made));
    let left = &summary.recovery.as_ref().unwrap().injections[1];
    assert_eq!((left.state, left.verdict), (State::NotHealed, Verdict::Unknown));
    assert!(left.reason.contains("undone"), "{}", left.reason);
    assert_eq!((summary.exit_code, summary.verdict), (6, Verdict::Unknown));
}

#[test]
fn a_node_that_stands_by_is_not_missed() {
    let (plan, mut history) = drill(&outage(10_000, 600));
    let redundancy_s = |history: &History| {
        judged(&(plan.clone(), history.clone())).recovery.unwrap().injections[0].clocks.redundancy_s
    };
    history.nodes.retain(|mark| mark.change == NodeChange::Ended);
    assert_eq!(redundancy_s(&history), None, "it ended, and nobody knows why it does not come back");
    let ended = history.nodes[0].clone();
    let at_ns = ended.at_ns + 200_000_000;
    history.nodes.push(NodeMark { change: NodeChange::StandsBy, at_ns, ..ended });
    assert_eq!(redundancy_s(&history), Some(0.2));
}

#[test]
fn a_fault_that_comes_before_the_last_has_recovered_ends_what_can_be_said() {
    let faults = vec![kill(1, 10_000, 1_000), kill(2, 12_200, 500)];
    let made = Drill { down: vec![(10_000, 11_000), (12_200, 12_700)], faults, ..outage(10_000, 1_000) };
    let injections = recovery(&made).injections;
    let Reading::NotWithin { s, .. } = injections[0].clocks.recovered else { panic!("{injections:#?}") };
    assert!((1.0..1.5).contains(&s), "it was back after that, and had no time to stay: {s}");
    assert_eq!(injections[0].verdict, Verdict::Unknown, "10 s are allowed, and 2.2 were observed");
    assert!(injections[1].clocks.recovered.seconds().is_some());
}

#[test]
fn two_faults_in_force_at_once_are_one_incident() {
    let second = MadeFault { name: "link-cut", ..kill(1, 10_400, 900) };
    let made = Drill {
        down: vec![(10_000, 11_300)],
        faults: vec![kill(1, 10_000, 1_000), second],
        ..outage(10_000, 1_000)
    };
    let injections = recovery(&made).injections;
    assert_eq!(injections[0].together_with, ["link-cut"]);
    assert!(is_close(&injections[0].clocks.first_success, 1.3, RESOLUTION_S), "{injections:#?}");
    assert!(is_close(&injections[1].clocks.first_success, 0.9, RESOLUTION_S), "{injections:#?}");
}

#[test]
fn the_throughput_clock_needs_a_steady_stream_and_a_band_needs_a_baseline() {
    let thin = Drill { rate: 10, ..outage(10_000, 600) };
    let injection = only(&thin);
    let Reading::Unknown { why } = &injection.clocks.throughput else { panic!("{injection:#?}") };
    assert!(why.contains("no steady stream: 30.0 completions"), "{why}");
    assert!(injection.clocks.recovered.seconds().is_some(), "backlog needs no stream");
    let early = only(&outage(2_000, 600));
    let Reading::Unknown { why } = &early.clocks.recovered else { panic!("{early:#?}") };
    assert!(why.contains("only 2.0 s before the first fault"), "{why}");
    assert!(early.clocks.first_success.seconds().is_some(), "probes need no baseline");
}

#[test]
fn an_allowance_is_a_gate() {
    let allow = Allowance { first_success_s: Some(0.4), ..Allowance::default() };
    let fault = MadeFault { allow, ..kill(1, 10_000, 600) };
    let summary = judged(&drill(&Drill { faults: vec![fault], ..outage(10_000, 600) }));
    let injection = &summary.recovery.as_ref().unwrap().injections[0];
    assert_eq!(injection.allowances.len(), 1);
    assert_eq!((injection.allowances[0].verdict, summary.verdict), (Verdict::Fail, Verdict::Fail));
    assert!(injection.reason.contains("first success took 0.6"), "{}", injection.reason);
}

#[test]
fn judging_a_drill_again_gives_the_same() {
    let run = drill(&outage(10_000, 600));
    assert_eq!(judged(&run), judged(&run));
}

#[test]
fn a_run_without_faults_has_no_recovery() {
    let (plan, history) = made::run(&[made::level("1x", 6)]);
    assert_eq!(judge(&plan, &history, &[]).recovery, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Any number in the place of any other of a mark, a probe or a piece of work: no sum overflows, and no run becomes
    /// too long to be looked at.
    #[test]
    fn numbers_beyond_reason_never_panic(
        place in 0usize..4_000,
        number in prop::sample::select(vec![0, 1, u64::MAX >> 1, u64::MAX]),
    ) {
        let (plan, mut history) = drill(&Drill { seconds: 12, rate: 50, ..outage(8_000, 600) });
        let at = place / 8;
        match place % 8 {
            0 => history.faults[at % 2].at_ns = number,
            1 => history.nodes[at % 3].at_ns = number,
            2 => history.ended[0].at_ns = number,
            3 => history.began[0].at_ns = number,
            4 => history.starts[at].done_ns = number,
            5 => history.starts[at].due_ns = number,
            6 => history.executions[at].polled_ns = number,
            _ => history.executions[at].update_done_ns = number,
        }
        let _ = judge(&plan, &history, &[]);
    }
}
