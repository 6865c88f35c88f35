//! The failure bundle: what a person needs who was sent a run that did not pass, and nothing else.

use super::{recovery, words};
use crate::gate::Verdict;
use crate::history::{Execution, FinalTask};
use crate::joined::{Joined, TERMINAL, WorkflowRun};
use crate::judge::Summary;
use serde::Serialize;

/// Folder of the bundle in a run directory.
pub const FOLDER: &str = "bundle";
/// What is read of the end of every log, bytes.
pub const LOG_TAIL: u64 = 64 * 1024;
/// Findings that the cover tells; all of them are in a file of their own.
const MOST_TOLD: usize = 20;

/// A workflow that had not ended.
#[derive(Debug, Serialize)]
struct Unfinished {
    workflow: String,
    correlation_id: String,
    status: String,
    waits_for: Vec<String>,
}

/// The documents of the bundle by name; none of a run that passed. `logs` are the ends of the logs, by name.
pub fn render(summary: &Summary, run: &Joined<'_>, logs: &[(String, String)]) -> Vec<(String, String)> {
    if summary.verdict == Verdict::Pass && summary.validity.valid {
        return Vec::new();
    }
    let unfinished: Vec<Unfinished> = run.workflows().filter_map(unfinished).collect();
    let findings: Vec<String> = summary.checks.iter().flat_map(found).collect();
    let faults = run.plan.injections.iter().filter_map(|i| serde_json::to_string(i).ok());
    let lines = |all: Vec<String>| all.into_iter().map(|line| line + "\n").collect::<String>();
    let mut documents = vec![
        ("README.md".to_owned(), cover(summary, &unfinished, &findings, logs)),
        (
            "unfinished.jsonl".to_owned(),
            lines(unfinished.iter().filter_map(|u| serde_json::to_string(u).ok()).collect()),
        ),
        ("findings.txt".to_owned(), lines(findings)),
    ];
    if !run.plan.injections.is_empty() {
        documents.push(("faults.jsonl".to_owned(), lines(faults.collect())));
    }
    documents.extend(logs.iter().map(|(name, text)| (format!("log-{name}"), text.clone())));
    documents
}

fn found(check: &crate::check::CheckResult) -> Vec<String> {
    let line = |kind: &str, f: &crate::check::Finding| {
        let task = f.task.as_ref().map(|t| format!(" {t}")).unwrap_or_default();
        words::clean(&format!("{}{kind}: {}{task}: {}", check.name, f.workflow, f.what)).replace('\n', " ")
    };
    let findings = check.findings.iter().map(|f| line("", f));
    findings.chain(check.undecided.iter().map(|f| line(" (undecided)", f))).collect()
}

fn cover(
    summary: &Summary,
    unfinished: &[Unfinished],
    findings: &[String],
    logs: &[(String, String)],
) -> String {
    let mut out = vec![
        format!("# {}: {}", words::clean(&summary.scenario), words::outcome(summary)),
        String::new(),
        format!("Run `{}`, exit code {}. This runs it again:", words::clean(&summary.run), summary.exit_code),
        String::new(),
        "```".to_owned(),
        words::clean(&summary.reproduce()),
        "```".to_owned(),
        String::new(),
        "## What is wrong".to_owned(),
        String::new(),
    ];
    out.extend(wrong(summary).into_iter().map(|line| format!("- {}", super::markdown::escaped(&line))));
    if let Some(recovery) = &summary.recovery {
        out.extend([String::new(), "## Faults".to_owned(), String::new()]);
        let said = recovery.injections.iter().map(|i| recovery::sentence(recovery, i));
        out.extend(said.map(|line| format!("- {}", super::markdown::escaped(&line))));
    }
    out.extend([String::new(), "## Findings".to_owned(), String::new()]);
    out.extend(findings.iter().take(MOST_TOLD).map(|line| format!("- {}", super::markdown::escaped(line))));
    match findings.len() {
        0 => out.push("None.".to_owned()),
        n if n > MOST_TOLD => out.push(format!("- … and {} more in findings.txt", n - MOST_TOLD)),
        _ => {}
    }
    out.extend([String::new(), "## Files".to_owned(), String::new()]);
    out.push(format!(
        "- unfinished.jsonl: the {} workflows that had not ended, with what each waits for",
        unfinished.len()
    ));
    out.push(format!("- findings.txt: all {} findings, one a line", findings.len()));
    if summary.recovery.is_some() {
        out.push("- faults.jsonl: the injections as they were planned".to_owned());
    }
    let tail = format!("{} KiB", LOG_TAIL / 1024);
    out.extend(logs.iter().map(|(name, _)| format!("- log-{}: its last {tail}", words::clean(name))));
    out.push(String::new());
    out.join("\n")
}

/// Why the run is not green, one sentence each.
fn wrong(summary: &Summary) -> Vec<String> {
    let mut out: Vec<String> =
        summary.validity.reasons().into_iter().map(|r| format!("invalid: {r}")).collect();
    let gates = summary.gates.iter().filter(|g| g.verdict != Verdict::Pass);
    out.extend(gates.map(|g| format!("gate {} ({}): {}", g.gate.name, words::verdict(g.verdict), g.reason)));
    let checks = summary.checks.iter().filter(|c| c.applies && c.verdict != Verdict::Pass);
    out.extend(
        checks.map(|c| format!("check {} ({}): {}", c.name, words::verdict(c.verdict), words::check(c))),
    );
    if let Some(recovery) = &summary.recovery {
        let injections = recovery.injections.iter().filter(|i| i.verdict != Verdict::Pass);
        out.extend(
            injections
                .map(|i| format!("fault {} ({}): {}", i.label(recovery), recovery::state_word(i), i.reason)),
        );
    }
    out
}

/// A workflow that was started and isn't known to have ended, with what it waits for.
fn unfinished(workflow: &WorkflowRun<'_>) -> Option<Unfinished> {
    if !workflow.started() {
        return None;
    }
    let of = |status: &str, waits_for: Vec<String>| Unfinished {
        workflow: workflow.label(),
        correlation_id: workflow.planned.correlation_id.clone(),
        status: status.to_owned(),
        waits_for,
    };
    let Some(record) = workflow.record() else {
        let status = if workflow.finals.is_empty() { "NEVER READ BACK" } else { "NOT THERE" };
        return Some(of(status, Vec::new()));
    };
    if TERMINAL.contains(&record.status.as_str()) {
        return None;
    }
    let open = record.tasks.iter().filter(|t| matches!(t.status.as_str(), "SCHEDULED" | "IN_PROGRESS"));
    let waits: Vec<String> = open.map(|task| wait(workflow, task)).collect();
    let nothing = || vec!["no open task: the target has to go on by itself".to_owned()];
    Some(of(&record.status, if waits.is_empty() { nothing() } else { waits }))
}

fn wait(workflow: &WorkflowRun<'_>, task: &FinalTask) -> String {
    let which = format!("`{}` attempt {} (task {})", task.reference, task.attempt + 1, task.task_id);
    let last: Option<&Execution> =
        workflow.executions.iter().copied().filter(|e| e.task_id == task.task_id).max_by_key(|e| e.polled_ns);
    match (task.status.as_str(), last) {
        ("SCHEDULED", None) => format!("{which} waits in queue `{}`: no worker was given it", task.task_type),
        ("SCHEDULED", Some(e)) => {
            format!("{which} waits in queue `{}` again; {} had it last", task.task_type, e.worker)
        }
        (_, None) => format!("{which} is in progress at the target, and no worker of this run has it"),
        (_, Some(e)) => format!("{which} is in the hands of {} with a lease of {} s", e.worker, e.lease_s),
    }
}
