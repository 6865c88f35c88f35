//! The table of `docs/conformance.md` and the transcripts tell the same: nothing is claimed that is not there.

use std::collections::BTreeSet;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The last column of every row whose first is a case: what is claimed to show it.
fn claims() -> Vec<(String, Vec<String>)> {
    let table = std::fs::read_to_string(root().join("docs/conformance.md")).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| BT-"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let named = cells.last().unwrap().split('`').skip(1).step_by(2).map(str::to_owned);
        (cells[0].to_owned(), named.collect())
    })
    .collect()
}

fn transcripts() -> BTreeSet<String> {
    let folder = root().join("engine/tests/transcripts");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_claim_names_something_that_is_there_and_carries_its_id() {
    let transcripts = transcripts();
    for (id, named) in claims() {
        for name in named {
            if name.starts_with("bt-") {
                assert!(transcripts.contains(&name), "{id} names {name}, which is not there");
                let path = root().join(format!("engine/tests/transcripts/{name}.txt"));
                assert!(std::fs::read_to_string(path).unwrap().contains(&id), "{name} does not carry {id}");
            } else if name == "retry.rs" {
                let path = root().join("engine/src/machine/retry.rs");
                assert!(std::fs::read_to_string(path).unwrap().contains("fn bt_30_"), "{id} in {name}");
            } else if name.starts_with("engine/tests/") {
                let tests = std::fs::read_to_string(root().join(&name)).unwrap();
                let test = format!("fn {}_", id.to_lowercase().replace('-', "_"));
                assert!(tests.contains(&test), "{id} has no test in {name}");
            } else {
                assert!(root().join(&name).exists(), "{id} names {name}, which is not there");
            }
        }
    }
}

#[test]
fn every_transcript_of_a_case_is_in_the_table() {
    let claimed: BTreeSet<String> = claims().into_iter().flat_map(|(_, named)| named).collect();
    let cases: Vec<_> = transcripts().into_iter().filter(|name| name.starts_with("bt-")).collect();
    assert!(cases.len() > 20);
    for name in cases {
        assert!(claimed.contains(&name), "{name} is not in docs/conformance.md");
    }
}
