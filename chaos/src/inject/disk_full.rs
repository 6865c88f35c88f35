//! A full disk: ballast on the node's own small one, topped up as long as the fault lasts. The machine's disk is
//! never touched.

use super::revive;
use crate::clock;
use crate::ledger::Undo;
use crate::substrate::local::Supervised;
use crate::substrate::{Doubt, Force, Known, Pen};
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The file that fills the disk.
const BALLAST: &str = ".shakedown-ballast";
/// How often space that the node gave back is taken.
const TOP_UP_EVERY: Duration = Duration::from_millis(20);

pub(super) struct DiskFull {
    node: Arc<Supervised>,
    folder: PathBuf,
    kind: &'static str,
}

impl DiskFull {
    pub(super) fn new(node: Arc<Supervised>, folder: PathBuf, kind: &'static str) -> Self {
        Self { node, folder, kind }
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join(BALLAST)
    }
}

impl Force for DiskFull {
    fn apply(&mut self, pen: &Pen<'_>) -> Result<Known, Doubt> {
        pen.write(&Undo::Remove { file: self.ballast() })?;
        let failed = |error: io::Error| Doubt::new(format!("cannot fill {}: {error}", self.folder.display()));
        let refused = fill(&self.ballast()).map_err(failed)?;
        let at_ns = clock::now_ns();
        let left = free(&self.folder).map_err(failed)?;
        if left > 0 {
            let path = self.folder.display();
            return Err(Doubt::new(format!(
                "{path} still has {left} bytes free, though a write was refused"
            )));
        }
        let held = self.ballast().metadata().map_err(failed)?.len();
        let evidence = format!(
            "no byte is free on {} ({}), {:.1} MiB of it ballast; a write there: {refused}",
            self.folder.display(),
            self.kind,
            mib(held)
        );
        Ok(Known { at_ns, evidence })
    }

    fn hold(&mut self) -> Option<Duration> {
        // What can't be taken now is taken at the next look.
        if free(&self.folder).is_ok_and(|left| left > 0) {
            let _ = fill(&self.ballast());
        }
        Some(TOP_UP_EVERY)
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        let gone = Undo::Remove { file: self.ballast() }.carry_out().map_err(Doubt::new)?;
        let trial = self.folder.join(".shakedown-trial");
        let failed =
            |error: io::Error| Doubt::new(format!("{} can't be written: {error}", self.folder.display()));
        let written = File::create(&trial)
            .and_then(|mut file| file.write_all(&[0; 4096]).and_then(|()| file.sync_all()));
        let at_ns = clock::now_ns();
        let removed = std::fs::remove_file(&trial);
        written.and(removed).map_err(failed)?;
        let left = free(&self.folder).map_err(failed)?;
        let told = format!("{gone}; {:.1} MiB are free and a write succeeds", mib(left));
        // t_h is when space is back; a node that ended for want of it comes up after.
        let back = revive(&self.node, vec![told])?;
        Ok(Known { at_ns, ..back })
    }
}

/// Writes to `ballast` until the disk refuses, and returns what it said.
fn fill(ballast: &Path) -> io::Result<io::Error> {
    let mut file = OpenOptions::new().create(true).append(true).open(ballast)?;
    let mut step = free(ballast)?;
    // Large steps first; what is free counts blocks that a file of that size would need for itself.
    while step >= 4096 {
        let held = i64::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let length = i64::try_from(step).map_err(io::Error::other)?;
        // SAFETY: an open file and two numbers.
        if unsafe { libc::posix_fallocate(file.as_raw_fd(), held, length) } != 0 {
            step /= 2;
        }
    }
    loop {
        if let Err(error) = file.write_all(&[0; 512]).and_then(|()| file.sync_data()) {
            return match error.raw_os_error() {
                Some(libc::ENOSPC) => Ok(error),
                _ => Err(error),
            };
        }
    }
}

/// Bytes that are free on the file system that holds `path`.
pub(crate) fn free(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: zeroes are a valid statvfs.
    let mut told: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a path that ends with a zero and a valid statvfs, which both outlive the call.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut told) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(told.f_bavail * told.f_frsize)
}

fn mib(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let bytes = bytes as f64;
    bytes / 1_048_576.0
}
