//! What this machine can do to local nodes, found out by trying; and what is done instead, or how to get it.

use super::kit::{clock, disk, group};
use crate::command;
use crate::substrate::NotRun;
use crate::substrate::database::Database;
use std::time::Duration;

/// How long a trial may take.
const TRIAL_WITHIN: Duration = Duration::from_secs(5);

/// Something that some fault needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// What it is.
    pub name: &'static str,
    /// How it is had, or why it can't be.
    pub found: Result<String, NotRun>,
    /// What becomes of the faults that need it where it can't be had.
    pub without: &'static str,
}

/// Tries everything. Nothing is left of it.
#[must_use]
pub fn capabilities() -> Vec<Capability> {
    let place = |controller| {
        let found = group::find(controller)?;
        let version = if found.version == group::Version::Two { "v2" } else { "v1" };
        Ok(format!("control groups {version} below {}", found.parent.display()))
    };
    let small_disk = disk::can_mount().map(|()| disk::kind_here().to_owned());
    vec![
        Capability {
            name: "limits on memory",
            found: place("memory"),
            without: "memory: the address space is limited instead (RLIMIT_AS)",
        },
        Capability {
            name: "quotas of CPU",
            found: place("cpu"),
            without: "cpu: the node is stopped and let go on in turns instead (SIGSTOP)",
        },
        Capability { name: "small disks", found: small_disk, without: "disk_full is not run" },
        Capability {
            name: "clocks of nodes",
            found: clock::find().map(|library| library.display().to_string()),
            without: "clock_skew is not run",
        },
        Capability {
            name: "process namespaces",
            found: namespaces(),
            without: "what a killed node had started is ended by the next run or by heal",
        },
        Capability {
            name: "a pair of databases",
            found: databases(),
            without: "scenarios that need PostgreSQL of this machine are not run",
        },
    ]
}

fn databases() -> Result<String, NotRun> {
    let found = Database::can_run()?;
    Ok(format!("PostgreSQL {} in {}", found.version, found.folder.display()))
}

fn namespaces() -> Result<String, NotRun> {
    let words = ["unshare", "--pid", "--fork", "true"].map(str::to_owned);
    let remedy = "run as root, or in a container with CAP_SYS_ADMIN";
    match command::run(&words, &[], TRIAL_WITHIN) {
        Ok(outcome) if outcome.code() == Some(0) => Ok("yes".to_owned()),
        Ok(outcome) => Err(NotRun::new(format!("a namespace of processes can't be made: {outcome}"), remedy)),
        Err(error) => Err(NotRun::new(format!("a namespace of processes can't be tried: {error}"), remedy)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_there_or_says_how_to_get_it() {
        let found = capabilities();
        assert_eq!(found.len(), 6);
        for capability in found {
            match capability.found {
                Ok(how) => assert!(!how.is_empty(), "{}", capability.name),
                Err(not_run) => assert!(!not_run.remedy.is_empty(), "{}", capability.name),
            }
        }
    }
}
