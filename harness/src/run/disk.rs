//! A probe of the disk that holds the run directory: how long an append takes to be durable. Figures of a durable
//! orchestrator mean little without it.

use crate::clock;
use anyhow::Context;
use shakedown_reports::history::DiskSyncs;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Appends of one probe: enough for a median with its interval, and done in a second on most disks.
const APPENDS: usize = 200;
/// Bytes of an append: a page.
const BYTES: usize = 4096;

/// Appends and syncs in `folder`; the file is gone afterwards.
///
/// # Errors
/// The file can't be made, written or synced.
pub fn probe(folder: &Path) -> anyhow::Result<DiskSyncs> {
    let path = folder.join("disk-probe");
    let failed = || format!("the disk can't be probed with {}", path.display());
    let mut file = File::create(&path).with_context(failed)?;
    let at_ns = clock::now_ns();
    let mut took_ns = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        let began_ns = clock::now_ns();
        file.write_all(&[0; BYTES]).and_then(|()| file.sync_data()).with_context(failed)?;
        took_ns.push(clock::now_ns() - began_ns);
    }
    drop(file);
    fs::remove_file(&path).with_context(failed)?;
    Ok(DiskSyncs { at_ns, bytes: BYTES as u64, took_ns })
}
