//! Known latencies go in; the measures must give them back, on the right clock, with the right n.

use crate::made::{MS, Made, level, run};
use shakedown_reports::history::{Call, Outcome, Reported};
use shakedown_reports::joined::Joined;
use shakedown_reports::measure::{self, Clock, Measure};

fn measures(levels: &[Made]) -> Vec<Measure> {
    let (plan, history) = run(levels);
    measure::all(&Joined::new(&plan, &history))
}

fn named<'m>(measures: &'m [Measure], name: &str) -> &'m Measure {
    measure::find(measures, name).unwrap_or_else(|| panic!("no measure {name}"))
}

fn value(measures: &[Measure], name: &str) -> f64 {
    let m = named(measures, name);
    m.value.unwrap_or_else(|| panic!("{m:?}"))
}

fn close(measured: f64, known: f64) {
    assert!((measured - known).abs() <= known.abs() * 0.001 + 1e-9, "measured {measured}, known {known}");
}

#[test]
fn durations_are_given_back_in_workflow_time() {
    // Two tasks of 1 s, each after 2 ms in the queue, at 100 workflow seconds a second.
    let m = measures(&[Made { work_ms: |i| 1_000 + i, ..level("1x", 7) }]);
    close(value(&m, "1x/makespan_min_s"), 200.4);
    close(value(&m, "1x/makespan_max_s"), 201.6);
    close(value(&m, "1x/makespan_p50_s"), 201.0);
    close(value(&m, "1x/task_run_p50_s.a"), 100.3);
    assert_eq!(named(&m, "1x/makespan_p50_s").clock, Clock::Workflow);
    assert_eq!(named(&m, "1x/makespan_max_s").method, "all of n");
    // Due to seen: lag 1 ms, then the makespan, then 5 ms until it was seen. Real time.
    close(value(&m, "1x/response_p50_s"), 1e-3 + 2.010 + 5e-3);
    assert_eq!(named(&m, "1x/response_p50_s").clock, Clock::Harness);
}

#[test]
fn overhead_is_the_makespan_less_the_path_of_real_run_times() {
    let m = measures(&[Made { wait_ms: |i| (10 + i, 5), ..level("1x", 7) }]);
    close(value(&m, "1x/overhead_p50_ms"), 2.0 * (13.0 + 5.0));
    close(value(&m, "1x/overhead_max_ratio"), 42.0 / 2_042.0);
    close(value(&m, "1x/overhead_max_ms"), 42.0);
}

#[test]
fn overhead_leaves_retried_workflows_out() {
    let (plan, mut history) = run(&[level("1x", 6)]);
    history.finals[0].tasks[0].attempt = 1;
    let m = measure::all(&Joined::new(&plan, &history));
    assert_eq!(named(&m, "1x/overhead_max_ratio").n, 5);
}

#[test]
fn waits_add_the_queue_of_the_target_and_the_hands_of_the_worker() {
    let m = measures(&[Made { wait_ms: |i| (i + 1, 3), ..level("10x", 200) }]);
    let p99 = named(&m, "10x/queue_wait_p99_s");
    assert_eq!(p99.n, 400, "both tasks of every workflow");
    // 400 waits of 4 to 203 ms, two of each; the rank of p99 is 396, which is 198 + 3 ms; × 100.
    close(p99.value.unwrap(), 20.1);
    assert!(p99.lo.unwrap() < 20.1 && p99.hi.unwrap() > 20.1);
    close(value(&m, "10x/queue_wait_max_s"), 20.3);
    close(value(&m, "10x/pool_wait_mean_s.dev"), (100.5 + 3.0) / 10.0);
    assert_eq!(named(&m, "10x/pool_wait_p99_s.dev").missing.as_deref(), Some("needs 299"));
}

#[test]
fn only_a_first_hand_out_waits_for_nothing_but_its_turn() {
    let (plan, mut history) = run(&[level("1x", 6)]);
    history.executions[0].attempt = 1;
    history.executions[1].poll_count = 2;
    let m = measure::all(&Joined::new(&plan, &history));
    assert_eq!(named(&m, "1x/queue_wait_p50_s").n, 10);
}

#[test]
fn percentiles_need_their_samples_and_say_so() {
    let m = measures(&[level("1x", 4)]);
    for (name, missing) in [
        ("1x/makespan_p50_s", "needs 5"),
        ("1x/response_p95_s", "needs 59"),
        ("1x/response_p99_s", "needs 299"),
        ("1x/queue_wait_p99_s", "needs 299"),
    ] {
        let m = named(&m, name);
        assert_eq!((m.value, m.missing.as_deref()), (None, Some(missing)), "{name}");
    }
}

#[test]
fn api_times_are_of_answered_requests_sent_once() {
    let one_slow = Made { update_us: |i| if i == 0 { 900_000 } else { 2_000 }, ..level("1x", 100) };
    let (plan, mut history) = run(&[one_slow]);
    let m = measure::all(&Joined::new(&plan, &history));
    // 100 starts and 100 status reads of 1 ms, 200 updates of which two are slow.
    assert_eq!(named(&m, "1x/api_p99_ms").n, 400);
    close(value(&m, "1x/api_p50_ms"), 1.0);
    close(value(&m, "1x/api_p50_ms.update"), 2.0);
    close(named(&m, "1x/api_p99_ms").hi.unwrap(), 900.0);
    history.executions[0].tries = 2;
    history.executions[1].outcome = Outcome::Unknown;
    history.calls[0].outcome = Outcome::Failed;
    history.calls[1].op = "poll_empty".into();
    let m = measure::all(&Joined::new(&plan, &history));
    assert_eq!(named(&m, "1x/api_p99_ms").n, 396);
}

/// A poll of a worker: it serves any level, so it names none.
fn poll(op: &str, sent_ns: u64, outcome: Outcome) -> Call {
    let status = (outcome == Outcome::Failed).then_some(503);
    Call { level: String::new(), op: op.into(), sent_ns, done_ns: sent_ns + MS, outcome, status }
}

#[test]
fn every_request_that_was_not_answered_with_a_yes_is_counted() {
    let (plan, mut history) = run(&[level("1x", 10)]);
    // 10 starts, 20 updates, 10 reads of a status, and the 20 polls that handed the tasks out.
    let m = measure::all(&Joined::new(&plan, &history));
    let errors = named(&m, "1x/error_ratio");
    assert_eq!((errors.value, errors.n, errors.unit.as_str()), (Some(0.0), 60, "ratio"));
    history.starts[0].outcome = Outcome::Failed;
    history.starts[1].outcome = Outcome::Unknown;
    history.calls[0].outcome = Outcome::Failed;
    // Taken at the third try; refused at the second; never answered in four.
    (history.executions[0].outcome, history.executions[0].tries) = (Outcome::Ok, 3);
    (history.executions[1].outcome, history.executions[1].tries) = (Outcome::Failed, 2);
    (history.executions[2].outcome, history.executions[2].tries) = (Outcome::Unknown, 4);
    // A worker that was ended reported nothing.
    (history.executions[3].reported, history.executions[3].outcome) = (Reported::Nothing, Outcome::Failed);
    let m = measure::all(&Joined::new(&plan, &history));
    assert_eq!((value(&m, "1x/requests_failed"), value(&m, "1x/requests_unknown")), (6.0, 5.0));
    assert_eq!(named(&m, "1x/error_ratio").n, 60 + 2 + 1 + 3 - 1);
    close(value(&m, "1x/error_ratio"), 11.0 / 65.0);
}

#[test]
fn polls_belong_to_the_level_in_whose_window_they_were_sent() {
    let (plan, mut history) = run(&[level("1x", 10), level("3x", 10)]);
    let (first, second) = (history.began[0].at_ns, history.began[1].at_ns);
    history.calls.extend([
        poll("poll", first - MS, Outcome::Failed),
        poll("poll", first, Outcome::Failed),
        poll("poll_empty", first + MS, Outcome::Ok),
        poll("poll", history.ended[0].at_ns, Outcome::Failed),
        poll("poll", second + MS, Outcome::Unknown),
        poll("poll", second + MS, Outcome::Failed),
        poll("poll", history.ended[1].at_ns + MS, Outcome::Failed),
    ]);
    let m = measure::all(&Joined::new(&plan, &history));
    assert_eq!((value(&m, "1x/requests_failed"), value(&m, "1x/requests_unknown")), (1.0, 0.0));
    assert_eq!((value(&m, "3x/requests_failed"), value(&m, "3x/requests_unknown")), (1.0, 1.0));
    close(value(&m, "1x/error_ratio"), 1.0 / 62.0);
    close(value(&m, "3x/error_ratio"), 2.0 / 62.0);
    // 10 starts, 20 updates, 10 reads: how long a poll takes says nothing of how fast the target answers.
    assert_eq!(named(&m, "1x/api_p50_ms").n, 40);
    assert!(measure::find(&m, "1x/api_p50_ms.poll_empty").is_none());
    // Of a level that was cut off, all that came after its beginning is part of it.
    history.ended.pop();
    let m = measure::all(&Joined::new(&plan, &history));
    assert_eq!(value(&m, "3x/requests_failed"), 2.0);
}

#[test]
fn one_poll_that_hands_out_several_tasks_is_one_request() {
    let (plan, mut history) = run(&[level("1x", 10)]);
    let polled_ns = history.executions[0].polled_ns;
    history.executions.iter_mut().for_each(|e| e.polled_ns = polled_ns);
    let m = measure::all(&Joined::new(&plan, &history));
    assert_eq!(named(&m, "1x/error_ratio").n, 42, "one poll of each type");
}

#[test]
fn success_counts_what_was_asked_for() {
    let (plan, mut history) = run(&[level("1x", 10)]);
    // One was refused, one not answered and found, one not answered and not found, one failed in its second task.
    history.starts[0].outcome = Outcome::Failed;
    history.starts[1].outcome = Outcome::Unknown;
    history.starts[2].outcome = Outcome::Unknown;
    history.starts[2].workflow_id = None;
    history.finals[2].found = false;
    history.finals[3].status = "FAILED".into();
    history.finals[3].tasks[1].status = "FAILED".into();
    let m = measure::all(&Joined::new(&plan, &history));
    assert_eq!((value(&m, "1x/workflows_started"), value(&m, "1x/workflows_completed")), (8.0, 7.0));
    close(value(&m, "1x/workflow_success"), 7.0 / 10.0);
    close(value(&m, "1x/task_success"), 15.0 / 20.0);
    assert_eq!((named(&m, "1x/workflow_success").n, named(&m, "1x/task_success").n), (10, 20));
    assert_eq!((value(&m, "1x/tasks_failed"), value(&m, "1x/task_attempts_failed")), (1.0, 1.0));
    assert_eq!((value(&m, "1x/starts_failed"), value(&m, "1x/starts_unknown")), (1.0, 2.0));
}

#[test]
fn a_task_that_was_never_reached_did_not_succeed() {
    let (plan, mut history) = run(&[level("1x", 2)]);
    history.finals[0].status = "FAILED".into();
    history.finals[0].tasks[0].status = "FAILED".into();
    history.finals[0].tasks.truncate(1);
    let m = measure::all(&Joined::new(&plan, &history));
    close(value(&m, "1x/task_success"), 2.0 / 4.0);
    assert_eq!(value(&m, "1x/tasks_failed"), 1.0, "only one record failed");
}

#[test]
fn a_retried_task_that_completes_did_not_fail() {
    let (plan, mut history) = run(&[level("1x", 1)]);
    let mut second = history.finals[0].tasks[0].clone();
    history.finals[0].tasks[0].status = "TIMED_OUT".into();
    second.attempt = 1;
    second.task_id = "again".into();
    history.finals[0].tasks.push(second);
    let m = measure::all(&Joined::new(&plan, &history));
    assert_eq!((value(&m, "1x/tasks_failed"), value(&m, "1x/task_attempts_failed")), (0.0, 1.0));
    close(value(&m, "1x/task_success"), 1.0);
}

#[test]
fn accepted_is_what_was_reported_done_and_not_refused_and_is_what_the_target_keeps() {
    let accepted = |change: fn(&mut shakedown_reports::history::History)| {
        let (plan, mut history) = run(&[level("1x", 1)]);
        change(&mut history);
        Joined::new(&plan, &history).levels[0].workflows[0].accepted("a").is_some()
    };
    assert!(accepted(|_| ()));
    assert!(
        accepted(|h| h.executions[0].outcome = Outcome::Unknown),
        "the answer was lost, the record tells"
    );
    assert!(!accepted(|h| h.executions[0].outcome = Outcome::Failed));
    assert!(!accepted(|h| h.executions[0].reported = Reported::InProgress));
    assert!(!accepted(|h| h.finals[0].tasks[0].nonce = Some("another".into())));
    assert!(!accepted(|h| h.finals[0].tasks[0].status = "TIMED_OUT".into()));
}

#[test]
fn nothing_started_gives_no_ratios() {
    let (plan, mut history) = run(&[level("1x", 2)]);
    history.starts.clear();
    let m = measure::all(&Joined::new(&plan, &history));
    for name in ["1x/workflow_success", "1x/task_success", "1x/tasks_failed"] {
        assert_eq!(named(&m, name).value, None, "{name}: none of nothing is not a zero");
    }
}

#[test]
fn slowdown_is_paired_by_index() {
    // Workflows differ tenfold in length, and each is 4 % longer at 3x; unpaired medians would drown it.
    let one = Made { work_ms: |i| 1_000 * (i + 1), wait_ms: |_| (0, 0), ..level("1x", 6) };
    let three = Made { work_ms: |i| 1_040 * (i + 1), wait_ms: |_| (0, 0), concurrency: 3, ..level("3x", 9) };
    let m = measures(&[one, three]);
    let slowdown = named(&m, "slowdown_3x");
    assert_eq!(slowdown.n, 6, "only indices that both levels have");
    close(slowdown.value.unwrap(), 0.04);
    assert_eq!(slowdown.method, "median of paired ratios");
}

#[test]
fn the_saving_takes_the_pair_that_flatters_least() {
    let baseline = Made {
        template: "before",
        work_ms: |i| 2_000 + 100 * i,
        wait_ms: |_| (0, 0),
        ..level("baseline-1x", 2)
    };
    let after = Made { work_ms: |i| 1_000 + 100 * i, wait_ms: |_| (0, 0), ..level("1x", 3) };
    let m = measures(&[baseline, after]);
    close(value(&m, "saving_vs_baseline"), 1.0 - 2_400.0 / 4_000.0);
    assert!(measure::find(&m, "slowdown_baseline-1x").is_none(), "another template can't be paired");
}

#[test]
fn run_times_are_pooled_over_the_levels_of_a_template() {
    let m = measures(&[level("1x", 6), Made { concurrency: 10, ..level("10x", 60) }]);
    let pooled = named(&m, "TEMPLATE:pair/task_run_p95_s.a");
    assert_eq!(pooled.n, 66);
    close(pooled.value.unwrap(), 100.0);
    assert_eq!(named(&m, "1x/task_run_p95_s.a").missing.as_deref(), Some("needs 59"));
}

#[test]
fn steps_inside_a_task_are_pooled_too() {
    let (mut plan, mut history) = run(&[level("1x", 6), Made { concurrency: 3, ..level("3x", 6) }]);
    plan.templates[0].tasks[0].steps_s = [("parse".to_owned(), 40.0), ("write".to_owned(), 60.0)].into();
    for e in history.executions.iter_mut().filter(|e| e.reference == "a") {
        e.steps_s = [("parse".to_owned(), 41.0), ("write".to_owned(), 59.0)].into();
    }
    history.executions[0].outcome = Outcome::Failed;
    let m = measure::all(&Joined::new(&plan, &history));
    let parse = named(&m, "TEMPLATE:pair/step_run_p50_s.a.parse");
    assert_eq!((parse.value, parse.n, parse.clock), (Some(41.0), 11, Clock::Workflow));
    close(value(&m, "TEMPLATE:pair/step_run_p50_s.a.write"), 59.0);
}

#[test]
fn utilisation_and_throughput_are_per_window() {
    let m = measures(&[Made { concurrency: 4, slots: 8, wait_ms: |_| (0, 0), ..level("4x", 4) }]);
    // Four workflows side by side: lag 1 ms, 2 s of work, 5 ms until seen.
    close(value(&m, "4x/throughput_workflows_per_s"), 4.0 / 2.006);
    close(value(&m, "4x/throughput_tasks_per_s"), 8.0 / 2.006);
    close(value(&m, "4x/pool_utilisation.dev"), 4.0 / (8.0 * 2.006));
}

#[test]
fn work_outside_of_the_window_keeps_no_slot_of_it_busy() {
    let (plan, mut history) = run(&[level("1x", 6)]);
    let (began_ns, ended_ns) = (history.began[0].at_ns, history.ended[0].at_ns);
    let busy = |history: &shakedown_reports::history::History| {
        value(&measure::all(&Joined::new(&plan, history)), "1x/pool_utilisation.dev")
    };
    let before = busy(&history);
    history.executions[0].started_ns = began_ns - 500 * MS;
    history.executions[10].finished_ns = ended_ns + 700 * MS;
    let window_ms = (ended_ns - began_ns) as f64 / MS as f64;
    // The first one fills the 3 ms before its start, the last one the 1,007 ms after its end; no more.
    close(busy(&history), before + (3.0 + 1_007.0) / window_ms);
}

#[test]
fn littles_law_holds_in_a_sound_run_and_breaks_when_ends_are_seen_late() {
    let sound = measures(&[Made { concurrency: 3, ..level("3x", 6) }]);
    assert!(value(&sound, "3x/littles_law_error") < 0.01, "{:?}", named(&sound, "3x/littles_law_error"));
    let late = measures(&[Made { concurrency: 3, seen_after_ms: 500, ..level("3x", 6) }]);
    close(value(&late, "3x/littles_law_error"), 500.0 / 2_504.0);
    assert!(named(&late, "3x/littles_law_error").lo.unwrap() > 0.10);
}

#[test]
fn the_driver_is_measured_too() {
    let (plan, mut history) = run(&[Made { lag_ms: |i| i, harness_cpu_share: 0.3, ..level("1x", 300) }]);
    for e in &mut history.executions {
        e.planned_ns -= 7 * MS;
    }
    history.executions[0].reported = Reported::Nothing;
    let m = measure::all(&Joined::new(&plan, &history));
    close(value(&m, "1x/driver_lag_p99_ms"), 296.0);
    close(value(&m, "1x/driver_cpu_share"), 0.3);
    close(value(&m, "1x/worker_overrun_p99_ms"), 7.0);
    assert_eq!(named(&m, "1x/worker_overrun_p99_ms").n, 599, "a worker that was ended did not overrun");
}
