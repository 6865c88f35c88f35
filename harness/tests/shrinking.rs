//! A schedule that fails is shrunk to what is to blame: here to one fault of two.

use crate::drill;
use crate::program::shakedown;
use std::fs;
use tempfile::tempdir;

/// Two kills, of which one may do no harm at all and the other can't but break what it is allowed.
const FAULTS: &str = "[[fault]]\nname = \"harmless\"\ninject = { fault = \"latency\", latency_ms = 1 }\non = \"link:clients\"\n\
    at = \"600 ms\"\nlasts = \"200 ms\"\n\
    [[fault]]\nname = \"guilty\"\ninject = { fault = \"pause\" }\non = \"engine\"\nat = \"1200 ms\"\nlasts = \"1 s\"\n\
    allow = { first_success = \"1 ms\" }\n";

#[test]
fn the_fault_that_is_to_blame_is_left() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("two.toml"), drill::scenario(50, 3, FAULTS)).unwrap();
    // A machine of others may make the first run invalid; then there is nothing to shrink, and it is run again.
    let again = |number: u32| {
        let out = format!("runs-{number}");
        (out.clone(), shakedown(folder.path(), &["run", "two.toml", "--shrink", "--out", &out]))
    };
    let (out, ended) = (1..4).map(again).find(|(_, ended)| ended.code != Some(3)).unwrap_or_else(|| again(4));
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.err.contains("the smallest schedule that fails has guilty"), "{ended:#?}");
    let run = fs::read_dir(folder.path().join(out)).unwrap().next().unwrap().unwrap();
    let shrunk = fs::read_to_string(run.path().join("shrunk.toml")).unwrap();
    assert!(shrunk.contains("name = \"guilty\"") && !shrunk.contains("harmless"), "{shrunk}");
}
