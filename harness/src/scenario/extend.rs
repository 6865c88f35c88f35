//! `extends = "base.part.toml"`: a scenario that says only what is its own.
//!
//! Tables are merged key by key; everything else, lists too, replaces what the base has. File names in the base are
//! relative to the scenario's own folder, as its own are.

use super::catalogue::{self, Origin};
use super::read::{ScenarioError, from_toml};
use anyhow::Context as _;
use toml::{Table, Value};

const KEY: &str = "extends";

/// The whole text of a scenario that extends another file; `None` when it extends none.
///
/// # Errors
/// It isn't TOML, or what it extends is not there, is no TOML, or extends something itself.
pub fn whole(file: &str, text: &str, origin: &Origin) -> anyhow::Result<Option<String>> {
    let mut own: Table = toml::from_str(text).map_err(|error| from_toml(file, text, &error))?;
    let Some(base) = own.remove(KEY) else { return Ok(None) };
    let refuse = |problem: String| {
        let line = text.lines().position(|line| line.trim_start().starts_with(KEY));
        let shown = line.and_then(|at| text.lines().nth(at)).unwrap_or_default().trim().to_owned();
        anyhow::Error::from(ScenarioError {
            file: file.to_owned(),
            line: line.map(|at| at + 1),
            text: shown,
            problem,
        })
    };
    let Value::String(base) = base else {
        return Err(refuse("extends names a file: \"base.part.toml\"".to_owned()));
    };
    let base_text = catalogue::named_by(origin, &base).with_context(|| format!("{file} extends {base:?}"))?;
    let mut table: Table =
        toml::from_str(&base_text).map_err(|error| from_toml(&base, &base_text, &error))?;
    if table.contains_key(KEY) {
        return Err(refuse(format!("{base:?} extends something itself; one step is enough")));
    }
    merge(&mut table, own);
    Ok(Some(toml::to_string(&table)?))
}

fn merge(base: &mut Table, own: Table) {
    for (key, value) in own {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(own)) => merge(base, own),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn extended(own: &str, base: &str) -> anyhow::Result<Option<String>> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("base.part.toml"), base)?;
        let file = folder.path().join("own.toml");
        fs::write(&file, own)?;
        whole("own.toml", own, &Origin::Disk(file))
    }

    #[test]
    fn tables_are_merged_and_everything_else_is_replaced() {
        let base = "seed = 1\nlist = [1, 2]\n[timers]\na = \"1 s\"\nb = \"2 s\"\n";
        let own = "extends = \"base.part.toml\"\nseed = 9\nlist = [3]\n[timers]\nb = \"3 s\"\n";
        let whole: Table = extended(own, base).unwrap().unwrap().parse().unwrap();
        let known: Table = "seed = 9\nlist = [3]\n[timers]\na = \"1 s\"\nb = \"3 s\"\n".parse().unwrap();
        assert_eq!(whole, known);
        assert_eq!(extended("seed = 1\n", base).unwrap(), None);
    }

    #[test]
    fn what_can_not_be_extended_is_named() {
        for (own, base, part) in [
            ("extends = 5\n", "", "names a file"),
            ("extends = \"nowhere.toml\"\n", "", "nowhere.toml"),
            ("extends = \"base.part.toml\"\n", "extends = \"x\"\n", "one step"),
            ("extends = \"base.part.toml\"\n", "x = \n", "base.part.toml:1"),
        ] {
            let error = format!("{:#}", extended(own, base).unwrap_err());
            assert!(error.contains(part), "{error}");
        }
    }
}
