//! Which build of the engine a program is: the version that it says, and a checksum of its file, which no two builds share.

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};
use shakedown_chaos::command;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

/// How long a program may take to say its version.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// What to do about a program that is none.
const REMEDY: &str = "give the path of a shakedown: of the release that runs today, or of the one before";
/// As much of a checksum as people compare.
const SHOWN: usize = 12;

/// A build of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// What `PROGRAM --version` prints.
    pub version: String,
    /// SHA-256 of its file, in hexadecimal.
    pub sha256: String,
}

impl Build {
    /// The build that a program is.
    ///
    /// # Errors
    /// There is no such program, or it can't be read.
    pub fn of(program: &Path) -> anyhow::Result<Self> {
        Ok(Self { version: version(program)?, sha256: checksum(program)? })
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (sha256 {})", self.version, &self.sha256[..SHOWN])
    }
}

/// What a program says that it is.
///
/// # Errors
/// It is not there, can't be executed, or does not answer `--version`.
pub fn version(program: &Path) -> anyhow::Result<String> {
    let shown = program.display();
    let about = std::fs::metadata(program).with_context(|| format!("cannot look at {shown}; {REMEDY}"))?;
    ensure!(about.is_file(), "{shown} is no file; {REMEDY}");
    ensure!(
        about.permissions().mode() & 0o111 != 0,
        "{shown} can't be executed (chmod +x, if it is one); {REMEDY}"
    );
    let path = std::path::absolute(program).with_context(|| format!("cannot find out where {shown} is"))?;
    let asked = [path.display().to_string(), "--version".to_owned()];
    let told =
        command::run(&asked, &[], ANSWER_WITHIN).with_context(|| format!("cannot run {shown}; {REMEDY}"))?;
    match told.stdout.lines().next().map(str::trim) {
        Some(version) if told.code() == Some(0) && !version.is_empty() => Ok(version.to_owned()),
        _ => bail!("{shown} does not answer --version ({told}); {REMEDY}"),
    }
}

fn checksum(program: &Path) -> anyhow::Result<String> {
    let unreadable = || format!("cannot read {}", program.display());
    let mut file = File::open(program).with_context(unreadable)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).with_context(unreadable)? {
            0 => break,
            length => hash.update(&buffer[..length]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_builds_differ_by_their_files_whatever_they_say() {
        let folder = tempfile::tempdir().unwrap();
        let build = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            Build { version: "shakedown 1.2.3".to_owned(), sha256: checksum(&path).unwrap() }
        };
        let (one, other) = (build("one", b"abc"), build("other", b"abd"));
        assert_ne!(one, other);
        assert_eq!(one, build("copy", b"abc"));
        // FIPS 180-2, B.1.
        assert_eq!(one.to_string(), "shakedown 1.2.3 (sha256 ba7816bf8f01)");
    }

    #[test]
    fn a_program_that_says_nothing_of_itself_is_none() {
        let said = version(Path::new("/bin/ls")).unwrap();
        assert!(said.starts_with("ls "), "{said}");
        let mute = version(Path::new("/usr/bin/test")).unwrap_err().to_string();
        assert!(mute.contains("does not answer --version"), "{mute}");
    }
}
