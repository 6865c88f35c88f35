//! The journal of the harness: one thread that writes records to a file in the order in which they were sent.
//!
//! Senders never wait for the disk. The thread flushes whenever nothing more is queued, so that what a killed
//! harness leaves behind ends at most a moment before the kill.

use serde::Serialize;
use shakedown_reports::history::Record;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// A handle that records are sent through; cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    records: Option<Sender<Record>>,
}

impl Journal {
    /// Drops every record: for workers that no run belongs to.
    pub fn discard() -> Self {
        Self { records: None }
    }

    /// Queues a record.
    pub fn write(&self, record: Record) {
        if let Some(records) = &self.records {
            // The writer ends early only on an I/O error, which `Writer::close` reports.
            let _ = records.send(record);
        }
    }
}

/// The thread that writes.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<io::Result<()>>,
}

impl Writer {
    /// Ends when every [`Journal`] handle is dropped; returns when all is written and synced to disk. Blocks.
    ///
    /// # Errors
    /// A record could not be written: the file is not whole.
    pub fn close(self) -> io::Result<()> {
        self.thread.join().map_err(|_| io::Error::other("the journal's thread panicked"))?
    }
}

/// Opens `path` anew and starts its writer.
///
/// # Errors
/// The file can't be created.
pub fn open(path: &Path) -> io::Result<(Journal, Writer)> {
    let file = BufWriter::new(File::create(path)?);
    let (records, queue) = channel();
    let thread =
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || write_all(file, &queue))?;
    Ok((Journal { records: Some(records) }, Writer { thread }))
}

fn write_all(mut file: BufWriter<File>, queue: &Receiver<Record>) -> io::Result<()> {
    while let Ok(record) = queue.recv() {
        write_line(&mut file, &record)?;
        for more in queue.try_iter() {
            write_line(&mut file, &more)?;
        }
        file.flush()?;
    }
    file.get_ref().sync_all()
}

/// One value as one line of JSON.
///
/// # Errors
/// The file can't be written.
pub fn write_line(file: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *file, value)?;
    file.write_all(b"\n")
}

/// A record of one whole line.
///
/// # Errors
/// It isn't one.
pub fn parse_line(line: &str) -> io::Result<Record> {
    serde_json::from_str(line).map_err(io::Error::other)
}

/// Reads the records that another process of the run wrote. A torn last line (the process was killed) is left out.
///
/// # Errors
/// The file can't be read.
pub fn read(path: &Path) -> io::Result<Vec<Record>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.split_inclusive('\n').map_while(|line| serde_json::from_str(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_reports::history::Note;

    fn note(at_ns: u64) -> Record {
        Record::Note(Note { at_ns, text: "x".to_owned(), data: serde_json::Value::Null })
    }

    #[test]
    fn records_come_back_in_order_and_a_torn_line_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let (journal, writer) = open(&path).unwrap();
        (0..1000).for_each(|at_ns| journal.write(note(at_ns)));
        drop(journal);
        writer.close().unwrap();
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"kind\":\"note\",\"at_ns\":").unwrap();
        assert_eq!(read(&path).unwrap(), (0..1000).map(note).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_disk_is_told_at_the_end() {
        let (journal, writer) = open(Path::new("/dev/full")).unwrap();
        (0..1000).for_each(|at_ns| journal.write(note(at_ns)));
        drop(journal);
        assert_eq!(writer.close().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
