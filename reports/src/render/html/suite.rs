//! The index of a suite: one row a scenario with its verdict and a link to its report, and which cases were shown.

use super::markup::Markup;
use super::section::{badge, class, plain_badge, verdict};
use super::table::{Cell, Table};
use super::{Escaped, page};
use crate::exit_code;
use crate::gate::Verdict;
use crate::judge::Summary;
use crate::render::{units, words};
use std::collections::BTreeMap;

/// What became of one scenario of a suite.
#[derive(Debug, Clone)]
pub enum Outcome<'a> {
    /// It was run and judged.
    Judged(&'a Summary),
    /// It was not run, or not judged, and why.
    NotRun(&'a str),
}

/// One scenario of a suite.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Name of the scenario.
    pub scenario: &'a str,
    /// Its folder in the suite's directory; its report lies there as `report.html`.
    pub folder: &'a str,
    /// Ids of the cases that it covers.
    pub covers: &'a [String],
    /// What became of it.
    pub outcome: Outcome<'a>,
}

/// A suite that was run.
#[derive(Debug, Clone)]
pub struct Suite<'a> {
    /// Name of the suite.
    pub name: &'a str,
    /// Name of its directory.
    pub run: &'a str,
    /// One of [`exit_code`].
    pub exit_code: u8,
    /// Wall clock at the start, epoch milliseconds.
    pub started_ms: u64,
    /// The line that runs it again.
    pub again: &'a str,
    /// Its scenarios, in the order in which they were run.
    pub entries: &'a [Entry<'a>],
    /// Ids of all the cases that should be shown, whether a scenario covers them or not; what scenarios cover
    /// besides is added.
    pub cases: &'a [String],
}

const PARTS: [(&str, &str); 2] = [("scenarios", "Scenarios"), ("cases", "Cases")];
const HEADER: [&str; 8] = [
    "scenario",
    "verdict",
    "exit code",
    "gates and checks",
    "workflows",
    "load lasted",
    "run",
    "what is wrong",
];

/// The index as HTML, to be written as `report.html` into the suite's directory.
pub fn render(suite: &Suite<'_>) -> String {
    let mut body = Markup::default();
    head(&mut body, suite);
    page::navigation(&mut body, &PARTS);
    super::section::section(&mut body, "scenarios", "Scenarios", |m| scenarios(m, suite));
    super::section::section(&mut body, "cases", "Cases", |m| cases(m, suite));
    page::page(&format!("{}: {}", suite.name, word(suite.exit_code).0), &body)
}

fn word(code: u8) -> (&'static str, Verdict) {
    match code {
        exit_code::PASSED => ("PASSED", Verdict::Pass),
        exit_code::FAILED => ("FAILED", Verdict::Fail),
        exit_code::UNKNOWN => ("UNKNOWN", Verdict::Unknown),
        exit_code::INVALID => ("INVALID", Verdict::Fail),
        exit_code::INTERRUPTED => ("INTERRUPTED", Verdict::Unknown),
        _ => ("NOT DONE", Verdict::Fail),
    }
}

fn head(m: &mut Markup, suite: &Suite<'_>) {
    let (word, verdict) = word(suite.exit_code);
    let banner = format!("banner {}", class(verdict));
    let passed = suite.entries.iter().filter(|e| of(e) == Some(Verdict::Pass)).count();
    let not_run = suite.entries.iter().filter(|e| matches!(e.outcome, Outcome::NotRun(_))).count();
    let mut tally = format!("{passed} of {} scenarios pass", suite.entries.len());
    if not_run > 0 {
        tally += &format!(", {not_run} not run");
    }
    m.within("header", &[("class", &banner)], |m| {
        m.within("div", &[("class", &"verdict")], |m| {
            m.element("p", &[("class", &"word")], word);
            m.within("div", &[], |m| {
                m.element("h1", &[], &words::clipped(suite.name, 120));
                m.element("p", &[], &format!("{tally} · exit code {}", suite.exit_code));
            });
        });
    });
    m.within("dl", &[("class", &"facts")], |m| {
        for (name, value) in
            [("run", suite.run), ("started", &verdict::utc(suite.started_ms)), ("again", suite.again)]
        {
            m.within("div", &[], |m| {
                m.element("dt", &[], name);
                m.element("dd", &[], &words::clipped(value, 300));
            });
        }
    });
    m.line();
}

/// The verdict of a scenario; never a pass of an invalid run. `None` when it was not run.
fn of(entry: &Entry<'_>) -> Option<Verdict> {
    match entry.outcome {
        Outcome::Judged(summary) if summary.validity.valid => Some(summary.verdict),
        Outcome::Judged(_) => Some(Verdict::Fail),
        Outcome::NotRun(_) => None,
    }
}

fn scenarios(m: &mut Markup, suite: &Suite<'_>) {
    let mut table =
        Table::new("In the order in which they were run; each name leads to its report", &HEADER).worded();
    for entry in suite.entries {
        let mut name = Markup::default();
        let link = format!("./{}/report.html", Escaped(entry.folder));
        match entry.outcome {
            Outcome::Judged(_) => name.element("a", &[("href", &link)], &words::clipped(entry.scenario, 200)),
            Outcome::NotRun(_) => name.text(&words::clipped(entry.scenario, 200)),
        }
        let mut row = vec![Cell::Made(name)];
        match entry.outcome {
            Outcome::Judged(summary) => row.extend(judged(summary)),
            Outcome::NotRun(why) => {
                row.push(plain_badge("not run"));
                row.extend(["–", "–", "–", "–", "–", why].map(Cell::from));
            }
        }
        table.row(row);
    }
    table.cut(2_000, "the folders hold all of them.").write(m);
}

fn judged(summary: &Summary) -> Vec<Cell> {
    let verdict = if summary.validity.valid { badge(summary.verdict) } else { badge(Verdict::Fail) };
    let sum = |f: fn(&crate::judge::LevelSummary) -> u64| summary.levels.iter().map(f).sum::<u64>();
    let lasted: f64 = summary.levels.iter().filter_map(|l| l.window_s).sum();
    vec![
        Cell::Made(verdict),
        summary.exit_code.to_string().into(),
        verdict::counts(summary).into(),
        format!("{} of {} completed", sum(|l| l.completed), sum(|l| l.n)).into(),
        units::value(lasted, "s").into(),
        if summary.validity.valid { "valid".into() } else { "INVALID".into() },
        wrong(summary).into(),
    ]
}

/// The first thing that is wrong, and how many more there are.
fn wrong(summary: &Summary) -> String {
    let problems = verdict::problems(summary);
    match problems.as_slice() {
        [] => String::new(),
        [(_, one)] => one.clone(),
        [(_, first), more @ ..] => format!("{first} (and {} more)", more.len()),
    }
}

/// What each case has to show for itself: the worst verdict among the scenarios that cover it and were run.
fn cases(m: &mut Markup, suite: &Suite<'_>) {
    let mut covered: BTreeMap<(String, u64, &str), Vec<&Entry<'_>>> = BTreeMap::new();
    for case in suite.cases {
        covered.entry(in_order(case)).or_default();
    }
    for entry in suite.entries {
        for case in entry.covers {
            covered.entry(in_order(case)).or_default().push(entry);
        }
    }
    let verdict = |entries: &[&Entry<'_>]| entries.iter().filter_map(|e| of(e)).max();
    let shown = covered.values().filter(|e| verdict(e) == Some(Verdict::Pass)).count();
    m.element("p", &[], &format!("{shown} of {} cases are shown.", covered.len()));
    let mut table = Table::new(
        "A case is shown when every scenario that covers it and was run passed",
        &["case", "verdict", "by"],
    )
    .worded();
    for ((_, _, case), entries) in &covered {
        let verdict = match verdict(entries) {
            Some(worst) => Cell::Made(badge(worst)),
            None if entries.is_empty() => plain_badge("no scenario"),
            None => plain_badge("not run"),
        };
        let by: Vec<&str> = entries.iter().map(|e| e.scenario).collect();
        table.row(vec![(*case).into(), verdict, by.join(", ").into()]);
    }
    table.cut(2_000, "the scenarios hold all of them.").write(m);
}

/// `L2` before `L10`.
fn in_order(case: &str) -> (String, u64, &str) {
    let digits = case.find(|c: char| c.is_ascii_digit()).unwrap_or(case.len());
    (case[..digits].to_owned(), case[digits..].parse().unwrap_or(0), case)
}
