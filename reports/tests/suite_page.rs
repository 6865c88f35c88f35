//! The index of a suite: verdicts, relative links, and cases that nobody showed.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect should stop there")]

mod made;

use made::page::Page;
use made::{level, run};
use shakedown_reports::gate::Gate;
use shakedown_reports::judge::{Summary, judge};
use shakedown_reports::render::html::suite::{Entry, Outcome, Suite, render};

fn summary(at_most_s: f64) -> Summary {
    let (plan, history) = run(&[level("1x", 6)]);
    let (name, measure) = ("makespan".to_owned(), "1x/makespan_max_s".to_owned());
    judge(
        &plan,
        &history,
        &[Gate { name, measure, at_least: None, at_most: Some(at_most_s), duration: false, sure: false }],
    )
}

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|s| (*s).to_owned()).collect()
}

fn suite<'a>(entries: &'a [Entry<'a>], cases: &'a [String]) -> Suite<'a> {
    Suite {
        name: "load",
        run: "20261123T180000Z-load-1",
        exit_code: 1,
        started_ms: 1_700_000_000_000,
        again: "shakedown run load --seed 1",
        entries,
        cases,
    }
}

#[test]
fn each_scenario_has_its_verdict_and_each_case_what_shows_it() {
    let (good, bad) = (summary(1e9), summary(60.0));
    let (l1, l10, both) = (strings(&["L1"]), strings(&["L10"]), strings(&["L1", "L2"]));
    let entry = |scenario, covers, outcome| Entry { scenario, folder: scenario, covers, outcome };
    let entries = [
        entry("main", &both[..], Outcome::Judged(&good)),
        entry("spike", &l1[..], Outcome::Judged(&bad)),
        entry("saturate", &l10[..], Outcome::NotRun("this machine has 2 cores, it needs 8")),
    ];
    let cases = strings(&["L1", "L2", "L3", "L10"]);
    let html = render(&suite(&entries, &cases));
    let page = Page::read(&html);
    assert!(page.says("FAILED") && page.says("1 of 3 scenarios pass, 1 not run"));
    assert!(page.says("1 of 4 cases are shown."));
    assert!(page.says("it needs 8") && page.says("above the bound"), "why, and by how much");
    let links: Vec<&str> = page.values("href").filter(|l| !l.starts_with('#')).collect();
    assert_eq!(links, ["./main/report.html", "./spike/report.html"], "what was not run has no report");
    let table = html.split("<section id=\"cases\">").nth(1).unwrap();
    let row = |case: &str| table.split("<tr>").find(|r| r.contains(&format!(">{case}</th>"))).unwrap();
    assert!(
        row("L1").contains("FAIL") && row("L1").contains("main, spike"),
        "one that passed hides none that failed"
    );
    assert!(row("L2").contains("pass"));
    assert!(row("L3").contains("no scenario") && row("L10").contains("not run"));
    assert!(table.find(">L2<").unwrap() < table.find(">L10<").unwrap());
    assert_eq!(html, render(&suite(&entries, &cases)), "the same suite gives the same bytes");
}

#[test]
fn hostile_names_are_text_and_lead_nowhere() {
    let good = summary(1e9);
    let name = "javascript:alert(1)//\"><script>alert(1)</script>\0";
    let covers = strings(&[name]);
    let entries = [Entry { scenario: name, folder: name, covers: &covers, outcome: Outcome::Judged(&good) }];
    let hostile = Suite { name, run: name, again: name, ..suite(&entries, &[]) };
    let page = Page::read(&render(&hostile));
    assert_eq!(page.count("script"), 0);
    assert!(
        page.values("href").all(|l| l.starts_with('#') || l.starts_with("./javascript%3Aalert%281%29%2F%2F"))
    );
    let shown = "<script>alert(1)</script>\u{fffd}";
    assert!(page.texts.iter().filter(|t| t.contains(shown)).count() >= 5);
}

#[test]
fn a_suite_of_nothing_has_an_index() {
    let nothing = Suite { exit_code: 2, ..suite(&[], &[]) };
    let page = Page::read(&render(&nothing));
    assert!(page.says("UNKNOWN") && page.says("0 of 0 scenarios pass"));
}
