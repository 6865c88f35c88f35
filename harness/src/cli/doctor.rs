//! `shakedown doctor`: what this machine has, what it lacks, and what can't run without.

use crate::failure::Result;
use crate::run::machine;
use anyhow::Context;
use shakedown_chaos::substrate::local::capabilities;
use shakedown_reports::exit_code;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Say what this machine has, what it lacks, and what can't run without.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// A program that some part of the product can use.
struct Tool {
    name: &'static str,
    programs: &'static [&'static str],
    needed_for: &'static str,
    get_it: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "PostgreSQL server",
        programs: &["postgres", "initdb", "pg_basebackup", "pg_rewind"],
        needed_for: "engines on PostgreSQL, database failover on local processes",
        get_it: "apt-get install postgresql",
    },
    Tool {
        name: "Docker",
        programs: &["docker"],
        needed_for: "scenarios in containers",
        get_it: "https://docs.docker.com/engine/install/",
    },
    Tool {
        name: "Python 3",
        programs: &["python3"],
        needed_for: "the proof with Conductor's own Python SDK",
        get_it: "apt-get install python3 python3-venv",
    },
    Tool {
        name: "strace",
        programs: &["strace"],
        needed_for: "the proof that every answer follows a sync",
        get_it: "apt-get install strace",
    },
];

/// Prints what there is. Nothing that the main job needs can be missing once this program runs.
///
/// # Errors
/// Standard output can't be written.
pub fn run(_args: &Args) -> Result<u8> {
    super::print_out(&page(&|program| find(program)).context("a String takes it")?)?;
    Ok(exit_code::PASSED)
}

fn page(find: &dyn Fn(&str) -> Option<PathBuf>) -> std::result::Result<String, std::fmt::Error> {
    let mut page = String::new();
    let memory = machine::memory_mib().map_or_else(|| "unknown".to_owned(), |mib| format!("{mib} MiB"));
    writeln!(page, "{:<20} {}", "cores", machine::cores())?;
    writeln!(page, "{:<20} {memory}", "memory")?;
    let goose =
        if cfg!(feature = "goose") { "built in" } else { "NOT built in: build with --features goose" };
    writeln!(page, "{:<20} {goose}", "closed load (goose)")?;
    for tool in TOOLS {
        let missing: Vec<&str> =
            tool.programs.iter().copied().filter(|program| find(program).is_none()).collect();
        if missing.is_empty() {
            let place = tool.programs.first().and_then(|program| find(program));
            let place = place.map_or_else(String::new, |path| path.display().to_string());
            writeln!(page, "{:<20} {place}", tool.name)?;
        } else {
            writeln!(page, "{:<20} missing: {}", tool.name, missing.join(", "))?;
            writeln!(page, "{:<20}   can't run: {}", "", tool.needed_for)?;
            writeln!(page, "{:<20}   get it: {}", "", tool.get_it)?;
        }
    }
    page.push_str("\nWhat faults on local nodes can use here:\n");
    for capability in capabilities() {
        match capability.found {
            Ok(how) => writeln!(page, "{:<20} {how}", capability.name)?,
            Err(not_run) => {
                writeln!(page, "{:<20} no: {}", capability.name, not_run.reason)?;
                writeln!(page, "{:<20}   without it: {}", "", capability.without)?;
                writeln!(page, "{:<20}   get it: {}", "", not_run.remedy)?;
            }
        }
    }
    if machine::cores() < 2 {
        page.push_str(
            "\nWith one core, target and load disturb each other: expect runs that are driver-limited.\n",
        );
    }
    page.push_str("\nThe load scenarios need none of the programs above: `shakedown run` works here.\n");
    Ok(page)
}

/// A program on the PATH, or where Debian keeps PostgreSQL's.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders.into_iter().map(|folder| folder.join(program)).find(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_how_to_get_it() {
        let none = page(&|_| None).unwrap();
        assert!(none.contains("missing: strace") && none.contains("apt-get install strace"), "{none}");
        let all = page(&|program| Some(PathBuf::from("/usr/bin").join(program))).unwrap();
        assert!(!all.contains("missing:") && all.contains("limits on memory"), "{all}");
    }
}
