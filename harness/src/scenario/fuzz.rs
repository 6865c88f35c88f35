//! No text makes the readers of scenarios and suites panic: it is read, or refused with a file and a reason.

use super::{read, suite};
use proptest::prelude::*;

const SCENARIOS: [&str; 4] = [
    include_str!("../../../scenarios/load/main.toml"),
    include_str!("../../../scenarios/load/spike.toml"),
    include_str!("../../../scenarios/load/mixed.toml"),
    include_str!("../../../scenarios/load.toml"),
];

/// Values that somebody may write by mistake, or to see what happens.
const ODD: [&str; 16] = [
    "-1",
    "0",
    "1e308",
    "nan",
    "-inf",
    "99999999999999999999",
    "\"\"",
    "\"é\u{1f600}\"",
    "[]",
    "{}",
    "true",
    "[[",
    "\"9999999 h\"",
    "\"-5 s\"",
    "1979-05-27",
    "\"\"\"",
];

/// One change to a text: which line, what kind, which odd value.
type Change = (usize, u8, usize);

fn changed(text: &str, changes: &[Change]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (line, kind, odd) in changes {
        let at = line % lines.len().max(1);
        let odd = ODD[odd % ODD.len()];
        let Some(old) = lines.get(at).cloned() else { continue };
        match kind % 5 {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, old),
            2 => lines[at] = old.split_once('=').map_or(odd.to_owned(), |(key, _)| format!("{key}= {odd}")),
            3 => lines[at] = old.chars().take(old.chars().count() / 2).collect(),
            _ => lines[at] = format!("{old}{odd}"),
        }
    }
    lines.join("\n")
}

/// Reads the text as both; a refusal says of which file.
fn read_both(text: &str) -> Result<(), TestCaseError> {
    let refusals = [
        read::parse("my.toml", text).err().map(|error| error.to_string()),
        suite::parse("my.toml", text).err().map(|error| error.to_string()),
    ];
    for refusal in refusals.into_iter().flatten() {
        prop_assert!(refusal.contains("my.toml"), "{}", refusal);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutilated_scenario_is_read_or_refused(
        which in 0..SCENARIOS.len(),
        changes in proptest::collection::vec(any::<Change>(), 1..6),
    ) {
        read_both(&changed(SCENARIOS[which], &changes))?;
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}|[a-z_]{1,8} ?= ?.{0,20}\n(\\[\\[?[a-z]{1,8}\\]?\\]\n.{0,40}){0,4}") {
        read_both(&text)?;
    }
}
