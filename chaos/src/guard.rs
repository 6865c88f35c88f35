//! The guard of a run: a process beside the harness that heals when the harness can't. It watches the ledger and the
//! harness; when that is gone, it heals everything at once, and when that hangs, what is in force longer than it may.

use crate::clock;
use crate::heal::{self, HealError, Healing};
use crate::ledger::{Account, Ledger, Stage};
use crate::process;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often the guard looks at the ledger.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long the guard may take to end when all is healed.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A guard that was started. It outlives this process.
#[derive(Debug)]
pub struct Guard {
    child: Child,
}

impl Guard {
    /// Starts `program` with `args`, which has to call [`watch`] on the run's directory; what it writes is appended to
    /// `log`. The ledger must be there.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start(program: &Path, args: &[OsString], log: &Path) -> io::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(program);
        command.args(args).env_remove(crate::substrate::MARK);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // SAFETY: the closure runs between fork and exec and calls only setsid, which is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                // A session of its own: neither Ctrl-C nor the end of the terminal is meant for it.
                libc::setsid();
                Ok(())
            });
        }
        Ok(Self { child: command.spawn()? })
    }

    /// Awaits its end; to be called when the ledger is closed. Blocks.
    ///
    /// # Errors
    /// It didn't end by itself, and was killed.
    pub fn end(mut self) -> io::Result<()> {
        let ended = process::descriptor(self.child.id())
            .and_then(|descriptor| process::await_end(&descriptor, Some(END_WITHIN)))?;
        if !ended {
            self.child.kill()?;
        }
        self.child.wait()?;
        if ended {
            Ok(())
        } else {
            Err(io::Error::other(format!("the guard did not end within {END_WITHIN:?}")))
        }
    }
}

/// Watches over the run in `run_dir` until its ledger is closed (`None`) or its harness is gone and healed after.
/// Blocks.
///
/// # Errors
/// The ledger can't be read or written.
pub fn watch(run_dir: &Path) -> Result<Option<Healing>, HealError> {
    let ledger = Ledger::resume(run_dir)?;
    loop {
        let account = Account::read(run_dir)?;
        if account.closed {
            return Ok(None);
        }
        if !account.owner_lives() {
            return heal::heal(run_dir, false).map(Some);
        }
        overdue(&account, &ledger)?;
        // The harness may end between the two looks: then there is no descriptor, and the next look sees it.
        if let Ok(owner) = process::descriptor(account.owner.pid) {
            let _ = process::await_end(&owner, Some(LOOK_EVERY));
        }
    }
}

/// Heals what is in force for longer than it may be, though the harness is there: it hangs.
fn overdue(account: &Account, ledger: &Ledger) -> Result<(), HealError> {
    let now_ns = clock::now_ns();
    let late =
        account.open().rev().filter(|deed| deed.expires_ns.is_some_and(|expires_ns| expires_ns < now_ns));
    for deed in late.filter(|deed| deed.stage != Some(Stage::NotHealed)) {
        let (step, whole) = heal::undo(deed, heal::Circumstances { same_boot: true, goes_on: true });
        let stage = if whole { Stage::Healed } else { Stage::NotHealed };
        println!("overdue: {}: {}", step.what, step.evidence);
        ledger.came(deed.id, stage, clock::now_ns(), &format!("by the guard: {}", step.evidence))?;
    }
    Ok(())
}
