//! The reader of a history: strict in the middle, forgiving only about an end that is missing.

use super::{
    Aftermath, Begun, Calibration, Call, DiskSyncs, Execution, FaultMark, FinalWorkflow, Footer, Header,
    HostUsage, LateWritesMark, LevelEnd, LevelMark, NodeMark, Note, OLDEST_VERSION, Observed, OnlyThereMark,
    Record, Resource, SCHEMA_VERSION, Shed, Start, StepMark,
};
use crate::jsonl::{self, ReadError};
use serde_json::Value;

/// A history, sorted by kind of record; within a kind in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// What was run, on what.
    pub header: Header,
    /// Beginnings of levels.
    pub began: Vec<LevelMark>,
    /// Ends of levels.
    pub ended: Vec<LevelEnd>,
    /// Starts of workflows.
    pub starts: Vec<Start>,
    /// Arrivals that were held back.
    pub shed: Vec<Shed>,
    /// Ends of workflows as the load saw them.
    pub observed: Vec<Observed>,
    /// What the workers did.
    pub executions: Vec<Execution>,
    /// Other requests.
    pub calls: Vec<Call>,
    /// Workflows read back from the target.
    pub finals: Vec<FinalWorkflow>,
    /// Samples of what processes use.
    pub resources: Vec<Resource>,
    /// Samples of what the whole machine uses.
    pub hosts: Vec<HostUsage>,
    /// Probes of the disk.
    pub disk_syncs: Vec<DiskSyncs>,
    /// Injections of faults and how far they came.
    pub faults: Vec<FaultMark>,
    /// What became of nodes.
    pub nodes: Vec<NodeMark>,
    /// Work that worker processes took in hand.
    pub begun: Vec<Begun>,
    /// Steps of those who look after the target.
    pub steps: Vec<StepMark>,
    /// Writes of those who had been led past.
    pub late_writes: Vec<LateWritesMark>,
    /// What old primaries have that new ones have not.
    pub only_there: Vec<OnlyThereMark>,
    /// Whether the target still worked when the load was over.
    pub aftermath: Option<Aftermath>,
    /// How far this machine's figures are off, where that was found out.
    pub calibration: Option<Calibration>,
    /// Remarks.
    pub notes: Vec<Note>,
    /// How the run ended.
    pub footer: Option<Footer>,
    /// True when there is no footer: the writer was cut off, and what it would have said is not known.
    pub truncated: bool,
}

impl History {
    /// Reads the text of a history; `file` is its name in errors.
    ///
    /// A missing footer, or a last line that was cut off in the middle, gives a history that is `truncated`.
    ///
    /// # Errors
    /// [`ReadError`]: no header, a header of a newer format, a line that isn't a record, a second header, a
    /// record after the footer.
    pub fn parse(file: &str, text: &str) -> Result<Self, ReadError> {
        let mut lines = jsonl::lines(text);
        let (number, first) = lines
            .next()
            .ok_or_else(|| jsonl::bad(file, 1, "the file is empty; its first line is the header"))?;
        let mut history = Self::new(header(file, number, first)?);
        let last = jsonl::lines(text).last().map_or(1, |(n, _)| n);
        for (number, line) in lines {
            if history.footer.is_some() {
                return Err(jsonl::bad(
                    file,
                    number,
                    "a record after the footer, which is always the last one",
                ));
            }
            match jsonl::parse(file, number, line) {
                Ok(record) => history.add(file, number, record)?,
                // A writer that was killed leaves half a line at the end, and nothing after it.
                Err(_) if number == last && !text.ends_with('\n') => break,
                Err(error) => return Err(error),
            }
        }
        history.truncated = history.footer.is_none();
        Ok(history)
    }

    fn new(header: Header) -> Self {
        Self {
            header,
            began: Vec::new(),
            ended: Vec::new(),
            starts: Vec::new(),
            shed: Vec::new(),
            observed: Vec::new(),
            executions: Vec::new(),
            calls: Vec::new(),
            finals: Vec::new(),
            resources: Vec::new(),
            hosts: Vec::new(),
            disk_syncs: Vec::new(),
            faults: Vec::new(),
            nodes: Vec::new(),
            begun: Vec::new(),
            steps: Vec::new(),
            late_writes: Vec::new(),
            only_there: Vec::new(),
            aftermath: None,
            calibration: None,
            notes: Vec::new(),
            footer: None,
            truncated: true,
        }
    }

    fn add(&mut self, file: &str, line: usize, record: Record) -> Result<(), ReadError> {
        match record {
            Record::Header(_) => return Err(jsonl::bad(file, line, "a second header; a history has one")),
            Record::LevelBegan(r) => self.began.push(r),
            Record::LevelEnded(r) => self.ended.push(r),
            Record::Start(r) => self.starts.push(r),
            Record::Shed(r) => self.shed.push(r),
            Record::Observed(r) => self.observed.push(r),
            Record::Execution(r) => self.executions.push(r),
            Record::Call(r) => self.calls.push(r),
            Record::Final(r) => self.finals.push(r),
            Record::Resource(r) => self.resources.push(r),
            Record::Host(r) => self.hosts.push(r),
            Record::DiskSyncs(r) => self.disk_syncs.push(r),
            Record::Fault(r) => self.faults.push(r),
            Record::Node(r) => self.nodes.push(r),
            Record::Begun(r) => self.begun.push(r),
            Record::Step(r) => self.steps.push(r),
            Record::LateWrites(r) => self.late_writes.push(r),
            Record::OnlyThere(r) => self.only_there.push(r),
            Record::Aftermath(r) => self.aftermath = Some(r),
            Record::Calibration(r) => self.calibration = Some(r),
            Record::Note(r) => self.notes.push(r),
            Record::Footer(r) => self.footer = Some(r),
        }
        Ok(())
    }

    /// True when a person interrupted the run.
    pub fn interrupted(&self) -> bool {
        self.footer.as_ref().is_some_and(|f| f.interrupted)
    }
}

/// The version is looked at before anything else: of a newer format nothing else can be trusted.
fn header(file: &str, line: usize, text: &str) -> Result<Header, ReadError> {
    let value: Value = jsonl::parse(file, line, text)?;
    if value["kind"] != "header" {
        return Err(jsonl::bad(file, line, "the first line isn't the header"));
    }
    let found = value["schema_version"].as_u64().and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
    if found > SCHEMA_VERSION {
        return Err(ReadError::Newer { file: file.to_owned(), line, found, known: SCHEMA_VERSION });
    }
    if (1..OLDEST_VERSION).contains(&found) {
        return Err(ReadError::Older { file: file.to_owned(), line, found, known: OLDEST_VERSION });
    }
    match jsonl::parse(file, line, text)? {
        Record::Header(header) if header.speed.is_finite() && header.speed > 0.0 => Ok(header),
        _ => Err(jsonl::bad(file, line, "the header's speed isn't a number above 0")),
    }
}
