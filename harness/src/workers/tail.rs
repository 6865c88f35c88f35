//! The records of worker processes, read while they are written.

use crate::journal;
use shakedown_reports::history::Record;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Reads what the worker processes of a folder have written, each record once.
#[derive(Debug)]
pub struct Tail {
    folder: PathBuf,
    prefix: String,
    /// Bytes of each file that were read.
    read: BTreeMap<PathBuf, u64>,
}

impl Tail {
    /// The files of `folder` whose names begin with `prefix` and end in `.jsonl`, also those that come up later.
    pub fn new(folder: &Path, prefix: &str) -> Self {
        Self { folder: folder.to_owned(), prefix: prefix.to_owned(), read: BTreeMap::new() }
    }

    /// What was written since the last time. A line that is not whole yet is left for the next time: of a process that
    /// was killed it never will be.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn new_records(&mut self) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&self.prefix) && name.ends_with(".jsonl") {
                let read = self.read.entry(entry.path()).or_insert(0);
                *read += take(&entry.path(), *read, &mut records)?;
            }
        }
        Ok(records)
    }
}

/// Adds the whole lines after `from` bytes; returns their length.
fn take(path: &Path, from: u64, records: &mut Vec<Record>) -> io::Result<u64> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() <= from {
        return Ok(0);
    }
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let text = std::str::from_utf8(&bytes[..whole]).map_err(io::Error::other)?;
    for line in text.lines() {
        records.push(journal::parse_line(line)?);
    }
    Ok(whole as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_reports::history::Note;
    use std::io::Write;

    fn line(at_ns: u64) -> Vec<u8> {
        let record = Record::Note(Note { at_ns, text: "x".to_owned(), data: serde_json::Value::Null });
        let mut line = Vec::new();
        journal::write_line(&mut line, &record).unwrap();
        line
    }

    #[test]
    fn every_record_is_read_once_and_half_a_line_waits_for_its_rest() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = Tail::new(folder.path(), "worker-");
        let mut first = File::create(folder.path().join("worker-1.77.jsonl")).unwrap();
        File::create(folder.path().join("load-x.jsonl")).unwrap().write_all(b"not ours").unwrap();
        first.write_all(&line(1)).unwrap();
        first.write_all(&line(2)[..9]).unwrap();
        assert_eq!(tail.new_records().unwrap().len(), 1);
        assert_eq!(tail.new_records().unwrap().len(), 0);
        first.write_all(&line(2)[9..]).unwrap();
        File::create(folder.path().join("worker-1.78.jsonl")).unwrap().write_all(&line(3)).unwrap();
        assert_eq!(tail.new_records().unwrap().len(), 2);
    }
}
