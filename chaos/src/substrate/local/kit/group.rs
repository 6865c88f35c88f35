//! A node's control group: the kernel's limits on memory and CPU, of version 2 or 1, whichever has the controller.

use crate::process;
use crate::substrate::NotRun;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Versions of control groups differ in the names of their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One tree for every controller.
    Two,
    /// A tree for each controller.
    One,
}

/// A place where groups with a controller can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which names its files have.
    pub version: Version,
    /// The group below which new ones are made.
    pub parent: PathBuf,
}

/// A group of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which names its files have.
    pub version: Version,
    /// Its folder.
    pub folder: PathBuf,
}

/// Finds out where groups with a controller can be made.
///
/// # Errors
/// Nowhere.
pub fn find(controller: &'static str) -> Result<Place, NotRun> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let places = candidates(&mounts, &own, controller);
    let usable = places.into_iter().find(|place| is_usable(place, controller));
    usable.ok_or_else(|| {
        NotRun::new(
            format!("no control group with the {controller} controller can be made here"),
            "run as root, or in a systemd scope that is delegated to you (systemd-run --scope -p Delegate=yes)",
        )
    })
}

/// Where it could be, the best first: below our own group, so that limits that hold for us hold for nodes too.
fn candidates(mounts: &str, own: &str, controller: &str) -> Vec<Place> {
    let mut places = Vec::new();
    for line in mounts.lines() {
        // "36 25 0:32 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw": the kind comes after the dash.
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let Some(mount) = before.split(' ').nth(4).map(Path::new) else { continue };
        let mut after = after.split(' ');
        let (kind, options) = (after.next(), after.nth(1).unwrap_or_default());
        match kind {
            Some("cgroup2") => {
                let own = own_group(own, "");
                let below = mount.join(own.trim_start_matches('/'));
                // A group that holds processes hands no controller on; one further up does.
                places.extend(
                    below
                        .ancestors()
                        .filter(|group| group.starts_with(mount))
                        .map(|group| Place { version: Version::Two, parent: group.to_owned() }),
                );
            }
            Some("cgroup") if options.split(',').any(|option| option == controller) => {
                let own = own_group(own, controller);
                for parent in [mount.join(own.trim_start_matches('/')), mount.to_owned()] {
                    places.push(Place { version: Version::One, parent });
                }
            }
            _ => {}
        }
    }
    places
}

/// Our group in the tree of a controller; the tree of version 2 has none in its name.
fn own_group<'t>(own: &'t str, controller: &str) -> &'t str {
    let found = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let controllers = fields.nth(1)?;
        controllers.split(',').any(|one| one == controller).then(|| fields.next()).flatten()
    });
    found.unwrap_or("/")
}

fn is_usable(place: &Place, controller: &str) -> bool {
    let has_controller = match place.version {
        Version::Two => {
            let handed_on = fs::read_to_string(place.parent.join("cgroup.subtree_control"));
            handed_on.is_ok_and(|text| text.split_ascii_whitespace().any(|one| one == controller))
        }
        Version::One => place.parent.join("cgroup.procs").exists(),
    };
    // Permissions are not enough: a read-only mount has them too.
    let trial = place.parent.join(format!("shakedown-trial-{}-{controller}", std::process::id()));
    has_controller && fs::create_dir(&trial).and_then(|()| fs::remove_dir(&trial)).is_ok()
}

impl Place {
    /// The group that a node of this process gets here; it isn't made yet.
    #[must_use]
    pub fn for_node(&self, node: &str) -> Group {
        let us = process::Identity::ours();
        let name = format!("shakedown-{}-{}-{node}", us.pid, us.start_ticks);
        Group { version: self.version, folder: self.parent.join(name) }
    }
}

impl Group {
    /// Makes it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn make(&self) -> Result<(), NotRun> {
        fs::create_dir(&self.folder).map_err(|error| {
            let reason = format!("cannot make the control group {}: {error}", self.folder.display());
            NotRun::new(reason, "run as root")
        })
    }

    /// A file of it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Reads a file of it.
    ///
    /// # Errors
    /// It isn't there.
    pub fn read(&self, name: &str) -> io::Result<String> {
        let path = self.file(name);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        fs::read_to_string(&path).map(|text| text.trim().to_owned()).map_err(named)
    }

    /// Reads a number from a file of it; `max` is the largest one.
    ///
    /// # Errors
    /// It isn't there, or no number.
    pub fn number(&self, name: &str) -> io::Result<u64> {
        let text = self.read(name)?;
        let no_number = |_| io::Error::other(format!("{} holds {text:?}", self.file(name).display()));
        if text == "max" { Ok(u64::MAX) } else { text.parse().map_err(no_number) }
    }

    /// Reads a figure from a file of lines `name figure`; 0 when it has none of that name.
    #[must_use]
    pub fn figure(&self, name: &str, figure: &str) -> u64 {
        let text = self.read(name).unwrap_or_default();
        let found =
            text.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(' ')?.trim().parse().ok());
        found.unwrap_or(0)
    }

    /// Writes to a file of it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        fs::write(self.file(name), text)
    }

    /// True when the process is in it.
    #[must_use]
    pub fn holds(&self, pid: u32) -> bool {
        self.read("cgroup.procs").is_ok_and(|text| text.lines().any(|line| line == pid.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "\
30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
34 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
40 30 0:36 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";

    #[test]
    fn the_tree_of_the_controller_is_found_below_our_own_group() {
        let own = "4:memory:/box/1\n3:cpu,cpuacct:/\n0::/\n";
        let found = candidates(MIXED, own, "memory");
        let one = |parent: &str| Place { version: Version::One, parent: parent.into() };
        let two = |parent: &str| Place { version: Version::Two, parent: parent.into() };
        let expected =
            [one("/sys/fs/cgroup/memory/box/1"), one("/sys/fs/cgroup/memory"), two("/sys/fs/cgroup/unified")];
        assert_eq!(found, expected);
    }

    #[test]
    fn with_version_two_a_group_further_up_hands_the_controller_on() {
        let mounts = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";
        let found = candidates(mounts, "0::/user.slice/session-3.scope\n", "cpu");
        let parents: Vec<&str> = found.iter().filter_map(|place| place.parent.to_str()).collect();
        let expected =
            ["/sys/fs/cgroup/user.slice/session-3.scope", "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup"];
        assert_eq!(parents, expected);
    }

    #[test]
    fn a_place_without_the_controller_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { version: Version::Two, parent: folder.path().to_owned() };
        assert!(!is_usable(&place, "memory"));
        fs::write(folder.path().join("cgroup.subtree_control"), "cpuset cpu pids\n").unwrap();
        assert!(!is_usable(&place, "memory"));
        assert!(is_usable(&place, "cpu"));
    }
}
