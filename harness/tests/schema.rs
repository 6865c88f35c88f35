//! The schema of scenario files: the committed copy is the one that the program prints, everything shipped fits it, and
//! slips do not.
//!
//! The reader of scenarios is the judge of them; the schema only helps editors. So a check of the few keywords that it
//! uses is enough here, where a full validator would bring three dozen crates. A keyword that the check does not know
//! fails the test, so nothing is passed over in silence.

use crate::program::shakedown;
use regex::Regex;
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::tempdir;

const SILENT: &[&str] = &["$schema", "$defs", "title", "description", "default", "format"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn printed(of: &str) -> String {
    let folder = tempdir().unwrap();
    let run = shakedown(folder.path(), &["schema", of]);
    run.expect(0, &[]);
    run.out
}

/// The first thing in which `value` does not fit `schema`.
fn misfit(whole: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    let keywords = match schema {
        Value::Bool(fits) => return (!fits).then(|| format!("{place}: nothing fits here")),
        Value::Object(keywords) => keywords,
        other => panic!("{place}: {other} is no schema"),
    };
    keywords.iter().find_map(|(keyword, wanted)| one(whole, keywords, (keyword, wanted), value, place))
}

fn one(
    whole: &Value,
    keywords: &Map<String, Value>,
    (keyword, wanted): (&str, &Value),
    value: &Value,
    place: &str,
) -> Option<String> {
    let unless = |fits: bool| (!fits).then(|| format!("{place}: {value} against {keyword} {wanted}"));
    let number = value.as_f64();
    let choices = || wanted.as_array().unwrap().iter();
    let fitting = || choices().filter(|choice| misfit(whole, choice, value, place).is_none()).count();
    match keyword {
        "type" => {
            let mut types = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]).into_iter();
            unless(types.any(|kind| is_of(kind.as_str().unwrap(), value)))
        }
        "$ref" => {
            let name = wanted.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
            misfit(whole, &whole["$defs"][name], value, place)
        }
        "properties" => {
            let own =
                value.as_object()?.iter().filter_map(|(key, inner)| Some((key, wanted.get(key)?, inner)));
            own.into_iter()
                .find_map(|(key, schema, inner)| misfit(whole, schema, inner, &format!("{place}.{key}")))
        }
        "additionalProperties" => {
            let known = keywords.get("properties").and_then(Value::as_object);
            let strange =
                value.as_object()?.iter().filter(|(key, _)| known.is_none_or(|all| !all.contains_key(*key)));
            strange
                .into_iter()
                .find_map(|(key, inner)| misfit(whole, wanted, inner, &format!("{place}.{key}")))
        }
        "required" => {
            let object = value.as_object()?;
            unless(choices().all(|key| object.contains_key(key.as_str().unwrap())))
        }
        "items" => {
            let items = value.as_array()?.iter().enumerate();
            items.into_iter().find_map(|(at, item)| misfit(whole, wanted, item, &format!("{place}[{at}]")))
        }
        "prefixItems" => {
            let each = value.as_array()?.iter().zip(wanted.as_array().unwrap()).enumerate();
            each.into_iter()
                .find_map(|(at, (item, wanted))| misfit(whole, wanted, item, &format!("{place}[{at}]")))
        }
        "minItems" => unless(value.as_array()?.len() as u64 >= wanted.as_u64().unwrap()),
        "maxItems" => unless(value.as_array()?.len() as u64 <= wanted.as_u64().unwrap()),
        "anyOf" => unless(fitting() > 0),
        "oneOf" => unless(fitting() == 1),
        "enum" => unless(choices().any(|choice| choice == value)),
        "const" => unless(wanted == value),
        "pattern" => unless(Regex::new(wanted.as_str().unwrap()).unwrap().is_match(value.as_str()?)),
        "minimum" => unless(number? >= wanted.as_f64().unwrap()),
        "maximum" => unless(number? <= wanted.as_f64().unwrap()),
        "exclusiveMinimum" => unless(number? > wanted.as_f64().unwrap()),
        silent => {
            assert!(SILENT.contains(&silent), "the check does not know the keyword {silent}");
            None
        }
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        other => panic!("no type is called {other}"),
    }
}

fn toml(text: &str) -> Value {
    serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap()
}

#[test]
fn the_committed_schemas_are_those_that_the_program_prints() {
    for of in ["scenario", "suite"] {
        let path = root().join(format!("docs/schema/{of}.json"));
        let committed = fs::read_to_string(&path).unwrap();
        let renew = format!("`shakedown schema {of} > docs/schema/{of}.json` renews it");
        assert!(committed == printed(of), "{} is stale: {renew}", path.display());
    }
}

#[test]
fn everything_that_is_shipped_fits_and_names_its_schema() {
    let (scenario, suite): (Value, Value) = (
        serde_json::from_str(&printed("scenario")).unwrap(),
        serde_json::from_str(&printed("suite")).unwrap(),
    );
    let mut seen = 0;
    let mut open = vec![root().join("scenarios")];
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|kind| kind == "toml")
                && !path.to_string_lossy().ends_with(".part.toml")
            {
                let text = fs::read_to_string(&path).unwrap();
                let schema = if text.contains("[[scenario]]") { &suite } else { &scenario };
                assert_eq!(misfit(schema, schema, &toml(&text), &path.display().to_string()), None);
                let named = text.lines().next().unwrap().strip_prefix("#:schema ").unwrap();
                assert!(path.parent().unwrap().join(named).is_file(), "{} names {named}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen >= 10, "{seen} files");
}

#[test]
fn slips_that_the_reader_refuses_do_not_fit_either() {
    let schema: Value = serde_json::from_str(&printed("scenario")).unwrap();
    let good = fs::read_to_string(root().join("scenarios/load/mixed.toml")).unwrap();
    for (from, to) in [
        ("in_flight_cap = 400", "in_flight_kap = 400"),
        ("in_flight_cap = 400", "in_flight_cap = \"many\""),
        ("mode = \"open\"", "mode = \"opne\""),
        ("drain = \"60 s\"", "drain = \"60 sec\""),
        ("drain = \"60 s\"", "drain = 60"),
        ("slots = 60", "slots = 0"),
        ("slots = 60", "slots = \"3 for each\""),
        ("speed = 600", "speed = -1"),
        ("weight = 9", "wait = 9"),
        ("lognormal", "normal"),
        ("title = ", "titel = "),
    ] {
        assert!(good.contains(from), "the sample has {from}");
        let text = good.replacen(from, to, 1);
        assert!(misfit(&schema, &schema, &toml(&text), "x").is_some(), "{to} fits");
    }
}

#[test]
fn completions_and_the_manual_page_know_every_command() {
    let folder = tempdir().unwrap();
    let man = shakedown(folder.path(), &["man"]);
    man.expect(0, &[]);
    for command in ["run", "judge", "list", "doctor", "worker", "engine", "schema"] {
        assert!(man.out.contains(&format!("shakedown-{command}")), "{command} has no page");
        for shell in ["bash", "zsh", "fish"] {
            let script = shakedown(folder.path(), &["completions", shell]);
            script.expect(0, &[]);
            assert!(script.out.contains(command), "{shell} does not complete {command}");
        }
    }
    assert!(!man.out.contains("shakedown-load"), "what people don't start isn't in the manual");
}
