//! The law that the definitions and the CSV of durations agree, and what is said to a definition that can't be.

use proptest::prelude::*;
use serde_json::{Value, json};
use shakedown_reports::definition::{DefinitionError, template, template_of_part};
use shakedown_reports::durations::Durations;
use shakedown_reports::plan::Template;
use std::path::PathBuf;

fn workflows(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scenarios/workflows").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn definition(name: &str) -> Value {
    serde_json::from_str(&workflows(name)).unwrap()
}

fn full_22(variant: &str) -> Template {
    let durations = Durations::parse(
        &workflows("full-22.csv"),
        &format!("{variant}_s"),
        Some(&format!("{variant}_after")),
    )
    .unwrap()
    .with_steps("t08", &workflows("task-8-steps.csv"), &format!("{variant}_s"))
    .unwrap();
    template(&definition(&format!("full-22-{variant}.json")), &durations).unwrap()
}

#[test]
fn full_22_agrees_with_its_csv_before_and_after_optimisation() {
    let (baseline, optimized) = (full_22("baseline"), full_22("optimized"));
    assert_eq!((baseline.tasks.len(), optimized.tasks.len()), (22, 22));
    assert_eq!(baseline.critical_path_s, 7_903.0);
    assert_eq!(optimized.critical_path_s, 4_033.0);
    assert_eq!((baseline.name.as_str(), optimized.name.as_str()), ("full_22_baseline", "full_22_optimized"));
}

#[test]
fn steps_of_task_8_add_up_to_it_before_and_after() {
    for (variant, seconds) in [("baseline", 900.0), ("optimized", 480.0)] {
        let template = full_22(variant);
        let task = template.task("t08").unwrap();
        assert_eq!(task.steps_s.len(), 5);
        assert_eq!(task.steps_s.values().sum::<f64>(), seconds);
        assert_eq!(task.nominal_s, seconds);
    }
}

#[test]
fn every_task_carries_the_nonces_of_exactly_its_direct_predecessors() {
    for template in [full_22("baseline"), full_22("optimized"), part("chain.json")] {
        for task in &template.tasks {
            assert_eq!(task.carries, task.after, "{} of {}", task.reference, template.name);
        }
    }
}

fn part(file: &str) -> Template {
    let durations = Durations::parse(&workflows("full-22.csv"), "optimized_s", None).unwrap();
    template_of_part(&definition(file), &durations).unwrap()
}

#[test]
fn small_templates_have_the_lengths_that_they_promise() {
    let minutes = |file| part(file).critical_path_s / 60.0;
    assert!((5.0..=8.0).contains(&minutes("single.json")));
    assert!((25.0..=40.0).contains(&minutes("chain.json")));
    assert!((12.0..=20.0).contains(&minutes("parallel.json")), "{}", minutes("parallel.json"));
    let chain = part("chain.json");
    assert_eq!(chain.predecessors("t08"), ["t07"]);
    assert!(part("parallel.json").tasks.iter().all(|t| t.after.is_empty()));
}

#[test]
fn definitions_are_what_any_conductor_server_accepts() {
    for (file, name) in [
        ("single.json", "single"),
        ("chain.json", "chain"),
        ("parallel.json", "parallel"),
        ("full-22-baseline.json", "full_22_baseline"),
        ("full-22-optimized.json", "full_22_optimized"),
    ] {
        let json = definition(file);
        assert_eq!(json["name"], name);
        assert_eq!(json["version"], 1);
        assert_eq!(json["schemaVersion"], 2);
        assert_eq!(json["ownerEmail"], "qa@example.com");
        assert_eq!(json["timeoutPolicy"], "ALERT_ONLY");
        assert!(json["outputParameters"].as_object().is_some_and(|o| !o.is_empty()));
    }
}

#[test]
fn there_is_a_task_definition_for_every_task_and_no_other() {
    let defs = definition("taskdefs.json");
    let defs = defs.as_array().unwrap();
    let mut names: Vec<&str> = defs.iter().map(|d| d["name"].as_str().unwrap()).collect();
    let template = full_22("optimized");
    let mut wanted: Vec<&str> = template.tasks.iter().map(|t| t.task_type.as_str()).collect();
    names.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(names, wanted);
    for def in defs {
        assert!(def["responseTimeoutSeconds"].as_u64() >= Some(1), "{def}");
        assert_eq!(def["timeoutPolicy"], "RETRY");
        assert_eq!((&def["retryCount"], &def["retryLogic"]), (&json!(2), &json!("FIXED")));
    }
}

// ---- definitions that can't be ----

fn simple(reference: &str) -> Value {
    json!({"name": format!("do_{reference}"), "taskReferenceName": reference, "type": "SIMPLE"})
}

fn reading(reference: &str, expression: &str) -> Value {
    let mut task = simple(reference);
    task["inputParameters"] = json!({"deep": [{"x": expression}]});
    task
}

fn fork(branches: Value) -> Value {
    json!({"name": "fork", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": branches})
}

fn join(on: Value) -> Value {
    json!({"name": "join", "taskReferenceName": "j", "type": "JOIN", "joinOn": on})
}

fn workflow(tasks: Value) -> Value {
    json!({"name": "w", "tasks": tasks})
}

fn abc(lines: &str) -> Durations {
    Durations::parse(&format!("ref,task,agent,s,after\n{lines}"), "s", Some("after")).unwrap()
}

fn refused(tasks: Value) -> DefinitionError {
    template_of_part(&workflow(tasks), &abc("a,do_a,x,1,\nb,do_b,x,1,\nc,do_c,x,1,\n")).unwrap_err()
}

#[test]
fn shapes_that_no_server_could_run_are_refused_by_name() {
    use DefinitionError as E;
    assert_eq!(refused(json!([simple("a"), simple("a")])), E::DuplicateReference("a".into()));
    let mut wait = simple("a");
    wait["type"] = json!("WAIT");
    assert!(matches!(refused(json!([wait])), E::UnknownType { kind, .. } if kind == "WAIT"));
    let f = fork(json!([[simple("a")], [simple("b")]]));
    assert_eq!(refused(json!([f])), E::ForkWithoutJoin("f".into()));
    assert_eq!(refused(json!([f, simple("c")])), E::ForkWithoutJoin("f".into()));
    assert_eq!(refused(json!([simple("a"), join(json!(["a"]))])), E::JoinWithoutFork("j".into()));
    assert_eq!(refused(json!([fork(json!([[]])), join(json!(["a"]))])), E::EmptyBranch("f".into()));
    assert_eq!(refused(json!([f, join(json!([]))])), E::JoinsNothing("j".into()));
    assert!(matches!(refused(json!([])), E::Missing { what: "non-empty list `tasks`", .. }));
    assert!(matches!(refused(json!([{"name": "x"}])), E::Missing { what: "`taskReferenceName`", .. }));
}

#[test]
fn a_join_waits_only_for_what_comes_before_it() {
    use DefinitionError as E;
    let f = fork(json!([[simple("a")], [simple("b")]]));
    let later = json!([f, join(json!(["a", "c"])), simple("c")]);
    assert!(matches!(refused(later), E::JoinsLater { why: "comes after it", .. }));
    assert!(matches!(refused(json!([f, join(json!(["j"]))])), E::JoinsLater { why: "is itself", .. }));
    let unknown = refused(json!([f, join(json!(["z"]))]));
    assert_eq!(unknown, E::JoinsUnknown { join: "j".into(), name: "z".into() });
}

#[test]
fn an_expression_reads_only_what_is_finished_by_then() {
    use DefinitionError as E;
    let too_early = |tasks| match refused(tasks) {
        E::ReadsTooEarly { why, .. } => why,
        other => panic!("{other}"),
    };
    let cycle = json!([reading("a", "${b.output.x}"), simple("b")]);
    assert_eq!(too_early(cycle), "comes after it (a cycle)");
    assert_eq!(too_early(json!([reading("a", "${a.output.x}")])), "is the task itself");
    let f = fork(json!([[reading("a", "${b.output.x}")], [simple("b")]]));
    assert_eq!(too_early(json!([f, join(json!(["a", "b"]))])), "runs beside it (a race)");
    let unknown = refused(json!([reading("a", "${zz.output.x}")]));
    assert!(matches!(unknown, E::ReadsUnknown { name, .. } if name == "zz"));
    // A join that leaves a branch out doesn't wait for it, so what follows may not read it.
    let f = fork(json!([[simple("a")], [simple("b")]]));
    let loose = json!([f, join(json!(["a"])), reading("c", "${b.output.x}")]);
    assert_eq!(too_early(loose), "runs beside it (a race)");
}

#[test]
fn nested_forks_give_the_order_that_a_server_would() {
    let inner_fork = json!({"name": "fork", "taskReferenceName": "g", "type": "FORK_JOIN",
        "forkTasks": [[simple("b")], [simple("c")]]});
    let inner_join = json!({"name": "join", "taskReferenceName": "k", "type": "JOIN", "joinOn": ["b", "c"]});
    let outer = fork(json!([[simple("a")], [inner_fork, inner_join]]));
    let tasks = json!([outer, join(json!(["a", "k"])), reading("d", "${k.output.b.x}")]);
    let durations = abc("a,do_a,x,1,\nb,do_b,x,5,\nc,do_c,x,1,\nd,do_d,x,2,a b c\n");
    let t = template(&workflow(tasks), &durations).unwrap();
    assert_eq!(t.predecessors("d"), ["a", "b", "c"]);
    assert_eq!(t.critical_path_s, 7.0);
}

#[test]
fn csv_and_definition_must_name_the_same_tasks() {
    let chain = workflow(json!([simple("a"), simple("b")]));
    let say = |lines: &str| template(&chain, &abc(lines)).unwrap_err().to_string();
    assert!(say("a,do_a,x,1,\n").contains("no line for `b`"));
    let both = say("a,do_a,x,1,\nb,do_b,x,1,a\nq,do_q,x,1,\nr,do_r,x,1,\n");
    assert!(both.contains("lines for `q`, `r`"), "{both}");
    assert!(say("a,do_a,x,1,\nb,other,x,1,a\n").contains("`other` in the CSV"));
}

#[test]
fn csv_and_definition_must_ask_for_the_same_order() {
    let chain = workflow(json!([simple("a"), simple("b"), simple("c")]));
    let error = template(&chain, &abc("a,do_a,x,1,\nb,do_b,x,1,a\nc,do_c,x,1,a\n")).unwrap_err();
    let DefinitionError::OtherOrder { reference, definition, csv, .. } = error else { panic!("{error}") };
    assert_eq!((reference.as_str(), definition.as_str(), csv.as_str()), ("c", "`a`, `b`", "`a`"));
    // An edge that follows from others is the same order.
    assert!(template(&chain, &abc("a,do_a,x,1,\nb,do_b,x,1,a\nc,do_c,x,1,a b\n")).is_ok());
}

// ---- laws ----

/// A workflow in series and parallel.
#[derive(Debug, Clone)]
enum Shape {
    Task(u32),
    Series(Vec<Shape>),
    Parallel(Vec<Shape>),
}

impl Shape {
    fn length(&self) -> u32 {
        match self {
            Self::Task(seconds) => *seconds,
            Self::Series(parts) => parts.iter().map(Self::length).sum(),
            Self::Parallel(branches) => branches.iter().map(Self::length).max().unwrap(),
        }
    }

    /// Its tasks as Conductor writes them, and a line of CSV for each worker task.
    fn write(&self, csv: &mut String, number: &mut u32) -> Vec<Value> {
        *number += 1;
        let n = *number;
        match self {
            Self::Task(seconds) => {
                csv.push_str(&format!("t{n},do_t{n},x,{seconds}\n"));
                vec![simple(&format!("t{n}"))]
            }
            Self::Series(parts) => parts.iter().flat_map(|p| p.write(csv, number)).collect(),
            Self::Parallel(branches) => {
                let branches: Vec<Vec<Value>> = branches.iter().map(|b| b.write(csv, number)).collect();
                let last: Vec<&Value> =
                    branches.iter().map(|b| &b.last().unwrap()["taskReferenceName"]).collect();
                let join = json!({"name": "join", "taskReferenceName": format!("j{n}"), "type": "JOIN", "joinOn": last});
                let fork = json!({"name": "fork", "taskReferenceName": format!("f{n}"), "type": "FORK_JOIN",
                    "forkTasks": branches});
                vec![fork, join]
            }
        }
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let task = (1u32..1_000).prop_map(Shape::Task);
    task.prop_recursive(4, 40, 4, |inner| {
        let parts = prop::collection::vec(inner, 1..5);
        prop_oneof![parts.clone().prop_map(Shape::Series), parts.prop_map(Shape::Parallel)]
    })
}

proptest! {
    #[test]
    fn a_series_takes_the_sum_and_a_fork_the_longest_of_its_branches(shape in shapes()) {
        let mut csv = "ref,task,agent,s\n".to_owned();
        let tasks = shape.write(&mut csv, &mut 0);
        let durations = Durations::parse(&csv, "s", None).unwrap();
        let template = template(&workflow(Value::Array(tasks)), &durations).unwrap();
        prop_assert_eq!(template.critical_path_s, f64::from(shape.length()));
    }

    #[test]
    fn no_table_makes_the_reader_panic(text in "(ref|task|agent|s|after|[a-c ,\"\n\r]|[0-9.-]){0,60}") {
        let _ = Durations::parse(&text, "s", Some("after"));
    }
}
