//! `--set key=value`: one value of a scenario replaced from the command line, as strictly as in the file.

use super::{Scenario, read, validate};
use toml::{Table, Value};

/// An override that is refused.
#[derive(Debug, thiserror::Error)]
#[error("--set {given}: {problem}")]
pub struct OverrideError {
    /// What was given.
    given: String,
    /// What is wrong with it, and what would be accepted.
    problem: String,
}

/// Sets every `key=value` of `settings`. Elements of arrays are named: `level.1x.waves=2`.
///
/// # Errors
/// A key is unknown or a value isn't accepted; the message names the override that did it.
pub fn apply(scenario: Scenario, settings: &[String]) -> Result<Scenario, OverrideError> {
    let mut current = scenario;
    for given in settings {
        current = set(&current, given).map_err(|problem| OverrideError { given: given.clone(), problem })?;
    }
    Ok(current)
}

fn set(scenario: &Scenario, given: &str) -> Result<Scenario, String> {
    let (key, value) = given.split_once('=').ok_or("accepted is key=value, for example speed=1200")?;
    let mut table = Table::try_from(scenario).map_err(|error| error.to_string())?;
    let path: Vec<&str> = key.trim().split('.').collect();
    put(&mut table, &path, parse(value.trim()))?;
    let changed: Scenario =
        table.try_into().map_err(|error: toml::de::Error| read::with_suggestion(error.message()))?;
    validate::check(&changed).map_err(|finding| finding.problem)?;
    Ok(changed)
}

/// A TOML value; what isn't one is taken as text, so that nobody has to quote quotes for a shell.
fn parse(text: &str) -> Value {
    let table: Result<Table, _> = format!("value = {text}").parse();
    let value = table.ok().filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn put(table: &mut Table, path: &[&str], value: Value) -> Result<(), String> {
    let [key, rest @ ..] = path else { return Err("the key is empty".to_owned()) };
    if rest.is_empty() {
        table.insert((*key).to_owned(), value);
        return Ok(());
    }
    match table.entry((*key).to_owned()).or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => put(inner, rest, value),
        Value::Array(elements) => {
            let named = |element: &Value| element.get("name").and_then(Value::as_str).map(str::to_owned);
            let names: Vec<String> = elements.iter().filter_map(named).collect();
            let element = elements.iter_mut().find(|element| named(element).as_deref() == Some(rest[0]));
            match element.and_then(Value::as_table_mut) {
                Some(inner) => put(inner, &rest[1..], value),
                None => Err(format!("{key} has no {:?}; it has {}", rest[0], names.join(", "))),
            }
        }
        _ => Err(format!("{key} is a plain value and has nothing inside")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smoke() -> Scenario {
        read::parse("smoke.toml", include_str!("../../../scenarios/load/smoke.toml")).unwrap()
    }

    fn with(setting: &str) -> Result<Scenario, OverrideError> {
        apply(smoke(), &[setting.to_owned()])
    }

    #[test]
    fn values_are_set_where_they_are_named() {
        assert_eq!(with("level.1x.waves=7").unwrap().level[0].waves, Some(7));
        assert!((with("workers.failure_rate=0.5").unwrap().workers.failure_rate - 0.5).abs() < 1e-9);
        assert_eq!(with("title=another one").unwrap().title, "another one");
        assert!((with("level.1x.drain=5 s").unwrap().level[0].drain.seconds() - 5.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_refused_is_named() {
        for (setting, part) in [
            ("level.1x.wavs=7", "Did you mean `waves`"),
            ("level.7x.waves=7", "it has 1x"),
            ("spread=2", "spread = 2"),
            ("speed", "key=value"),
            ("seed.x=1", "plain value"),
            ("level.1x.drain=5", "no unit"),
            ("=1", ""),
        ] {
            let error = with(setting).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(setting), "{error}");
        }
    }
}
