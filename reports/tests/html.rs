//! `report.html`: a strict reader reads it, it says what the summary says, it holds nothing foreign, and its size is
//! bounded.

use crate::made::page::Page;
use crate::made::{MS, Made, level, resource, run};
use shakedown_reports::gate::{Gate, Verdict};
use shakedown_reports::history::{History, HostUsage, Outcome, Resource, Shed};
use shakedown_reports::joined::Joined;
use shakedown_reports::judge::{Summary, judge};
use shakedown_reports::plan::{Model, Open, Part, Plan, Stage};
use shakedown_reports::render::{html, units};

fn gate(name: &str, measure: &str, at_most: f64) -> Gate {
    Gate {
        name: name.into(),
        measure: measure.into(),
        at_least: None,
        at_most: Some(at_most),
        sure: false,
        duration: false,
    }
}

fn report(plan: &Plan, history: &History, gates: &[Gate]) -> (Summary, String) {
    let summary = judge(plan, history, gates);
    let html = html::render(&summary, &Joined::new(plan, history));
    (summary, html)
}

/// Two levels, 60 workflows each, three at once in the second.
fn ordinary() -> (Plan, History) {
    let waiting = Made { concurrency: 3, wait_ms: |i| (20 + i, 0), ..level("3x", 60) };
    let (plan, mut history) = run(&[level("1x", 60), waiting]);
    for s in 0..100 {
        let mut sample = resource("engine", 7, s * 1_000, s * 500 * MS, 50 << 20);
        sample.written_bytes = Some(s << 20);
        history.resources.push(sample);
        history.hosts.push(HostUsage {
            at_ns: s * 1_000 * MS,
            cpu_busy_ns: s * 750 * MS,
            cpu_iowait_ns: 0,
            cpu_steal_ns: 0,
            loopback_bytes: Some(s << 21),
            network_bytes: Some(0),
            disk_read_bytes: None,
            disk_written_bytes: None,
        });
    }
    (plan, history)
}

#[test]
fn it_is_well_formed_and_says_verdict_failures_and_figures() {
    let (plan, history) = ordinary();
    let gates = [
        gate("wait p95 at most 5 s", "3x/queue_wait_p95_s", 5.0),
        gate("not measured", "nope", 1.0),
        gate("requests", "1x/api_p50_ms", 1.0),
    ];
    let (summary, html) = report(&plan, &history, &gates);
    let page = Page::read(&html);
    assert_eq!(summary.verdict, Verdict::Fail);
    assert!(page.says("FAILED") && page.says("1 of 3 gates pass, 1 fail, 1 unknown"));
    let wait = summary.measure("3x/queue_wait_p95_s").unwrap();
    let over = units::value(wait.value.unwrap() - 5.0, "s");
    assert!(page.says(&format!("{over} above the bound")), "by how much it failed stands at the top");
    assert!(page.says("the run has no measure `nope`"));
    for check in &summary.checks {
        assert!(page.texts.contains(&check.name), "{}", check.name);
    }
}

#[test]
fn tables_hold_every_measure_of_the_summary() {
    let (plan, history) = ordinary();
    let (summary, html) = report(&plan, &history, &[]);
    let page = Page::read(&html);
    for measure in &summary.measures {
        assert!(page.texts.contains(&measure.name), "{}", measure.name);
        if let Some(value) = measure.value {
            let shown = units::value(value, &measure.unit);
            assert!(page.texts.contains(&shown), "{}: {shown}", measure.name);
        }
    }
    // Behind the picture of latencies stand the same figures again.
    let requests = html.split("Requests by level</caption>").nth(1).unwrap();
    let table = requests.split("</table>").next().unwrap();
    for (level, percentile) in [("1x", "p50"), ("3x", "p95")] {
        let measure = summary.measure(&format!("{level}/api_{percentile}_ms")).unwrap();
        let shown = units::value(measure.value.unwrap(), "ms");
        let row = table.split("<tr>").find(|r| r.contains(level) && r.contains(percentile)).unwrap();
        assert!(row.contains(&shown) && row.contains(">closed<"), "{row}");
    }
}

#[test]
fn every_picture_has_a_label_a_table_and_axes_and_the_two_levels() {
    let (plan, history) = ordinary();
    let page = Page::read(&report(&plan, &history, &[]).1);
    // All but the one that holds the pattern.
    assert_eq!(page.values("role").filter(|r| *r == "img").count(), page.count("svg") - 1);
    assert_eq!(
        page.values("aria-label").filter(|l| !l.is_empty()).count(),
        page.count("svg"),
        "and the navigation has one"
    );
    assert_eq!(page.count("table"), page.count("caption"));
    let data = page.values("class").filter(|c| *c == "data").count();
    assert!(data >= page.count("figure"), "{data} tables for {} figures", page.count("figure"));
    for title in [
        "Requests",
        "Queue wait",
        "Makespan",
        "Starts: response and service",
        "Workflows: response and service",
        "Waiting and working at 3x",
        "Workflows started and completed",
        "Tasks handed out and completed",
        "In flight and waiting",
        "CPU of each process",
        "Memory of each process",
    ] {
        assert!(page.texts.iter().any(|t| t == title), "{title}");
    }
    assert!(page.says("3x: median, workflow #") && page.says("3x: slowest, workflow #"));
    assert!(page.values("class").any(|c| c == "axis-title"));
}

#[test]
fn resources_of_known_growth_come_out_per_second() {
    let (plan, history) = ordinary();
    let html = report(&plan, &history, &[]).1;
    for (caption, figures) in [
        ("CPU of each process", ["<td>0.5</td>", ""]),
        ("CPU of the whole machine", ["<td>0.75</td>", ""]),
        ("Written to disk of each process", ["<td>1 MiB/s</td>", ""]),
        ("Network of the whole machine", ["<td>2 MiB/s</td>", ""]),
        ("Memory of each process", ["<td>50 MiB</td>", ""]),
    ] {
        let table = html.split(&format!("{caption}: seconds since the run&#39;s start</caption>")).nth(1);
        let table = table.unwrap_or_else(|| panic!("no table {caption}")).split("</table>").next().unwrap();
        let rows = table.split("<tr>").skip(2).filter(|row| figures.iter().all(|f| row.contains(f))).count();
        // 100 s of samples in stretches of 2 s; the last one is not covered.
        assert!((49..=50).contains(&rows), "{caption}: {rows} rows hold {figures:?}\n{table}");
        assert!(!table.contains("other interfaces"), "a line that is 0 all along is left out");
    }
}

/// Part of the document that follows a text.
fn after<'h>(html: &'h str, text: &str, until: &str) -> &'h str {
    let rest = html.split_once(text).unwrap_or_else(|| panic!("no `{text}`")).1;
    rest.split_once(until).unwrap_or_else(|| panic!("no `{until}` after `{text}`")).0
}

#[test]
fn open_load_is_called_so_and_shows_what_was_due_late_and_shed() {
    let (mut plan, mut history) = run(&[Made { concurrency: 100, ..level("open", 100) }]);
    let stages = vec![Stage::Rate { from_per_s: 10.0, to_per_s: 10.0, length_s: 10.0 }];
    plan.levels[0].model = Model::Open;
    plan.levels[0].open = Some(Open { stages, may_shed: true });
    let began_ns = history.began[0].at_ns;
    for start in &mut history.starts {
        start.due_ns = began_ns + start.index * 100 * MS;
        start.sent_ns = start.due_ns + 500 * MS;
        start.done_ns = start.sent_ns + 20 * MS;
    }
    for start in history.starts.extract_if(.., |s| s.index >= 90).collect::<Vec<_>>() {
        let (level, index, due_ns) = (start.level, start.index, start.due_ns);
        history.shed.push(Shed { level, index, due_ns, at_ns: due_ns, in_flight: 90 });
    }
    history.ended[0].at_ns = began_ns + 15_000 * MS;
    let html = report(&plan, &history, &[]).1;
    Page::read(&html);
    let starts = after(&html, "Starts: response and service by level</caption>", "</table>");
    assert!(starts.contains(">open<") && !starts.contains(">closed<"));
    let row = |kind: &str| starts.split("<tr>").find(|r| r.contains(kind) && r.contains("p50")).unwrap();
    assert!(row("response").contains("520 ms") && row("service").contains("20 ms"), "{starts}");
    let rates = after(&html, "Workflows started and completed: seconds", "</table>");
    for column in ["due", "started", "completed", "shed"] {
        assert!(rates.contains(&format!(">{column}</th>")), "{column}");
    }
    let over_time = after(&html, "Starts: response and service: seconds", "</table>");
    assert!(over_time.contains("p50 service") && over_time.contains("520 ms"));
}

#[test]
fn a_mix_shows_each_template_for_itself() {
    let (mut plan, history) = run(&[level("1x", 60)]);
    let mut other = plan.templates[0].clone();
    other.name = "other".into();
    plan.templates.push(other);
    let part = |template: &str| Part { template: template.into(), weight: 1.0 };
    plan.levels[0].mix = vec![part("pair"), part("other")];
    for (i, workflow) in plan.workflows.iter_mut().enumerate() {
        workflow.template = Some(["pair", "other", "other"][i % 3].into());
    }
    let html = report(&plan, &history, &[]).1;
    let page = Page::read(&html);
    for (template, n) in [("pair", 20), ("other", 40)] {
        let table = after(&html, &format!("Tasks of {template} at 1x, workflow time</caption>"), "</table>");
        assert_eq!(
            table.matches(&format!(">{n} of {n}</td>")).count(),
            2,
            "both tasks are on its path: {table}"
        );
        assert!(page.says(&format!("1x: median of {template}, workflow #")));
    }
}

#[test]
fn nothing_foreign_is_loaded_and_nothing_runs() {
    let (plan, history) = ordinary();
    let (_, html) = report(&plan, &history, &[]);
    let page = Page::read(&html);
    for element in ["script", "link", "img", "iframe", "object", "embed", "base", "form"] {
        assert_eq!(page.count(element), 0, "{element}");
    }
    assert!(page.values("href").all(|v| v.starts_with('#')));
    for (name, value) in &page.attributes {
        assert!(!name.starts_with("on") && name != "src" && name != "style", "{name}={value}");
        assert!(!value.contains("http:") && !value.contains("https:"), "{name}={value}");
    }
    let style = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    assert!(!style.contains("@import") && !style.contains("http"));
    assert_eq!(style.matches("url(").count(), style.matches("url(#hatch)").count());
    assert!(page.values("content").any(|v| v.contains("default-src &#39;none&#39;")));
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let (plan, history) = ordinary();
    assert_eq!(report(&plan, &history, &[]).1, report(&plan, &history, &[]).1);
}

/// Markup, what would end the markup around it, and what a terminal obeys.
const HOSTILE: &str = "</script></style></title><script>alert(1)</script><img src=x onerror=\"alert('2')\">\0\u{1b}[31m&lt;\u{9b}\u{ffff}";

/// A run in which every text that comes from a scenario, a target or a person is hostile.
fn hostile() -> (Plan, History, Vec<Gate>) {
    let (mut plan, mut history) = run(&[level("1x", 6)]);
    let name = || HOSTILE.to_owned();
    let header = &mut history.header;
    (header.run, header.scenario, header.target, header.version) = (name(), name(), name(), name());
    (header.again, header.machine) = (vec![name()], [(name(), name())].into());
    plan.templates[0].name = name();
    plan.levels[0].name = name();
    plan.levels[0].template = name();
    plan.levels[0].slots = [(name(), 1)].into();
    for task in &mut plan.templates[0].tasks {
        task.title = name();
        task.pool = name();
        task.task_type = name();
    }
    plan.templates[0].tasks[0].reference = name();
    plan.templates[0].tasks[1].after = vec![name()];
    plan.workflows.iter_mut().for_each(|w| w.level = name());
    history.began[0].level = name();
    history.began[0].slots = [(name(), 1)].into();
    history.ended[0].level = name();
    history.calls.iter_mut().for_each(|c| (c.level, c.op) = (name(), name()));
    for start in &mut history.starts {
        start.level = name();
        start.workflow_id = Some(format!("{HOSTILE}{}", start.index));
    }
    for e in &mut history.executions {
        (e.level, e.pool, e.worker, e.task_type) = (name(), name(), name(), name());
        e.workflow_id = format!("{HOSTILE}{}", e.index);
        e.reference = if e.reference == "a" { name() } else { "b".into() };
    }
    for f in &mut history.finals {
        f.level = name();
        f.workflow_id = format!("{HOSTILE}{}", f.index);
        f.reason = Some(name());
        f.tasks[0].reference = name();
        f.tasks.iter_mut().for_each(|t| t.reason = Some(name()));
    }
    history.observed.iter_mut().for_each(|o| o.level = name());
    // A completion that nobody has: the checks name the workflow and the task.
    history.finals[0].tasks[0].nonce = Some(name());
    history.finals[1].status = name();
    history.resources = (2..4).map(|s| resource(HOSTILE, 7, s * 1_000, s * MS, 1 << 20)).collect();
    history.notes.push(shakedown_reports::history::Note { at_ns: 1, text: name(), data: Default::default() });
    let footer = history.footer.as_mut().unwrap();
    (footer.complete, footer.reason) = (false, Some(name()));
    let bottleneck = gate(HOSTILE, &format!("{HOSTILE}/makespan_max_s"), 1.0);
    (plan, history, vec![bottleneck, gate(HOSTILE, HOSTILE, 1.0)])
}

#[test]
fn hostile_names_in_every_field_are_shown_as_text() {
    let (plan, history, gates) = hostile();
    let (summary, html) = report(&plan, &history, &gates);
    assert!(summary.checks.iter().any(|c| !c.findings.is_empty()), "the findings carry names too");
    let page = Page::read(&html);
    assert_eq!((page.count("script"), page.count("img"), page.count("style")), (0, 0, 1));
    assert!(page.attributes.iter().all(|(name, _)| !name.starts_with("on")));
    let shown =
        "<script>alert(1)</script><img src=x onerror=\"alert('2')\">\u{fffd}\u{fffd}[31m&lt;\u{fffd}\u{fffd}";
    let times = page.texts.iter().filter(|t| t.contains(shown)).count();
    assert!(times > 30, "shown {times} times, as text");
    assert!(!html.contains("<script") && !html.contains("alert('2')"));
    let markdown = shakedown_reports::render::markdown::render(&summary);
    assert!(markdown.chars().all(|c| c == '\n' || !c.is_control()), "{markdown:?}");
    let outside = markdown.split('`').step_by(2).collect::<String>();
    assert!(!outside.contains("<script") && !outside.contains("<img"), "{outside}");
}

#[test]
fn an_empty_run_has_a_report() {
    let (plan, mut history) = run(&[level("1x", 6)]);
    history.executions.clear();
    history.starts.clear();
    history.observed.clear();
    history.finals.clear();
    history.calls.clear();
    history.began.clear();
    history.ended.clear();
    let (summary, html) = report(&plan, &history, &[gate("g", "1x/makespan_max_s", 1.0)]);
    let page = Page::read(&html);
    assert!(!summary.validity.valid && page.says("INVALID"));
    assert!(
        page.says("The run holds nothing to show here.") && !html.contains("NaN") && !html.contains("inf\"")
    );
}

#[test]
fn a_run_that_was_cut_off_shows_what_there_is() {
    let (plan, mut history) = ordinary();
    (history.footer, history.truncated) = (None, true);
    history.ended.pop();
    history.finals.clear();
    history.executions.truncate(150);
    history.starts.iter_mut().skip(50).for_each(|s| s.outcome = Outcome::Unknown);
    let (_, html) = report(&plan, &history, &[gate("g", "3x/makespan_max_s", 1.0)]);
    let page = Page::read(&html);
    assert!(page.says("INVALID") && page.says("the history was cut off"));
    assert!(page.says("3x: not completed, workflow #") && page.says("starts without an answer"));
}

#[test]
fn instants_from_nowhere_do_not_break_it() {
    let (plan, mut history) = ordinary();
    history.executions[0].update_done_ns = u64::MAX;
    history.executions[1].started_ns = u64::MAX;
    history.executions[2].finished_ns = 0;
    history.executions[3].scheduled_ms = u64::MAX;
    history.observed[3].done_ns = u64::MAX;
    history.starts[4].due_ns = u64::MAX;
    history.ended.pop();
    let late = Resource { at_ns: u64::MAX, ..resource("engine", 7, 1, 0, u64::MAX) };
    history.resources.push(late);
    let (_, html) = report(&plan, &history, &[]);
    Page::read(&html);
    assert!(!html.contains("NaN") && !html.contains("\"inf"));
}

#[test]
fn a_huge_run_gives_a_report_of_bounded_size() {
    let many = Made { concurrency: 100, ..level("10x", 50_000) };
    let (plan, history) = run(&[many]);
    assert_eq!(history.executions.len(), 100_000);
    let (summary, html) = report(&plan, &history, &[]);
    assert_eq!(summary.levels[0].completed, 50_000);
    assert!(html.len() < 1_500_000, "{} bytes", html.len());
    let few = report(&run(&[level("10x", 500)]).0, &run(&[level("10x", 500)]).1, &[]).1;
    assert!(html.len() < few.len() * 2, "{} against {}", html.len(), few.len());
    Page::read(&html);
}
