//! Changed bytes, and how they are put back without hurting what was written since.

use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A byte that was changed, with those around it: a file that was written there since is known by them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Where the surroundings begin.
    pub offset: u64,
    /// The surroundings before.
    pub before: Vec<u8>,
    /// The surroundings after.
    pub after: Vec<u8>,
}

/// Puts back what is still as it was changed.
pub fn put_back(file: &Path, patches: &[Patch]) -> Result<String, String> {
    let failed = |error: io::Error| format!("cannot put bytes of {} back: {error}", file.display());
    let open = match OpenOptions::new().read(true).write(true).open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(format!("{} is gone, with what was changed in it", file.display()));
        }
        opened => opened.map_err(failed)?,
    };
    let mut put = 0;
    // The last change first: surroundings may overlap.
    for patch in patches.iter().rev() {
        let mut now = vec![0; patch.after.len()];
        match open.read_exact_at(&mut now, patch.offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
            read => read.map_err(failed)?,
        }
        if now == patch.after {
            open.write_all_at(&patch.before, patch.offset).map_err(failed)?;
        }
        if now == patch.after || now == patch.before {
            put += 1;
        }
    }
    open.sync_all().map_err(failed)?;
    let rewritten = patches.len() - put;
    Ok(match rewritten {
        0 => format!("{put} bytes of {} are as they were", file.display()),
        _ => {
            format!("{put} bytes of {} are as they were, {rewritten} were written anew since", file.display())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn bytes_are_put_back_where_nobody_wrote_since() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data");
        fs::write(&file, b"abXdefgXijkl").unwrap();
        let patches = [
            Patch { offset: 1, before: b"bcd".into(), after: b"bXd".into() },
            Patch { offset: 6, before: b"ghi".into(), after: b"gXi".into() },
        ];
        fs::write(&file, b"abXdefgXIjkl").unwrap();
        let told = put_back(&file, &patches).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"abcdefgXIjkl", "the second place was written since");
        assert!(told.contains("1 bytes") && told.contains("1 were written anew"), "{told}");
        let again = put_back(&file, &patches).unwrap();
        assert_eq!(again, told, "any number of times");
        fs::write(&file, b"ab").unwrap();
        assert!(put_back(&file, &patches).unwrap().starts_with("0 bytes"), "cut short");
        fs::remove_file(&file).unwrap();
        assert!(put_back(&file, &patches).unwrap().contains("gone"));
    }
}
