//! Compiles every scenario, workflow and table of durations into the binary, so that an installed one works anywhere.
//!
//! A new scenario is a new file and nothing else: the list is read from the folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = manifest.join("../scenarios");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&root).expect("it was found below the root").display().to_string();
        writeln!(table, "    ({name:?}, include_str!({:?})),", file.canonicalize()?.display().to_string())
            .expect("a String takes it");
    }
    table.push_str("]\n");
    fs::write(PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("embedded.rs"), table)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            println!("cargo:rerun-if-changed={}", path.display());
            collect(&path, files)?;
        } else if path.extension().is_some_and(|kind| kind == "toml" || kind == "json" || kind == "csv") {
            files.push(path);
        }
    }
    Ok(())
}
