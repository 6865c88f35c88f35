//! What is only looked at where nodes take over from one another: whether the fence bites, and what the databases say was
//! lost.

use crate::made::MS;
use crate::made::chaos::{BEGAN_MS, drill, outage};
use shakedown_reports::check::{self, CheckResult};
use shakedown_reports::gate::Verdict;
use shakedown_reports::history::{History, LateWritesMark, OnlyThereMark, StepMark};
use shakedown_reports::joined::Joined;
use shakedown_reports::plan::Plan;

fn check_of(name: &str, plan: &Plan, history: &History) -> CheckResult {
    let all = check::all(&Joined::new(plan, history));
    all.into_iter().find(|check| check.name == name).unwrap()
}

fn late(who: &str, refused: u64, accepted: u64) -> LateWritesMark {
    let (who, node) = (who.to_owned(), "db-1".to_owned());
    LateWritesMark { who, node, at_ns: (BEGAN_MS + 12_000) * MS, refused, accepted, unknown: 0 }
}

#[test]
fn a_fence_that_nobody_ran_into_is_unknown_where_somebody_should_have() {
    let (plan, mut history) = drill(&outage(10_000, 600));
    let idle = check_of("fenced", &plan, &history);
    assert!(!idle.applies && idle.excused.is_some(), "a kill leaves nobody who could come back: {idle:?}");
    let mut hung = plan.clone();
    (hung.injections[0].what, hung.injections[0].on) = ("pause".to_owned(), "db.primary".to_owned());
    let unseen = check_of("fenced", &hung, &history);
    assert_eq!((unseen.applies, unseen.verdict), (true, Verdict::Unknown), "{unseen:?}");
    // That of somebody else is no evidence of this one's.
    history.late_writes = vec![late("engine", 3, 0)];
    assert_eq!(check_of("fenced", &hung, &history).verdict, Verdict::Unknown);
    history.late_writes = vec![late("engine", 3, 0), late("database", 10, 0)];
    let bites = check_of("fenced", &hung, &history);
    assert_eq!((bites.n, bites.verdict), (13, Verdict::Pass), "{bites:?}");
    // A leader that hangs once may have had no write at hand; one that hung five times had.
    let mut leader = plan.clone();
    (leader.injections[0].what, leader.injections[0].on) = ("pause".to_owned(), "node:leader".to_owned());
    let nobody = vec![late("engine", 0, 0)];
    let quiet = History { late_writes: nobody, ..history.clone() };
    assert!(!check_of("fenced", &leader, &quiet).applies);
    leader.injections = vec![leader.injections[0].clone(); 5];
    assert_eq!(check_of("fenced", &leader, &quiet).verdict, Verdict::Unknown);
    let unclear = LateWritesMark { unknown: 1, ..late("database", 9, 0) };
    let unclear = History { late_writes: vec![late("database", 10, 0), unclear], ..history.clone() };
    assert_eq!(check_of("fenced", &hung, &unclear).verdict, Verdict::Unknown, "one may have gone through");
    history.late_writes.push(late("database", 0, 1));
    assert_eq!(check_of("fenced", &hung, &history).verdict, Verdict::Fail);
}

/// Takes a workflow away from what is read at the end, and tells its id and the nonce of its result.
fn lose(history: &mut History) -> [String; 2] {
    let execution = history.executions[700].clone();
    for reading in history.finals.iter_mut().filter(|f| f.workflow_id == execution.workflow_id) {
        reading.found = false;
        reading.tasks.clear();
    }
    [execution.workflow_id, execution.nonce]
}

fn differ(keys: &[&str]) -> Vec<OnlyThereMark> {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    vec![OnlyThereMark { node: "db-1".to_owned(), at_ns: (BEGAN_MS + 12_000) * MS, keys }]
}

#[test]
fn the_loss_that_is_told_is_the_one_that_the_databases_tell() {
    let (plan, mut history) = drill(&outage(10_000, 600));
    let [workflow, nonce] = lose(&mut history);
    let judged = |history: &History| check_of("lost_by_sql", &plan, history);
    assert!(!judged(&history).applies, "nobody asked");
    history.only_there = differ(&[&workflow, &nonce, "what was never acknowledged"]);
    let agrees = judged(&history);
    assert_eq!(agrees.verdict, Verdict::Pass, "{agrees:?}");
    assert_eq!(
        agrees.n,
        2 * history.executions.len() as u64,
        "every start and every completion is held against it"
    );
    history.only_there = differ(&[&nonce]);
    let missed = judged(&history);
    assert!(missed.findings[0].what.contains("counts as lost"), "{missed:?}");
    assert_eq!((missed.findings.len(), missed.verdict), (1, Verdict::Fail));
    history.only_there = differ(&[&workflow]);
    let workflows_only = judged(&history);
    assert_eq!(
        workflows_only.verdict,
        Verdict::Pass,
        "the question did not tell results: {workflows_only:?}"
    );
    let kept = history.executions[3].workflow_id.clone();
    history.only_there = differ(&[&workflow, &nonce, &kept]);
    let invented = judged(&history);
    assert!(invented.findings[0].what.contains("counts as kept"), "{invented:?}");
    // Unless it was the new primary that acknowledged it, when it was asked for again.
    history.steps = vec![promoted(BEGAN_MS * MS)];
    let again = judged(&history);
    assert_eq!(again.verdict, Verdict::Pass, "{again:?}");
}

fn promoted(at_ns: u64) -> StepMark {
    let [who, step, node] = ["database", "promoted", "db-2"].map(str::to_owned);
    StepMark { who, step, node, at_ns, text: String::new() }
}

#[test]
fn databases_that_were_to_be_asked_and_were_not_leave_it_unknown() {
    let (mut plan, mut history) = drill(&outage(10_000, 600));
    history.steps = vec![promoted((BEGAN_MS + 11_000) * MS)];
    assert!(!check_of("lost_by_sql", &plan, &history).applies, "nobody was to ask");
    plan.terms.as_mut().unwrap().compares = true;
    let unasked = check_of("lost_by_sql", &plan, &history);
    assert_eq!((unasked.applies, unasked.verdict), (true, Verdict::Unknown), "{unasked:?}");
    history.only_there = differ(&[]);
    assert_eq!(check_of("lost_by_sql", &plan, &history).verdict, Verdict::Pass);
}
