//! Damaged data: the node is killed, bytes of one of its files are changed, and it is started again. Whether it comes
//! up, and what it says about its data, is for others to judge.

use crate::clock;
use crate::draw;
use crate::ledger::{Patch, Undo};
use crate::substrate::local::{Supervised, ready_within};
use crate::substrate::{Doubt, Force, Known, NodeError, Pen};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes on either side of a changed one that are kept with it.
const AROUND: u64 = 16;

pub(super) struct Corrupt {
    node: Arc<Supervised>,
    data: PathBuf,
    pattern: String,
    bytes: u32,
    seed: u64,
    undo: Option<Undo>,
}

impl Corrupt {
    pub(super) fn new(node: Arc<Supervised>, data: PathBuf, pattern: String, bytes: u32, seed: u64) -> Self {
        Self { node, data, pattern, bytes, seed, undo: None }
    }

    /// One of the files that match and hold anything.
    fn file(&self) -> Result<PathBuf, Doubt> {
        let mut files = matching(&self.data, &self.pattern);
        files.retain(|file| file.metadata().is_ok_and(|data| data.len() > 0));
        files.sort();
        if files.is_empty() {
            let (pattern, data) = (&self.pattern, self.data.display());
            return Err(Doubt::new(format!("no file of {data} that holds anything matches {pattern:?}")));
        }
        let last = u64::try_from(files.len()).unwrap_or(u64::MAX) - 1;
        let drawn = draw::between(self.seed, "file", 0, last);
        Ok(files.swap_remove(usize::try_from(drawn).unwrap_or(0)))
    }

    fn damage(&mut self, pen: &Pen<'_>) -> Result<Known, Doubt> {
        let path = self.file()?;
        let failed = |error: io::Error| Doubt::new(format!("cannot change {}: {error}", path.display()));
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
        let patches = patches(&file, self.bytes, self.seed).map_err(failed)?;
        let undo = Undo::Bytes { file: path.clone(), patches: patches.clone() };
        pen.write(&undo)?;
        self.undo = Some(undo);
        for patch in &patches {
            file.write_all_at(&patch.after, patch.offset).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
        let at_ns = clock::now_ns();
        let mut now = Vec::new();
        for patch in &patches {
            let mut around = vec![0; patch.after.len()];
            file.read_exact_at(&mut around, patch.offset).map_err(failed)?;
            now.push(around == patch.after || around != patch.before);
        }
        if !now.iter().all(|changed| *changed) {
            return Err(Doubt::new(format!("{} reads as before the change", path.display())));
        }
        let length = file.metadata().map_err(failed)?.len();
        let first: Vec<String> = patches.iter().take(4).map(|patch| changed_at(patch).to_string()).collect();
        let more = if patches.len() > 4 { ", …" } else { "" };
        let evidence = format!(
            "{} of {length} bytes of {} were changed, at {}{more}",
            patches.len(),
            path.display(),
            first.join(", ")
        );
        Ok(Known { at_ns, evidence })
    }

    /// Kills the node, if it runs; it stays away until it is let back, however this comes out.
    fn fell(&self) -> Result<(), Doubt> {
        match self.node.fell() {
            Ok(_) | Err(NodeError::NotRunning { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Force for Corrupt {
    fn apply(&mut self, pen: &Pen<'_>) -> Result<Known, Doubt> {
        super::running(&self.node)?;
        let damaged = self.fell().and_then(|()| self.damage(pen));
        self.node.let_back();
        damaged
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        let put_back = self.fell().and_then(|()| match &self.undo {
            Some(undo) => undo.carry_out().map(Some).map_err(Doubt::new),
            None => Ok(None),
        });
        let life = self.node.let_back();
        let mut told: Vec<String> = put_back?.into_iter().collect();
        let ready = self.node.await_ready(life, ready_within(&self.node))?;
        told.push(format!("{} is ready again as process {}", self.node.spec().spec.name, ready.pid));
        Ok(Known { at_ns: ready.at_ns, evidence: told.join("; ") })
    }
}

/// Draws which bytes are changed to what. Each gets another value than it has.
fn patches(file: &File, bytes: u32, seed: u64) -> io::Result<Vec<Patch>> {
    let length = file.metadata()?.len();
    let drawn = (0..bytes).map(|index| draw::between(seed, &format!("byte/{index}"), 0, length - 1));
    // Sorted, each once, and none within the surroundings of another one, or those would not be known again.
    let mut offsets: Vec<u64> = Vec::new();
    for offset in drawn.collect::<BTreeSet<u64>>() {
        if offsets.last().is_none_or(|last| offset > last + 2 * AROUND) {
            offsets.push(offset);
        }
    }
    offsets.into_iter().map(|offset| patch(file, length, offset, seed)).collect()
}

fn patch(file: &File, length: u64, offset: u64, seed: u64) -> io::Result<Patch> {
    let from = offset.saturating_sub(AROUND);
    let to = (offset + AROUND + 1).min(length);
    let mut before = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
    file.read_exact_at(&mut before, from)?;
    let mut after = before.clone();
    let flip = draw::between(seed, &format!("flip/{offset}"), 1, 255);
    after[usize::try_from(offset - from).map_err(io::Error::other)?] ^= u8::try_from(flip).unwrap_or(1);
    Ok(Patch { offset: from, before, after })
}

fn changed_at(patch: &Patch) -> u64 {
    let index = patch.before.iter().zip(&patch.after).position(|(before, after)| before != after);
    patch.offset + u64::try_from(index.unwrap_or(0)).unwrap_or(0)
}

/// Files below `folder` whose path matches; `*` stands for any text without a slash.
fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for part in pattern.split('/') {
        let entries = found.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        let fitting = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| fits(name, part)));
        found = fitting.map(|entry| entry.path()).collect();
    }
    found.retain(|path| path.is_file());
    found
}

fn fits(name: &str, pattern: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return name == pattern };
    let Some(name) = name.strip_prefix(head) else { return false };
    name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| fits(&name[at..], rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (name, pattern, expected) in [
            ("engine.db", "engine.db", true),
            ("engine.db-wal", "engine.db", false),
            ("engine.db-wal", "*.db-*", true),
            ("engine.db", "*", true),
            ("engine.db", "*.db*", true),
            ("engine.db", "e*x", false),
            ("", "*", true),
        ] {
            assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
        }
    }

    #[test]
    fn files_are_found_below_folders_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("base/1")).unwrap();
        fs::write(folder.path().join("base/1/7"), "x").unwrap();
        fs::write(folder.path().join("base/8"), "x").unwrap();
        assert_eq!(matching(folder.path(), "base/*/*"), [folder.path().join("base/1/7")]);
        assert_eq!(matching(folder.path(), "base/*"), [folder.path().join("base/8")], "a folder is no file");
    }

    #[test]
    fn the_same_seed_changes_the_same_bytes_and_only_those() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        fs::write(&path, vec![7; 10_000]).unwrap();
        let file = File::open(&path).unwrap();
        let drawn = patches(&file, 8, 1).unwrap();
        assert_eq!(drawn, patches(&file, 8, 1).unwrap());
        assert_ne!(drawn, patches(&file, 8, 2).unwrap());
        for patch in &drawn {
            let changed =
                patch.before.iter().zip(&patch.after).filter(|(before, after)| before != after).count();
            assert_eq!(changed, 1);
        }
        fs::write(&path, "x").unwrap();
        assert_eq!(
            patches(&File::open(&path).unwrap(), 8, 1).unwrap().len(),
            1,
            "a file of one byte has one"
        );
    }
}
