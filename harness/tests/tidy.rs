//! What can be checked is checked: the edges between crates, licences, clocks, the size and the opening of files.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines that a file may have without its tests.
const LONGEST: usize = 400;

/// Licences that the product may be linked with; an expression passes when it can be fulfilled with these.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).exec().unwrap()
}

fn ours(metadata: &Metadata) -> Vec<&Package> {
    metadata.workspace_packages()
}

#[test]
fn crates_form_a_star() {
    let allowed = BTreeMap::from([
        ("shakedown", BTreeSet::from(["shakedown-chaos", "shakedown-engine", "shakedown-reports"])),
        ("shakedown-chaos", BTreeSet::new()),
        ("shakedown-engine", BTreeSet::new()),
        ("shakedown-reports", BTreeSet::new()),
    ]);
    let metadata = metadata();
    let names: BTreeSet<String> = ours(&metadata).iter().map(|package| package.name.to_string()).collect();
    for package in ours(&metadata) {
        let plain =
            package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        let edges: BTreeSet<&str> =
            plain.map(|dependency| dependency.name.as_str()).filter(|name| names.contains(*name)).collect();
        let allowed = allowed.get(package.name.as_str());
        let allowed = allowed.unwrap_or_else(|| panic!("{} is new: say here what it may know", package.name));
        assert!(edges.is_subset(allowed), "{} knows {edges:?}, allowed is {allowed:?}", package.name);
    }
}

#[test]
fn every_file_of_tests_is_in_a_program() {
    for package in ours(&metadata()) {
        let tests = package.manifest_path.parent().unwrap().join("tests");
        let main = fs::read_to_string(tests.join("main.rs")).unwrap();
        let programs: BTreeSet<&Path> =
            package.targets.iter().map(|target| target.src_path.as_std_path()).collect();
        let files = fs::read_dir(&tests).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
            let module = format!("mod {};", file.file_stem().unwrap().to_str().unwrap());
            let is_run = programs.contains(file.as_path()) || main.lines().any(|line| line == module);
            assert!(is_run, "{} is in no program of tests: name it in tests/main.rs", file.display());
        }
    }
}

#[test]
fn licences_are_ones_that_we_may_link() {
    let metadata = metadata();
    let fits = |licence: &str| {
        let choices = licence.replace('/', " OR ").replace(['(', ')'], "");
        choices.split(" OR ").any(|choice| choice.split(" AND ").all(|one| LICENCES.contains(&one.trim())))
    };
    let refused: Vec<String> = metadata
        .packages
        .iter()
        .filter(|package| !package.license.as_deref().is_some_and(fits))
        .map(|package| format!("{} {}: {:?}", package.name, package.version, package.license))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

/// Every Rust file of the workspace, relative to the root.
fn rust_files() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> =
        ["engine", "chaos", "reports", "harness"].map(|name| root().join(name)).into();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() && entry.file_name() != "target" {
                open.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 30, "the workspace was not found");
    found.sort();
    found
}

fn offenders(offends: impl Fn(&Path, &str) -> bool) -> Vec<PathBuf> {
    rust_files().into_iter().filter(|(path, text)| offends(path, text)).map(|(path, _)| path).collect()
}

#[test]
fn every_file_opens_with_its_purpose() {
    assert_eq!(offenders(|_, text| !text.starts_with("//! ")), Vec::<PathBuf>::new());
}

#[test]
fn no_file_is_too_long() {
    let code = |text: &str| text.split("\n#[cfg(test)]").next().unwrap_or_default().lines().count();
    let is_test = |path: &Path| path.components().any(|part| part.as_os_str() == "tests");
    assert_eq!(offenders(|path, text| !is_test(path) && code(text) > LONGEST), Vec::<PathBuf>::new());
}

#[test]
fn no_module_is_a_drawer() {
    let drawer = |path: &Path| {
        let names = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
        names
            .into_iter()
            .any(|name| ["common", "util", "utils", "helpers"].contains(&name.trim_end_matches(".rs")))
    };
    assert_eq!(offenders(|path, _| drawer(path)), Vec::<PathBuf>::new());
}

#[test]
fn the_machine_has_no_clock_no_luck_and_no_world() {
    let banned = [
        "Instant::",
        "time::Instant",
        "SystemTime",
        "rand::",
        "tokio::",
        "std::fs",
        "std::net",
        "std::thread",
    ];
    let impure = |path: &Path, text: &str| {
        let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        path.starts_with("engine/src/machine")
            && lines.into_iter().any(|line| banned.iter().any(|word| line.contains(word)))
    };
    assert_eq!(offenders(impure), Vec::<PathBuf>::new());
}

#[test]
fn one_file_of_the_harness_reads_the_clock() {
    let reads = ["clock_gettime", "SystemTime", "Instant::now"];
    let found = offenders(|path, text| {
        path.starts_with("harness/src") && reads.iter().any(|word| text.contains(word))
    });
    assert_eq!(found, [PathBuf::from("harness/src/clock.rs")]);
}

#[test]
fn only_the_command_table_knows_the_engine() {
    let found = offenders(|path, text| path.starts_with("harness/src") && text.contains("shakedown_engine"));
    assert_eq!(found, [PathBuf::from("harness/src/cli/engine.rs")]);
}
