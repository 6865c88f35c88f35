//! The disk's own pace: pages appended and synced one by one, the least that any durable step costs here.

use super::Stage;
use crate::clock;
use anyhow::Context;
use shakedown_reports::history::{DiskSyncs, Record};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Enough for a p50 with a narrow interval and for a p95; half a second on a disk that needs 5 ms.
const APPENDS: usize = 100;
/// A page: what a small transaction writes.
const PAGE: [u8; 4096] = [0x5a; 4096];

/// Measures the disk that holds the run directory, while nothing else writes to it.
///
/// # Errors
/// The disk refuses.
pub async fn run(stage: &Stage<'_>) -> anyhow::Result<()> {
    let path = stage.directory.file("disk-probe");
    let at_ns = clock::now_ns();
    let probed = tokio::task::spawn_blocking(move || {
        let took_ns = appends(&path);
        fs::remove_file(&path)
            .and(took_ns)
            .with_context(|| format!("cannot probe the disk with {}", path.display()))
    });
    let took_ns = probed.await.context("the task that probes the disk panicked")??;
    stage.journal.write(Record::DiskSyncs(DiskSyncs { at_ns, bytes: PAGE.len() as u64, took_ns }));
    Ok(())
}

fn appends(path: &Path) -> io::Result<Vec<u64>> {
    let mut file = File::create(path)?;
    let append = |_| {
        let begun_ns = clock::now_ns();
        file.write_all(&PAGE)?;
        file.sync_data()?;
        Ok(clock::now_ns() - begun_ns)
    };
    (0..APPENDS).map(append).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_append_is_timed() {
        let folder = tempfile::tempdir().unwrap();
        let took_ns = appends(&folder.path().join("probe")).unwrap();
        assert_eq!(took_ns.len(), APPENDS);
        assert!(took_ns.iter().all(|took_ns| *took_ns > 0));
    }
}
