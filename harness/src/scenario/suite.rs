//! Suites: an ordered set of scenarios in one strict TOML file.

use super::read::{ScenarioError, from_toml};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The profile of scenarios that name none, and the one that is run unless another is asked for.
pub const QUICK: &str = "quick";

/// A suite as its file writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Short name; part of the run directory's name.
    pub suite: String,
    /// One line for people.
    pub title: String,
    /// The seed of all its scenarios, in place of their own.
    pub seed: u64,
    /// Its scenarios, in the order in which they are run.
    pub scenario: Vec<Member>,
}

/// A scenario of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name, as `shakedown run` takes it; or its file, relative to the suite's.
    pub run: String,
    /// The profile that runs it: `--profile soak`.
    #[serde(default = "quick")]
    pub profile: String,
    /// It is run with so many seeds: the suite's, and those that follow it.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub seeds: u32,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_one(seeds: &u32) -> bool {
    *seeds == 1
}

fn quick() -> String {
    QUICK.to_owned()
}

/// True when a text is that of a suite, and not of a scenario.
pub fn is_suite(text: &str) -> bool {
    text.lines().any(|line| line.trim() == "[[scenario]]")
}

/// Reads the text of a suite file.
///
/// # Errors
/// It isn't TOML, has an unknown key or a value that isn't accepted, or no scenario.
pub fn parse(file: &str, text: &str) -> Result<Suite, ScenarioError> {
    let suite: Suite = toml::from_str(text).map_err(|error| from_toml(file, text, &error))?;
    let refuse = |problem: String| {
        Err(ScenarioError { file: file.to_owned(), line: None, text: String::new(), problem })
    };
    let plain = |name: &str| {
        !name.is_empty()
            && name.len() <= 60
            && !name.starts_with('.')
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
    };
    if !plain(&suite.suite) {
        let name = &suite.suite;
        return refuse(format!("{name:?} is not a name: letters, digits, '-', '_' and '.' only, 60 at most"));
    }
    if i64::try_from(suite.seed).is_err() {
        return refuse(format!("seed = {}: accepted is 0 to {}", suite.seed, i64::MAX));
    }
    for (at, member) in suite.scenario.iter().enumerate() {
        if suite.scenario.iter().take(at).any(|earlier| earlier.run == member.run) {
            return refuse(format!("{:?} is there twice", member.run));
        }
        if !(1..=10_000).contains(&member.seeds) {
            return refuse(format!("{:?}: seeds = {}: accepted is 1 to 10000", member.run, member.seeds));
        }
    }
    Ok(suite)
}

impl Suite {
    /// Its profiles, each once.
    pub fn profiles(&self) -> Vec<&str> {
        let mut profiles: Vec<&str> = self.scenario.iter().map(|member| member.profile.as_str()).collect();
        profiles.sort_unstable();
        profiles.dedup();
        profiles
    }

    /// The scenarios of a profile.
    pub fn members<'s>(&'s self, profile: &'s str) -> impl Iterator<Item = &'s Member> {
        self.scenario.iter().filter(move |member| member.profile == profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "suite = \"s\"\ntitle = \"t\"\nseed = 1\n[[scenario]]\nrun = \"load/main\"\n\
                        [[scenario]]\nrun = \"load/soak\"\nprofile = \"soak\"\n";

    #[test]
    fn scenarios_belong_to_a_profile() {
        let suite = parse("s.toml", GOOD).unwrap();
        assert!(is_suite(GOOD));
        assert_eq!(suite.profiles(), [QUICK, "soak"]);
        let names = |profile| suite.members(profile).map(|m| m.run.as_str()).collect::<Vec<_>>();
        assert_eq!((names(QUICK), names("soak")), (vec!["load/main"], vec!["load/soak"]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, part) in [
            ("profile =", "profil =", "Did you mean `profile`?"),
            ("suite = \"s\"", "suite = \"a/b\"", "is not a name"),
            ("load/soak", "load/main", "twice"),
            ("seed = 1", "seed = -1", "seed"),
            ("profile = \"soak\"", "seeds = 0", "1 to 10000"),
            ("title = \"t\"\n", "", "missing field `title`"),
        ] {
            let error = parse("s.toml", &GOOD.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.starts_with("s.toml") && error.contains(part), "{error}");
        }
    }
}
