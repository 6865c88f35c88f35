//! As whom databases run (never as root: PostgreSQL refuses), and where their files can be so that this user reaches
//! them and nothing stays of them.

use crate::process::Identity;
use crate::substrate::NotRun;
use std::ffi::CString;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};

/// How folders that we choose ourselves are named; what follows is the mark of their owner.
const PREFIX: &str = "shakedown-databases-";

/// An unprivileged user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name: PostgreSQL refuses one that has none.
    pub name: &'static str,
    /// Its id.
    pub id: u32,
    /// Its group.
    pub group: u32,
}

/// As whom databases run: `postgres` or `nobody` when we are root, else as we are (`None`).
///
/// # Errors
/// We are root, and the machine has neither.
pub fn user() -> Result<Option<User>, NotRun> {
    // SAFETY: no arguments, no effect.
    if unsafe { libc::geteuid() } != 0 {
        return Ok(None);
    }
    let found = ["postgres", "nobody"].into_iter().find_map(look_up);
    found.map(Some).ok_or_else(|| {
        let reason = "PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody";
        NotRun::new(reason, "make one of them (useradd --system postgres), or run as an ordinary user")
    })
}

fn look_up(name: &'static str) -> Option<User> {
    let text = CString::new(name).ok()?;
    // SAFETY: zeroes are a valid passwd, which the call overwrites.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let (mut buffer, mut found) = ([0; 4096], std::ptr::null_mut());
    // SAFETY: every pointer is to something valid that outlives the call; of the entry only numbers are used after.
    let result = unsafe {
        libc::getpwnam_r(text.as_ptr(), &raw mut entry, buffer.as_mut_ptr(), buffer.len(), &raw mut found)
    };
    (result == 0 && !found.is_null()).then_some(User { name, id: entry.pw_uid, group: entry.pw_gid })
}

/// Whether a user can go into a folder: every folder above must let it pass.
///
/// # Errors
/// The first folder that doesn't.
pub fn reach(user: &User, folder: &Path) -> Result<(), String> {
    let folder = fs::canonicalize(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut above: Vec<&Path> = folder.ancestors().collect();
    above.reverse();
    for one in above {
        let told = one.metadata().map_err(|error| format!("{}: {error}", one.display()))?;
        if !may_pass(user, &told) {
            return Err(format!("{} (mode {:o})", one.display(), told.mode() & 0o777));
        }
    }
    Ok(())
}

fn may_pass(user: &User, folder: &Metadata) -> bool {
    let bit = match (folder.uid() == user.id, folder.gid() == user.group) {
        (true, _) => 0o100,
        (false, true) => 0o010,
        (false, false) => 0o001,
    };
    folder.mode() & bit != 0
}

/// A folder for the files of databases. Dropping it removes it where it was our own choice.
#[derive(Debug)]
pub struct Home {
    /// The folder.
    pub folder: PathBuf,
    is_ours: bool,
}

impl Home {
    /// `wanted`, when the user can reach it, else one in `temporary`, whose leftovers of others who are gone are
    /// removed first.
    ///
    /// # Errors
    /// The system refuses.
    pub fn choose(wanted: &Path, temporary: &Path, user: Option<&User>) -> io::Result<Self> {
        remove_abandoned(temporary);
        fs::create_dir_all(wanted)?;
        if user.is_none_or(|user| reach(user, wanted).is_ok()) {
            return Ok(Self { folder: fs::canonicalize(wanted)?, is_ours: false });
        }
        let us = Identity::ours();
        // Several pairs of one process have a folder each.
        let free = (0..u32::MAX)
            .map(|number| temporary.join(format!("{PREFIX}{}-{}-{number}", us.pid, us.start_ticks)))
            .find(|folder| !folder.exists());
        let folder = free.ok_or_else(|| io::Error::other("every name is taken"))?;
        // Others may pass, and not look: what is in it is the user's own.
        DirBuilder::new().mode(0o711).create(&folder)?;
        Ok(Self { folder, is_ours: true })
    }

    /// A new folder in it that is the user's own.
    ///
    /// # Errors
    /// It is there already, or the system refuses.
    pub fn room(&self, name: &str, user: Option<&User>) -> io::Result<PathBuf> {
        let folder = self.folder.join(name);
        own_folder(&folder, user)?;
        Ok(folder)
    }
}

/// Makes a folder that is the user's own, and nobody else's.
///
/// # Errors
/// It is there already, or the system refuses.
pub fn own_folder(folder: &Path, user: Option<&User>) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(folder)?;
    user.map_or(Ok(()), |user| chown(folder, Some(user.id), Some(user.group)))
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Removes what those chose who are gone.
pub fn remove_abandoned(temporary: &Path) {
    for entry in fs::read_dir(temporary).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(owner) else {
            continue;
        };
        // Only our own: in a folder that everybody writes to, a name proves nothing.
        // SAFETY: no arguments, no effect.
        let ours =
            entry.metadata().is_ok_and(|told| told.is_dir() && told.uid() == unsafe { libc::geteuid() });
        if ours && !owner.is_alive() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn owner(mark: &str) -> Option<Identity> {
    let mut parts = mark.split('-');
    let (pid, start_ticks) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Identity { pid, start_ticks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_closed_folder_is_named_and_another_is_chosen_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let stranger = User { name: "nobody", id: 65_534, group: 65_534 };
        let closed = folder.path().join("closed");
        DirBuilder::new().mode(0o700).create(&closed).unwrap();
        let wanted = closed.join("run");
        fs::create_dir(&wanted).unwrap();
        let blocked = reach(&stranger, &wanted).unwrap_err();
        assert!(blocked.contains("closed (mode 700)"), "{blocked}");
        let home = Home::choose(&wanted, folder.path(), Some(&stranger)).unwrap();
        assert!(home.folder.starts_with(folder.path()) && !home.folder.starts_with(&closed));
        reach(&stranger, &home.folder).unwrap();
        let chosen = home.folder.clone();
        remove_abandoned(folder.path());
        assert!(chosen.exists(), "its owner lives");
        let left = folder.path().join(format!("{PREFIX}{}-1-0", std::process::id()));
        fs::create_dir(&left).unwrap();
        drop(home);
        assert!(!chosen.exists());
        remove_abandoned(folder.path());
        assert!(!left.exists(), "no process of that id was started then");
    }
}
