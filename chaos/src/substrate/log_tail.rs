//! The last lines of a node's log: what an error message quotes, so that nobody has to look for the file first.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that are read from the end: enough for a panic message, little enough for a terminal.
const TAIL_BYTES: u64 = 2_000;
/// Lines that are quoted.
const TAIL_LINES: usize = 8;

/// The last lines of `log`, or a remark that there are none.
pub fn of(log: &Path) -> String {
    match read(log) {
        Ok(text) if text.trim().is_empty() => "(it logged nothing)".to_owned(),
        Ok(text) => {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
        }
        Err(error) => format!("(its log could not be read: {error})"),
    }
}

fn read(log: &Path) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
