//! A disk of a node's own, small enough to be filled: a file system in a file where that can be mounted (its syncs
//! reach the disk below), else one in memory.

use crate::command::{self, Outcome};
use crate::ledger::Undo;
use crate::substrate::NotRun;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long making and mounting a file system may take.
const MOUNT_WITHIN: Duration = Duration::from_secs(30);

const IN_A_FILE: &str = "ext4 in a file of its own";
const IN_MEMORY: &str = "tmpfs";

/// A disk of a node's own.
#[derive(Debug)]
pub struct Disk {
    /// Where it is mounted: the folder of the node's data.
    pub folder: PathBuf,
    /// The file that holds it; `None`: it is in memory.
    pub image: Option<PathBuf>,
    mib: u64,
}

impl Disk {
    /// Finds out how one of so many mebibytes can be had in `folder`. Nothing is made yet.
    ///
    /// # Errors
    /// It can't be had here, or the folder is not empty.
    pub fn plan(folder: &Path, mib: u64) -> Result<Self, NotRun> {
        can_mount()?;
        let mut entries = fs::read_dir(folder).map_err(|error| {
            NotRun::new(
                format!("cannot read {}: {error}", folder.display()),
                "make the folder before the node",
            )
        })?;
        if entries.next().is_some() {
            let reason =
                format!("{} is not empty: a disk mounted there would hide what it holds", folder.display());
            return Err(NotRun::new(reason, "give the node a new folder"));
        }
        let image = can_mount_files().then(|| folder.with_extension("disk"));
        Ok(Self { folder: folder.to_owned(), image, mib })
    }

    /// Makes and mounts it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn make(&self, user: Option<(u32, u32)>) -> Result<(), NotRun> {
        let folder = self.folder.display().to_string();
        let mounted = match &self.image {
            Some(image) => self.make_in(image).and_then(|()| {
                run(&["mount", "-o", "loop,nosuid,nodev", &image.display().to_string(), &folder])
            }),
            None => run(&["mount", "-t", "tmpfs", "-o", &format!("size={}m", self.mib), "tmpfs", &folder]),
        };
        mounted.map_err(|why| {
            NotRun::new(
                format!("cannot mount a small disk on {folder}: {why}"),
                "run as root with mount and mkfs.ext4",
            )
        })?;
        // Made by mkfs, of no use in a disk that is thrown away; the node expects an empty folder.
        let _ = fs::remove_dir(self.folder.join("lost+found"));
        if let Some((user, group)) = user {
            let given = chown(&self.folder, Some(user), Some(group));
            given.map_err(|error| {
                NotRun::new(format!("cannot give {folder} to user {user}: {error}"), "run as root")
            })?;
        }
        Ok(())
    }

    fn make_in(&self, image: &Path) -> Result<(), String> {
        let made = File::create_new(image).and_then(|file| file.set_len(self.mib << 20));
        made.map_err(|error| format!("cannot make {}: {error}", image.display()))?;
        // No blocks are kept back for root, or root's node would never find it full.
        run(&["mkfs.ext4", "-q", "-F", "-m", "0", &image.display().to_string()])
    }

    /// What it is, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.image.is_some() { IN_A_FILE } else { IN_MEMORY }
    }

    /// Unmounts it, and leaves what it held in the folder. To be called when the node is gone.
    ///
    /// # Errors
    /// It can't be copied or unmounted.
    pub fn bring_home(&self) -> Result<(), String> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            format!("cannot {what} the small disk of {}: {error}", self.folder.display())
        };
        let kept = self.folder.with_extension("kept");
        copy(&self.folder, &kept).map_err(|error| failed("copy", &error))?;
        Undo::Unmount { folder: self.folder.clone() }.carry_out()?;
        fs::remove_dir(&self.folder).and_then(|()| fs::rename(&kept, &self.folder)).map_err(|error| {
            format!(
                "what was on the small disk is in {}, not in {}: {error}",
                kept.display(),
                self.folder.display()
            )
        })?;
        match &self.image {
            Some(image) => fs::remove_file(image).map_err(|error| failed("remove", &error)),
            None => Ok(()),
        }
    }
}

/// Can anything be mounted by this process?
///
/// # Errors
/// No.
pub fn can_mount() -> Result<(), NotRun> {
    // SAFETY: no arguments, no effect.
    if unsafe { libc::geteuid() } != 0 {
        let reason = "mounting a small disk for a node needs root";
        return Err(NotRun::new(reason, "run as root, or in a container with CAP_SYS_ADMIN"));
    }
    try_one().map_err(|why| {
        let remedy = "install util-linux, or give the container CAP_SYS_ADMIN";
        NotRun::new(format!("nothing can be mounted here: {why}"), remedy)
    })
}

/// A mount of a namespace of its own, which ends with the program.
fn try_one() -> Result<(), String> {
    let folder = std::env::temp_dir().display().to_string();
    run(&["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", &folder])
}

/// What a small disk would be here, if anything can be mounted.
#[must_use]
pub fn kind_here() -> &'static str {
    if can_mount_files() { IN_A_FILE } else { IN_MEMORY }
}

fn can_mount_files() -> bool {
    let has = |program: &str| {
        ["/sbin", "/usr/sbin", "/bin", "/usr/bin"].iter().any(|f| Path::new(f).join(program).exists())
    };
    has("mkfs.ext4") && has("losetup") && Path::new("/dev/loop-control").exists()
}

fn run(words: &[&str]) -> Result<(), String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let outcome: Outcome = command::run(&words, &[], MOUNT_WITHIN).map_err(|error| error.to_string())?;
    if outcome.code() == Some(0) { Ok(()) } else { Err(format!("{}: {outcome}", words.join(" "))) }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_memory_is_full_when_it_is_full_and_what_it_held_comes_home() {
        if let Err(not_run) = can_mount() {
            eprintln!("skipped: {not_run}");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("data");
        fs::create_dir(&folder).unwrap();
        let disk = Disk { folder: folder.clone(), image: None, mib: 1 };
        disk.make(None).unwrap();
        fs::create_dir(folder.join("deep")).unwrap();
        fs::write(folder.join("deep/file"), "kept").unwrap();
        let refused = fs::write(folder.join("large"), vec![0; 2 << 20]).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ENOSPC));
        disk.bring_home().unwrap();
        assert_eq!(fs::read_to_string(folder.join("deep/file")).unwrap(), "kept");
        assert!(Undo::Unmount { folder }.carry_out().unwrap().contains("nothing is mounted"));
    }

    #[test]
    fn a_folder_that_holds_anything_is_not_hidden() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), "mine").unwrap();
        let refused = Disk::plan(place.path(), 16).unwrap_err().to_string();
        assert!(refused.contains("not empty") || refused.contains("root"), "{refused}");
    }
}
