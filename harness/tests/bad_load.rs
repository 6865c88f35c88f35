//! Bad load: every slip in the keys of open load, mixes, distributions and suites is named with its place.

use crate::program::shakedown;
use std::fs;
use tempfile::tempdir;

const RAMP: &str = include_str!("../../scenarios/load/ramp.toml");
const SUITE: &str = include_str!("../../scenarios/load.toml");

/// Writes ramp.toml with one change into a folder and runs it.
#[track_caller]
fn changed(from: &str, to: &str, parts: &[&str]) {
    let folder = tempdir().unwrap();
    assert!(RAMP.contains(from), "the sample has {from}");
    fs::write(folder.path().join("my.toml"), RAMP.replacen(from, to, 1)).unwrap();
    shakedown(folder.path(), &["run", "my.toml"]).expect(4, &[parts, &["my.toml"]].concat());
    assert!(!folder.path().join("runs").exists(), "nothing was started");
}

#[test]
fn stages_that_are_none() {
    let steady = "{ rate_per_s = 120, for = \"15 s\" }";
    changed(
        steady,
        "{ rate_per_s = 0, for = \"15 s\" }",
        &["my.toml:", "a rate of 0", "pause", "rate_per_s = 0"],
    );
    changed(steady, "{ rate_per_s = -5, for = \"15 s\" }", &["my.toml:", "rate_per_s = -5", "0 to 100000"]);
    changed(steady, "{ rate_per_s = nan, for = \"15 s\" }", &["NaN", "0 to 100000"]);
    changed(steady, "{ rate_per_s = 120 }", &["no length", "for ="]);
    changed(steady, "{ rate_per_s = 120, for = \"0 s\" }", &["no length"]);
    changed(steady, "{ for = \"15 s\" }", &["neither a rate nor a burst"]);
    changed(steady, "{ burst = 0 }", &["my.toml:", "burst of 0"]);
    changed(steady, "{ burst = 1000000000 }", &["1000001250 workflows", "200000"]);
    changed(steady, "{ burst = 99999999999 }", &["my.toml:", "burst = 99999999999"]);
    changed(steady, "{ burst = 5, pause = \"1 s\" }", &["a burst and something else"]);
    changed(steady, "{ rate_per_s = 120, for = \"15\" }", &["no unit"]);
    changed(
        steady,
        "{ rate_per_se = 120, for = \"15 s\" }",
        &["unknown key `rate_per_se`", "Did you mean `rate_per_s`?"],
    );
    changed("for = \"20 s\"", "for = \"20 h\"", &["200000"]);
}

#[test]
fn modes_that_contradict_their_keys() {
    changed("mode = \"open\"", "mode = \"opne\"", &["my.toml:", "opne", "open"]);
    changed("mode = \"open\"\n", "", &["closed load", "mode = \"open\""]);
    changed("in_flight_cap = 1000\n", "", &["no in_flight_cap"]);
    changed("in_flight_cap = 1000", "in_flight_cap = 0", &["my.toml:", "in_flight_cap = 0", "1 to 100000"]);
    changed("in_flight_cap = 1000", "in_flight_cap = 1000\nwaves = 3", &["my.toml:", "no waves", "stages"]);
    changed("in_flight_cap = 1000", "in_flight_cap = 1000\narrivals = \"random\"", &["random", "poisson"]);
    let stages = RAMP.split_once("stages = [").unwrap().1.split_once("\n]").unwrap().0;
    changed(&format!("stages = [{stages}\n]"), "stages = []", &["no stages"]);
    changed(&format!("stages = [{stages}\n]"), "stages = [{ pause = \"5 s\" }]", &["less than one workflow"]);
}

#[test]
fn mixes_that_start_nothing_or_strangers() {
    let single = "{ workflow = \"single\", weight = 1 }";
    changed(single, "{ workflow = \"singel\", weight = 1 }", &["my.toml:", "Did you mean \"single\"?"]);
    changed(single, "{ workflow = \"chain\", weight = 1 }", &["twice"]);
    changed(single, "{ workflow = \"single\", weight = -1 }", &["my.toml:", "weight -1"]);
    changed(single, "{ workflow = \"single\" }", &["missing field `weight`"]);
    let mix = "mix = [{ workflow = \"single\", weight = 1 }, { workflow = \"chain\", weight = 1 }]";
    changed(mix, "mix = [{ workflow = \"single\", weight = 0 }]", &["sum to 0"]);
    changed(mix, "mix = []", &["starts nothing"]);
    changed(mix, &format!("workflow = \"single\"\n{mix}"), &["a workflow and a mix"]);
}

#[test]
fn distributions_that_cannot_be_drawn_from() {
    let with = |value: &str| format!("slots = 200\ninput_bytes = {value}");
    for (value, part) in [
        ("-1", "can't be drawn from"),
        ("{ normal = { mean = 1 } }", "normal"),
        ("{ lognormal = { median = 10, sigma = 1 } }", "at_most"),
        ("{ lognormal = { median = 10, sigma = 1, at_most = 5 } }", "can't be drawn from"),
        ("{ uniform = { from = 9, to = 1 } }", "a range goes upwards"),
        ("1e9", "accepted is up to"),
    ] {
        changed("slots = 200", &with(value), &[part]);
    }
    changed("spread = 0.05", "spread = 0.05\nduration_factor = 2.0", &["keep one of them"]);
    changed("spread = 0.05", "duration_factor = { uniform = { from = 1, to = 1000 } }", &["up to 100"]);
}

/// Writes load.toml with one change into a folder and runs it.
#[track_caller]
fn suite(from: &str, to: &str, arguments: &[&str], parts: &[&str]) {
    let folder = tempdir().unwrap();
    assert!(SUITE.contains(from), "the sample has {from}");
    fs::write(folder.path().join("my.toml"), SUITE.replacen(from, to, 1)).unwrap();
    shakedown(folder.path(), &[&["run", "my.toml"], arguments].concat()).expect(4, parts);
    assert!(!folder.path().join("runs").exists(), "nothing was started");
}

#[test]
fn suites_that_are_refused_before_their_first_scenario() {
    suite(
        "run = \"load/spike\"",
        "run = \"load/spkie\"",
        &[],
        &["load/spkie", "did you mean \"load/spike\"?"],
    );
    suite("run = \"load/spike\"", "run = \"load/main\"", &[], &["twice"]);
    suite("profile = \"soak\"", "profil = \"soak\"", &[], &["my.toml:", "Did you mean `profile`?"]);
    suite(
        "seed = 1",
        "seed = 1",
        &["--profile", "soka"],
        &["no scenarios of profile \"soka\"", "quick, soak"],
    );
    suite("seed = 1", "seed = 1", &["--set", "speed=1"], &["--set", "is a suite"]);
    let folder = tempdir().unwrap();
    shakedown(folder.path(), &["run", "smoke", "--profile", "soak"]).expect(4, &["no suite was named"]);
}
