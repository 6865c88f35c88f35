//! The index of a suite: one row a scenario with its verdict and a link to its report, and which cases were shown.

use super::markup::{Escaped, Markup};
use super::page;
use super::section::{badge, class, plain_badge, verdict};
use super::table::{Cell, Table};
use crate::exit_code;
use crate::gate::Verdict;
use crate::judge::Summary;
use crate::render::{suite as words_of, units, words};
use crate::suite::{ScenarioSummary, SuiteSummary};
use std::collections::BTreeMap;

const PARTS: [(&str, &str); 2] = [("scenarios", "Scenarios"), ("cases", "Cases")];
const HEADER: [&str; 8] = [
    "scenario",
    "verdict",
    "exit code",
    "gates and checks",
    "workflows",
    "load lasted",
    "worst recovery",
    "what is wrong",
];

/// The index as HTML; `runs` are the summaries of the run directories, by name.
pub fn render(summary: &SuiteSummary, runs: &BTreeMap<String, Summary>) -> String {
    let mut body = Markup::default();
    head(&mut body, summary);
    page::navigation(&mut body, &PARTS);
    super::section::section(&mut body, "scenarios", "Scenarios", |m| scenarios(m, summary, runs));
    super::section::section(&mut body, "cases", "Cases", |m| cases(m, summary));
    page::page(&format!("{}: {}", summary.suite, words_of::outcome(summary)), &body)
}

fn head(m: &mut Markup, summary: &SuiteSummary) {
    let verdict = match summary.exit_code {
        exit_code::PASSED => Verdict::Pass,
        exit_code::UNKNOWN | exit_code::INTERRUPTED => Verdict::Unknown,
        _ => Verdict::Fail,
    };
    let with = |code: Option<u8>| summary.scenarios.iter().filter(|s| s.exit_code == code).count();
    let mut tally =
        format!("{} of {} scenarios pass", with(Some(exit_code::PASSED)), summary.scenarios.len());
    if with(None) > 0 {
        tally += &format!(", {} not run", with(None));
    }
    let banner = format!("banner {}", class(verdict));
    m.within("header", &[("class", &banner)], |m| {
        m.within("div", &[("class", &"verdict")], |m| {
            m.element("p", &[("class", &"word")], words_of::outcome(summary));
            m.within("div", &[], |m| {
                m.element("h1", &[], &words::clipped(&summary.suite, 120));
                m.element("p", &[], &format!("{tally} · exit code {}", summary.exit_code));
            });
        });
    });
    let seed = summary.seed.to_string();
    let facts = [
        ("what", summary.title.as_str()),
        ("run", &summary.run),
        ("profile", &summary.profile),
        ("seed", &seed),
        ("again", &summary.reproduce()),
    ];
    m.within("dl", &[("class", &"facts")], |m| {
        for (name, value) in facts {
            m.within("div", &[], |m| {
                m.element("dt", &[], name);
                m.element("dd", &[], &words::clipped(value, 300));
            });
        }
    });
    m.line();
}

fn scenarios(m: &mut Markup, summary: &SuiteSummary, runs: &BTreeMap<String, Summary>) {
    let caption = "In the order in which they are run; each name leads to its report";
    let mut table = Table::new(caption, &HEADER).worded();
    for scenario in &summary.scenarios {
        let mut name = Markup::default();
        let shown = words::clipped(&scenario.name, 200);
        match &scenario.directory {
            Some(directory) => {
                name.element("a", &[("href", &format!("./{}/report.html", Escaped(directory)))], &shown);
            }
            None => name.text(&shown),
        }
        name.element("small", &[], &words::clipped(&scenario.title, 200));
        let run = scenario.directory.as_ref().and_then(|directory| runs.get(directory));
        let mut row = vec![Cell::Made(name), result(scenario)];
        row.push(scenario.exit_code.map_or_else(|| "–".into(), |code| code.to_string().into()));
        row.extend(run.map_or_else(|| ["–"; 4].map(Cell::from).to_vec(), figures));
        row.push(run.map_or_else(|| first(&scenario.reasons), wrong).into());
        table.row(row);
    }
    table.cut(2_000, "summary.json holds all of them.").write(m);
}

/// What became of a scenario; never a pass of a run that is invalid or did not come to its end.
fn result(scenario: &ScenarioSummary) -> Cell {
    match (scenario.exit_code, scenario.verdict) {
        (None, _) => plain_badge("not run"),
        (Some(exit_code::PASSED), _) => Cell::Made(badge(Verdict::Pass)),
        (Some(exit_code::UNKNOWN | exit_code::INTERRUPTED), Some(Verdict::Pass | Verdict::Unknown)) => {
            Cell::Made(badge(Verdict::Unknown))
        }
        (Some(exit_code::FAILED), _) | (_, Some(Verdict::Fail)) => Cell::Made(badge(Verdict::Fail)),
        _ => plain_badge(words_of::word(scenario)),
    }
}

fn figures(run: &Summary) -> Vec<Cell> {
    let sum = |f: fn(&crate::judge::LevelSummary) -> u64| run.levels.iter().map(f).sum::<u64>();
    let lasted: f64 = run.levels.iter().filter_map(|l| l.window_s).sum();
    vec![
        verdict::counts(run).into(),
        format!("{} of {} completed", sum(|l| l.completed), sum(|l| l.n)).into(),
        units::value(lasted, "s").into(),
        run.recovery.as_ref().and_then(crate::render::worst_recovery).map_or_else(|| "–".into(), Cell::from),
    ]
}

/// What is wrong with a run, by how much, and how many more there are.
fn wrong(run: &Summary) -> String {
    let problems: Vec<String> = verdict::problems(run).into_iter().map(|(_, text)| text).collect();
    first(&problems)
}

fn first(reasons: &[String]) -> String {
    match reasons {
        [] => String::new(),
        [one] => one.clone(),
        [first, more @ ..] => format!("{first} (and {} more)", more.len()),
    }
}

fn cases(m: &mut Markup, summary: &SuiteSummary) {
    let shown = summary.cases.values().filter(|v| **v == Verdict::Pass).count();
    m.element("p", &[], &format!("{shown} of {} cases are shown.", summary.cases.len()));
    let caption = "The worst verdict of the scenarios that cover a case; of one that was not run, unknown";
    let mut table = Table::new(caption, &["case", "verdict", "by"]).worded();
    let mut ids: Vec<(&String, &Verdict)> = summary.cases.iter().collect();
    ids.sort_by_key(|(id, _)| in_order(id));
    for (id, verdict) in ids {
        let by = summary.scenarios.iter().filter(|s| s.covers.contains(id));
        let by: Vec<&str> = by.map(|s| s.name.as_str()).collect();
        table.row(vec![id.as_str().into(), Cell::Made(badge(*verdict)), by.join(", ").into()]);
    }
    table.cut(2_000, "summary.json holds all of them.").write(m);
}

/// `L2` before `L10`.
fn in_order(case: &str) -> (String, u64) {
    let digits = case.find(|c: char| c.is_ascii_digit()).unwrap_or(case.len());
    (case[..digits].to_owned(), case[digits..].parse().unwrap_or(0))
}
