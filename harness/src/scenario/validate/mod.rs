//! What a scenario must fulfil beyond its syntax.

pub mod drill;
mod load;
mod target;

use super::Scenario;
use crate::plan::PROBES;
use std::collections::BTreeSet;

/// Something that a scenario contradicts itself in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The key that is to blame.
    key: &'static str,
    /// Its value, or a part of it.
    value: String,
    /// What is wrong, and what would be accepted.
    pub problem: String,
}

impl Finding {
    /// The line of `text` that sets the key to the value; a scenario is short, so a search is enough.
    pub fn find_line<'t>(&self, text: &'t str) -> Option<(usize, &'t str)> {
        let lines = || text.lines().enumerate().map(|(index, line)| (index + 1, line));
        // Only that value, as a plain one; else as a part of one.
        let exactly = |value: &str| {
            let plain = value.split([',', '}', '#']).next().unwrap_or_default();
            plain.trim().trim_matches('"') == self.value
        };
        let partly = |value: &str| value.contains(&self.value);
        let exact = lines().find(|(_, line)| self.is_set_in(line, &exactly));
        exact.or_else(|| lines().find(|(_, line)| self.is_set_in(line, &partly)))
    }

    /// True when the line has the key, alone or in an inline table, with a value that is the one.
    fn is_set_in(&self, line: &str, is_it: &dyn Fn(&str) -> bool) -> bool {
        let places = line.match_indices(self.key);
        places.map(|(at, key)| (&line[..at], &line[at + key.len()..])).any(|(before, after)| {
            let is_whole = !before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
            let value = after.trim_start().strip_prefix('=');
            is_whole && value.is_some_and(is_it)
        })
    }
}

fn refuse<T>(key: &'static str, value: impl ToString, problem: String) -> Result<T, Finding> {
    Err(Finding { key, value: value.to_string(), problem })
}

/// The first thing that is wrong with `scenario`.
pub fn check(scenario: &Scenario) -> Result<(), Finding> {
    check_name("name", &scenario.name)?;
    if !(0.0..1.0).contains(&scenario.spread) {
        let spread = scenario.spread;
        return refuse("spread", spread, format!("spread = {spread}: accepted is 0 to below 1"));
    }
    load::check_factor(scenario)?;
    for (key, rate) in [
        ("failure_rate", scenario.workers.failure_rate),
        ("terminal_failure_rate", scenario.workers.terminal_failure_rate),
    ] {
        if !(0.0..=1.0).contains(&rate) {
            return refuse(key, rate, format!("{key} = {rate}: a share is between 0 and 1"));
        }
    }
    if let Some(unknown) = scenario.covers.iter().find(|id| !is_case(id)) {
        let problem =
            format!("covers {unknown:?}: no such case; there are E1-E25, L1-L15, F1-F16 and S1-S12");
        return refuse("covers", unknown, problem);
    }
    if scenario.level.is_empty() {
        return refuse("level", "", "no [[level]]: a scenario needs at least one level of load".to_owned());
    }
    let mut names = BTreeSet::new();
    for level in &scenario.level {
        check_name("name", &level.name)?;
        load::check(scenario, level)?;
        if !names.insert(level.name.as_str()) {
            return refuse("name", &level.name, format!("two levels are called {:?}", level.name));
        }
    }
    target::check(scenario)?;
    drill::check(scenario)?;
    check_gates(scenario)
}

/// Ids of docs/cases.md.
fn is_case(id: &str) -> bool {
    let most = match id.get(..1) {
        Some("E") => 25,
        Some("L") => 15,
        Some("F") => 16,
        Some("S") => 12,
        _ => return false,
    };
    id[1..]
        .parse::<u32>()
        .is_ok_and(|number| (1..=most).contains(&number) && id == format!("{}{number}", &id[..1]))
}

fn check_name(key: &'static str, name: &str) -> Result<(), Finding> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    // Names become parts of paths and of correlation ids.
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) || name.len() > 60 {
        let problem = format!("{name:?} is not a name: letters, digits, '-', '_' and '.' only, 60 at most");
        return refuse(key, name, problem);
    }
    Ok(())
}

fn check_gates(scenario: &Scenario) -> Result<(), Finding> {
    for gate in &scenario.gate {
        if gate.name.chars().any(char::is_control) {
            let problem = format!("gate {:?}: a name is one line of printable text", gate.name);
            return refuse("name", "", problem);
        }
        if [gate.at_least, gate.at_most].into_iter().flatten().any(|bound| !bound.is_finite()) {
            let problem = format!("gate {:?}: a bound is a finite number", gate.name);
            return refuse("at_most", "", problem);
        }
        if gate.at_least.is_none() && gate.at_most.is_none() {
            let problem = format!("gate {:?} has neither at_least nor at_most: it bounds nothing", gate.name);
            return refuse("name", &gate.name, problem);
        }
        if let Some((prefix, _)) = gate.measure.split_once('/')
            && !prefix.starts_with("TEMPLATE:")
            && !judged(scenario).any(|known| known == prefix)
        {
            let problem = format!(
                "gate {:?} judges {:?}, but there is no level or fault {prefix:?}; there are {}",
                gate.name,
                gate.measure,
                judged(scenario).collect::<Vec<_>>().join(", ")
            );
            return refuse("measure", &gate.measure, problem);
        }
    }
    Ok(())
}

/// What measures can be of: levels, and the probes.
fn judged(scenario: &Scenario) -> impl Iterator<Item = &str> {
    let probes = scenario.probes.iter().map(|_| PROBES);
    let faults = scenario.fault.iter().map(|fault| fault.name.as_str());
    scenario.level.iter().map(|level| level.name.as_str()).chain(probes).chain(faults)
}
