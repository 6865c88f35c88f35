//! Transcripts: each breach that a check looks for, and what looks like one and isn't.
//!
//! `histories/NAME.jsonl` says in its note what happens in it. All of them are runs of `histories/plan.jsonl`:
//! one workflow of two tasks, `a` and then `b`, and a second one where two are needed.

use shakedown_reports::check::{self, CheckResult, Finding};
use shakedown_reports::gate::Verdict;
use shakedown_reports::history::History;
use shakedown_reports::joined::Joined;
use shakedown_reports::plan::Plan;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn text(name: &str) -> String {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/histories").join(format!("{name}.jsonl"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn checks_of(history: &str) -> Vec<CheckResult> {
    let plan = Plan::parse("plan.jsonl", &text("plan")).unwrap();
    let history = History::parse("history.jsonl", history).unwrap();
    check::all(&Joined::new(&plan, &history))
}

fn with(verdict: Verdict, checks: &[CheckResult]) -> Vec<&str> {
    checks.iter().filter(|c| c.applies && c.verdict == verdict).map(|c| c.name.as_str()).collect()
}

/// History, and exactly the checks that must fail on it.
const BREACHES: [(&str, &[&str]); 44] = [
    ("lost_start", &["lost_start"]),
    ("lost_completion", &["lost_completion", "flow"]),
    ("lost_completion-never-counted", &["lost_completion"]),
    ("lost_completion-run-again", &["lost_completion"]),
    ("lost_completion-not-counted", &["lost_completion"]),
    ("lost_completion-long-after", &["lost_completion"]),
    ("lost_completion-cancelled", &["lost_completion"]),
    ("lost_completion-overwritten", &["lost_completion", "duplicated", "overlapped"]),
    ("duplicated", &["duplicated"]),
    ("duplicated-completed-twice", &["duplicated"]),
    ("duplicated-attempt", &["duplicated"]),
    ("duplicated-start", &["idempotent_start"]),
    ("duplicated-start-both-done", &["idempotent_start"]),
    ("overlapped", &["overlapped", "timers"]),
    ("out_of_order", &["out_of_order"]),
    ("out_of_order-target", &["out_of_order"]),
    ("stuck", &["stuck"]),
    ("stuck-ended-later", &["stuck"]),
    ("stuck-forgotten", &["stuck"]),
    ("undead", &["effect", "at_rest"]),
    ("undead-handed-out", &["lost_completion", "undead"]),
    ("undead-handed-out-again", &["lost_completion", "duplicated", "undead"]),
    ("undead-accepted", &["undead"]),
    ("undead-went-back", &["undead"]),
    ("flow", &["flow"]),
    ("unexpected", &["unexpected"]),
    ("unexpected-never-asked", &["unexpected"]),
    ("effect", &["effect"]),
    ("effect-no-record", &["effect"]),
    ("zombie", &["zombie"]),
    ("monotone", &["undead", "monotone"]),
    ("monotone-gone", &["lost_start", "lost_completion", "monotone"]),
    ("monotone-task-gone", &["lost_completion", "flow", "effect", "monotone"]),
    ("monotone-not-found-again", &["monotone"]),
    ("unexpected-later", &["unexpected"]),
    ("one_result", &["one_result"]),
    ("aftermath", &["aftermath"]),
    ("attempts", &["attempts"]),
    ("timers", &["timers"]),
    ("timers-retry", &["timers"]),
    ("timers-late", &["timers"]),
    ("concurrency", &["concurrency"]),
    ("fenced", &["fenced"]),
    ("lost_by_sql", &["lost_by_sql"]),
];

const HEALTHY: [&str; 12] = [
    "healthy",
    "healthy-retry",
    "healthy-lease",
    "healthy-crossed",
    "healthy-late",
    "healthy-callback",
    "healthy-unknown-update",
    "healthy-unknown-start",
    "healthy-lost-answer",
    "healthy-terminated",
    "healthy-refused",
    "healthy-twice",
];

#[test]
fn every_breach_fails_its_check_and_no_other() {
    for (name, expected) in BREACHES {
        let checks = checks_of(&text(name));
        assert_eq!(with(Verdict::Fail, &checks), expected, "{name}: {checks:#?}");
        for failed in checks.iter().filter(|c| c.verdict == Verdict::Fail) {
            let of_no_workflow = ["aftermath", "fenced"].contains(&failed.name.as_str());
            let names = |f: &Finding| f.workflow.starts_with("1x #0") || of_no_workflow;
            assert!(failed.findings.iter().all(names), "{failed:?}");
        }
    }
    let checks = checks_of(&text("flow-nothing"));
    assert_eq!(with(Verdict::Fail, &checks), ["flow"]);
}

#[test]
fn every_check_has_a_history_that_fails_it() {
    let checks = checks_of(&text("healthy"));
    let all: BTreeSet<&str> = checks.iter().map(|c| c.name.as_str()).collect();
    let failed: BTreeSet<&str> = BREACHES.iter().flat_map(|(_, failed)| failed.iter().copied()).collect();
    assert_eq!(all, failed);
}

#[test]
fn what_is_legitimate_is_no_breach() {
    for name in HEALTHY {
        let checks = checks_of(&text(name));
        let unknown: &[&str] = match name {
            // Nothing was acknowledged there, so a lost start can't be looked for.
            "healthy-unknown-start" => &["lost_start"],
            // Nothing was acknowledged and nothing was done.
            "healthy-refused" => &[
                "lost_start",
                "lost_completion",
                "idempotent_start",
                "duplicated",
                "overlapped",
                "out_of_order",
                "flow",
                "stuck",
                "undead",
            ],
            // It never came to a successor.
            "healthy-terminated" => &["out_of_order", "flow"],
            _ => &[],
        };
        assert_eq!(with(Verdict::Fail, &checks), [""; 0], "{name}: {checks:#?}");
        assert_eq!(with(Verdict::Unknown, &checks), unknown, "{name}: {checks:#?}");
    }
}

#[test]
fn evidence_is_counted() {
    let n = |name: &str| checks_of(&text("healthy")).iter().find(|c| c.name == name).unwrap().n;
    assert_eq!((n("lost_start"), n("lost_completion"), n("duplicated"), n("overlapped")), (1, 2, 2, 2));
    assert_eq!((n("out_of_order"), n("stuck"), n("undead"), n("flow")), (1, 1, 1, 1));
}

/// The history without its records of a kind.
fn without(name: &str, kind: &str) -> String {
    let tag = format!("\"kind\":\"{kind}\"");
    text(name).lines().filter(|l| !l.contains(&tag)).map(|l| format!("{l}\n")).collect()
}

#[test]
fn nothing_looked_at_is_unknown_and_not_a_pass() {
    let checks = checks_of(&without("healthy", "execution"));
    for name in ["lost_completion", "duplicated", "overlapped", "out_of_order", "flow"] {
        assert!(with(Verdict::Unknown, &checks).contains(&name), "{name}");
    }
}

#[test]
fn a_workflow_that_was_never_read_back_is_undecided() {
    let checks = checks_of(&without("healthy", "final"));
    for name in ["lost_start", "lost_completion", "stuck", "undead", "flow"] {
        assert!(with(Verdict::Unknown, &checks).contains(&name), "{name}: {checks:#?}");
    }
}

#[test]
fn what_a_cut_off_history_lacks_is_no_breach_of_order() {
    // The record of `a` and the footer are what was cut off.
    let lines: Vec<String> = without("healthy", "footer")
        .lines()
        .filter(|l| !(l.contains("\"kind\":\"execution\"") && l.contains("\"ref\":\"a\"")))
        .map(str::to_owned)
        .collect();
    let cut = lines.join("\n") + "\n";
    assert!(with(Verdict::Unknown, &checks_of(&cut)).contains(&"out_of_order"));
    let whole = cut + text("healthy").lines().last().unwrap() + "\n";
    assert!(with(Verdict::Fail, &checks_of(&whole)).contains(&"out_of_order"));
}

#[test]
fn an_update_under_a_running_lease_is_not_yet_stuck() {
    // `b` was handed out and its worker is gone; its lease of 60 s runs on past the end of the level.
    let stuck = text("stuck").replace(
        r#""ref":"b","task_type":"do_b","status":"SCHEDULED","attempt":0,"poll_count":0"#,
        r#""ref":"b","task_type":"do_b","status":"IN_PROGRESS","attempt":0,"poll_count":1"#,
    );
    let handed_out = text("undead").lines().find(|l| l.contains(r#""task_id":"b-0""#)).unwrap().to_owned();
    let lines: Vec<&str> = stuck.lines().collect();
    let with_b = [&lines[..5], &[handed_out.as_str()], &lines[5..]].concat().join("\n") + "\n";
    let checks = checks_of(&with_b);
    assert!(with(Verdict::Unknown, &checks).contains(&"stuck"), "{checks:#?}");
}

#[test]
fn a_run_that_was_stopped_gave_nobody_the_time_to_drain() {
    let stopped = text("stuck").replace(r#""complete":true"#, r#""complete":false"#);
    let checks = checks_of(&stopped);
    assert!(with(Verdict::Unknown, &checks).contains(&"stuck"), "{checks:#?}");
    let stuck = checks.iter().find(|c| c.name == "stuck").unwrap();
    assert!(stuck.undecided[0].what.contains("when the run was stopped"), "{stuck:#?}");
}

#[test]
fn an_interrupted_run_has_nothing_to_say_of_what_is_stuck() {
    let interrupted = |name: &str| {
        let footer = text(name).lines().last().unwrap().to_owned();
        let stopped = footer
            .replace(r#""complete":true"#, r#""complete":false"#)
            .replace(r#""interrupted":false"#, r#""interrupted":true"#);
        checks_of(&text(name).replace(&footer, &stopped))
    };
    for name in ["stuck", "stuck-ended-later", "stuck-forgotten"] {
        let checks = interrupted(name);
        let stuck = checks.iter().find(|c| c.name == "stuck").unwrap();
        assert!(!stuck.applies && stuck.findings.is_empty() && stuck.undecided.is_empty(), "{stuck:#?}");
        assert_eq!(with(Verdict::Fail, &checks), [""; 0], "{name}");
    }
    for (name, failed) in
        [("lost_start", "lost_start"), ("undead-accepted", "undead"), ("overlapped", "overlapped")]
    {
        let checks = interrupted(name);
        assert!(with(Verdict::Fail, &checks).contains(&failed), "what needs no time still tells");
    }
}

#[test]
fn a_check_that_the_plan_gives_nothing_to_do_has_no_say() {
    let plan = text("plan").replace(r#","after":["a"],"carries":["a"]"#, r#","after":[]"#);
    let plan = Plan::parse("plan.jsonl", &plan).unwrap();
    let history = History::parse("history.jsonl", &text("healthy")).unwrap();
    let checks = check::all(&Joined::new(&plan, &history));
    let idle: Vec<&str> = checks.iter().filter(|c| !c.applies).map(|c| c.name.as_str()).collect();
    // Nothing was refused, nothing failed, nothing was read twice, nobody looked afterwards, and no node took over.
    let by_the_run = ["unexpected", "timers", "monotone", "one_result", "aftermath", "fenced", "lost_by_sql"];
    let by_the_plan: Vec<&str> = idle.into_iter().filter(|name| !by_the_run.contains(name)).collect();
    assert_eq!(by_the_plan, ["out_of_order", "flow"]);
}

/// A backup and a restore of what it is of.
fn restored(history: &str) -> Vec<CheckResult> {
    let injection = |fault: &str| {
        format!(
            r#"{{"kind":"injection","fault":"{fault}","injection":1,"level":"1x","what":"{fault}","on":"engine","trigger":"","details":null}}"#
        )
    };
    let plan = format!("{}{}\n{}\n", text("plan"), injection("backup"), injection("restore"));
    let plan = Plan::parse("plan.jsonl", &plan).unwrap();
    let history = History::parse("history.jsonl", history).unwrap();
    check::all(&Joined::new(&plan, &history))
}

#[test]
fn what_a_restore_may_have_undone_is_counted_and_no_breach() {
    for (name, expected) in [
        ("restored", &[("lost_completion", 2), ("duplicated", 1), ("flow", 1), ("undead", 2)][..]),
        ("restored-start", &[("lost_start", 1)]),
    ] {
        let checks = restored(&text(name));
        assert_eq!(with(Verdict::Fail, &checks), [""; 0], "{name}: {checks:#?}");
        let rewound: Vec<(&str, u64)> =
            checks.iter().filter(|c| c.rewound > 0).map(|c| (c.name.as_str(), c.rewound)).collect();
        assert_eq!(rewound, expected, "{name}");
        // Without the backup it is what it would be anyway.
        let failed = with(Verdict::Fail, &checks_of(&text(name))).len();
        assert!(failed >= expected.len(), "{name}");
    }
}

/// What is older than the backup has to be there, what is newer than the restore has to stay, and what was wrong before
/// anything was destroyed stays wrong.
#[test]
fn a_restore_excuses_nothing_else() {
    for (name, expected) in [
        ("restored-older-start", &["lost_start"][..]),
        ("restored-older-completion", &["lost_completion"]),
        ("restored-lost-after", &["lost_completion"]),
        ("restored-duplicated-after", &["lost_completion", "duplicated"]),
        ("restored-duplicated-before", &["duplicated"]),
        ("restored-without-backup", &["lost_start"]),
        ("restored-then-undead", &["lost_completion", "undead"]),
    ] {
        let checks = restored(&text(name));
        assert_eq!(with(Verdict::Fail, &checks), expected, "{name}: {checks:#?}");
    }
}
