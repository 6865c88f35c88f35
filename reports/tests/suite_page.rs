//! The index of a suite: verdicts, relative links, and what shows each case.

use crate::made::page::Page;
use crate::made::{level, run};
use shakedown_reports::gate::Gate;
use shakedown_reports::judge::{Summary, judge};
use shakedown_reports::render::html::suite::render;
use shakedown_reports::suite::{Entry, Outcome, SUITE_SCHEMA_VERSION, Suite};
use std::collections::BTreeMap;

fn summary(at_most_s: f64) -> Summary {
    let (plan, history) = run(&[level("1x", 6)]);
    let (name, measure) = ("makespan".to_owned(), "1x/makespan_max_s".to_owned());
    let at_most = Some(at_most_s);
    judge(&plan, &history, &[Gate { name, measure, at_least: None, at_most, duration: false, sure: false }])
}

fn entry(name: &str, covers: &[&str], outcome: Outcome) -> Entry {
    let covers = covers.iter().map(|id| (*id).to_owned()).collect();
    Entry { name: name.into(), title: format!("title of {name}"), covers, required: false, outcome }
}

fn ran(directory: &str) -> Outcome {
    Outcome::Ran { directory: directory.into(), invalid_before: vec![] }
}

fn suite(name: &str, scenarios: Vec<Entry>) -> Suite {
    Suite {
        schema_version: SUITE_SCHEMA_VERSION,
        run: format!("stamp-{name}-1"),
        suite: name.into(),
        title: name.into(),
        profile: name.into(),
        seed: 1,
        again: vec!["run".into(), name.into()],
        scenarios,
    }
}

#[test]
fn each_scenario_has_its_verdict_and_each_case_what_shows_it() {
    let runs = BTreeMap::from([("good".to_owned(), summary(1e9)), ("bad".to_owned(), summary(60.0))]);
    let suite = suite(
        "load",
        vec![
            entry("main", &["L1", "L2"], ran("good")),
            entry("spike", &["L1"], ran("bad")),
            entry("saturate", &["L10"], Outcome::NotRun { reason: "this machine has 2 cores".into() }),
            entry("soak", &[], Outcome::Failed { exit_code: 5, reason: "the disk was full".into() }),
        ],
    );
    let summary = suite.judge(&runs);
    let html = render(&summary, &runs);
    let page = Page::read(&html);
    assert!(page.says("ERROR") && page.says("1 of 4 scenarios pass, 1 not run"));
    assert!(page.says("1 of 3 cases are shown."));
    for why in ["this machine has 2 cores", "above the bound, 3.3 times it", "the disk was full"] {
        assert!(page.says(why), "{why}");
    }
    let links: Vec<&str> = page.values("href").filter(|l| !l.starts_with('#')).collect();
    assert_eq!(links, ["./good/report.html", "./bad/report.html"], "what was not run has no report");
    let table = html.split("<section id=\"cases\">").nth(1).unwrap();
    let row = |case: &str| table.split("<tr>").find(|r| r.contains(&format!(">{case}</th>"))).unwrap();
    assert!(row("L1").contains("FAIL") && row("L1").contains("main, spike"), "no pass hides a failure");
    assert!(row("L2").contains("pass") && row("L10").contains("unknown"));
    assert!(table.find(">L2<").unwrap() < table.find(">L10<").unwrap());
    assert_eq!(html, render(&summary, &runs), "the same suite gives the same bytes");
}

#[test]
fn hostile_names_are_text_and_lead_nowhere() {
    let name = "javascript:alert(1)//\"><script>alert(1)</script>\0";
    let runs = BTreeMap::from([(name.to_owned(), summary(1e9))]);
    let summary = suite(name, vec![entry(name, &[name], ran(name))]).judge(&runs);
    let page = Page::read(&render(&summary, &runs));
    assert_eq!(page.count("script"), 0);
    let inside = |l: &str| l.starts_with('#') || l.starts_with("./javascript%3Aalert%281%29%2F%2F");
    assert!(page.values("href").all(inside));
    let shown = "<script>alert(1)</script>\u{fffd}";
    assert!(page.texts.iter().filter(|t| t.contains(shown)).count() >= 5);
}

#[test]
fn a_suite_of_nothing_has_an_index() {
    let page = Page::read(&render(&suite("none", Vec::new()).judge(&BTreeMap::new()), &BTreeMap::new()));
    assert!(page.says("UNKNOWN") && page.says("0 of 0 scenarios pass"));
}
