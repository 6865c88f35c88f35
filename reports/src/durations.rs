//! The CSV of durations: which tasks a workflow has, who does them, how long they take, what they wait for.
//!
//! Columns are found by their header, so a file may carry more of them than one call reads (a duration before
//! and one after an optimisation, say).

use csv::StringRecord;
use std::collections::BTreeMap;

/// Why a CSV of durations can't be used. Every message says where, what stands there and what is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationsError {
    /// A column that is needed isn't in the header.
    #[error(
        "line 1: there is no column `{wanted}`; the header has {found}: rename a column or name another one"
    )]
    UnknownColumn {
        /// The column that was looked for.
        wanted: String,
        /// The columns that are there.
        found: String,
    },
    /// A line that isn't CSV, or has another number of fields than the header.
    #[error(
        "line {line}: {problem}; write one field for each column of the header, quoted if it holds a comma"
    )]
    Malformed {
        /// Line in the file, from 1.
        line: u64,
        /// What the CSV reader said.
        problem: String,
    },
    /// A field that is empty and must not be.
    #[error("line {line}: `{column}` is empty; give each task a {column}")]
    Empty {
        /// Line in the file, from 1.
        line: u64,
        /// The column.
        column: String,
    },
    /// A duration that isn't a number of seconds.
    #[error(
        "line {line}: `{column}` is `{value}`; accepted is a number of seconds from 0 (a task that does nothing) up, such as 240 or 0.5"
    )]
    NotADuration {
        /// Line in the file, from 1.
        line: u64,
        /// The column.
        column: String,
        /// What stands there.
        value: String,
    },
    /// The same reference twice.
    #[error("line {line}: `{reference}` is on line {first} already; give every task one line")]
    Duplicate {
        /// Line of the second one.
        line: u64,
        /// Line of the first one.
        first: u64,
        /// The reference.
        reference: String,
    },
    /// A predecessor that has no line of its own.
    #[error(
        "line {line}: `{reference}` comes after `{after}`, which has no line; add one or remove it from `{column}`"
    )]
    UnknownPredecessor {
        /// Line in the file, from 1.
        line: u64,
        /// The task.
        reference: String,
        /// What it is said to come after.
        after: String,
        /// The column.
        column: String,
    },
    /// Tasks that wait for each other.
    #[error(
        "`{column}` has a cycle: {path}; none of these tasks could ever start, so remove one of the steps"
    )]
    Cycle {
        /// The column.
        column: String,
        /// The tasks along the cycle, the first one repeated at the end.
        path: String,
    },
    /// Nothing under the header.
    #[error("there is no line under the header; give every task of the workflow one")]
    NoRows,
    /// Steps of a task that has no line.
    #[error("there are steps for `{0}`, which has no line among the durations; name a task that has one")]
    StepsOfUnknown(String),
    /// Steps that don't add up to their task.
    #[error(
        "the steps of `{reference}` in `{column}` add up to {sum} s and the task takes {task} s; make them agree"
    )]
    StepsDisagree {
        /// The task.
        reference: String,
        /// The column of the steps.
        column: String,
        /// Their sum, seconds.
        sum: String,
        /// The task's duration, seconds.
        task: String,
    },
}

/// One task of a CSV of durations.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Reference name in the definition (`ref`).
    pub reference: String,
    /// Task type (`task`).
    pub task: String,
    /// Title for people (`title`, else the task type).
    pub title: String,
    /// Pool of workers that does it (`agent`).
    pub agent: String,
    /// Duration, workflow seconds, above 0.
    pub duration_s: f64,
    /// Reference names that it comes after, when an after column was asked for.
    pub after: Vec<String>,
    /// Steps inside the task, workflow seconds; mostly empty.
    pub steps_s: BTreeMap<String, f64>,
}

/// The tasks of a workflow and how long they take, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Durations {
    /// One a task; references are unique.
    pub rows: Vec<Row>,
    /// The column that `after` was read from, if any.
    pub after_column: Option<String>,
}

impl Durations {
    /// Reads a CSV with the columns `ref`, `task`, `agent`, the duration column named `column` (seconds of
    /// workflow time), perhaps `title`, and the one named `after_column` (references separated by spaces).
    ///
    /// # Errors
    /// [`DurationsError`]: a missing column, a malformed line, a duration that isn't a number above 0, a
    /// reference twice, a predecessor without a line, predecessors that form a cycle.
    pub fn parse(csv_text: &str, column: &str, after_column: Option<&str>) -> Result<Self, DurationsError> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(csv_text.as_bytes());
        let header = reader.headers().map_err(malformed)?.clone();
        let at = Columns::find(&header, column, after_column)?;
        let mut rows: Vec<Row> = Vec::new();
        let mut lines: Vec<u64> = Vec::new();
        for record in reader.records() {
            let record = record.map_err(malformed)?;
            let line = record.position().map_or(0, csv::Position::line);
            let row = at.row(&record, line, column)?;
            if let Some(i) = rows.iter().position(|r| r.reference == row.reference) {
                return Err(DurationsError::Duplicate { line, first: lines[i], reference: row.reference });
            }
            rows.push(row);
            lines.push(line);
        }
        if rows.is_empty() {
            return Err(DurationsError::NoRows);
        }
        if let Some(after) = after_column {
            check_predecessors(&rows, &lines, after)?;
            check_cycles(&rows, after)?;
        }
        Ok(Self { rows, after_column: after_column.map(str::to_owned) })
    }

    /// Adds the steps inside one task, from a CSV with the columns `step` and `column` (seconds).
    ///
    /// # Errors
    /// [`DurationsError`]: as in [`Durations::parse`], and when the steps don't add up to the task.
    pub fn with_steps(
        mut self,
        reference: &str,
        csv_text: &str,
        column: &str,
    ) -> Result<Self, DurationsError> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(csv_text.as_bytes());
        let header = reader.headers().map_err(malformed)?.clone();
        let (step_at, seconds_at) = (position(&header, "step")?, position(&header, column)?);
        let mut steps_s = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(malformed)?;
            let line = record.position().map_or(0, csv::Position::line);
            steps_s
                .insert(filled(&record, step_at, line, "step")?, seconds(&record, seconds_at, line, column)?);
        }
        let row = self
            .rows
            .iter_mut()
            .find(|r| r.reference == reference)
            .ok_or_else(|| DurationsError::StepsOfUnknown(reference.to_owned()))?;
        let sum: f64 = steps_s.values().sum();
        if (sum - row.duration_s).abs() > 1e-6 * row.duration_s {
            return Err(DurationsError::StepsDisagree {
                reference: reference.to_owned(),
                column: column.to_owned(),
                sum: sum.to_string(),
                task: row.duration_s.to_string(),
            });
        }
        row.steps_s = steps_s;
        Ok(self)
    }

    /// The row of a reference.
    pub fn row(&self, reference: &str) -> Option<&Row> {
        self.rows.iter().find(|r| r.reference == reference)
    }
}

/// Where the columns are.
struct Columns {
    reference: usize,
    task: usize,
    agent: usize,
    duration: usize,
    title: Option<usize>,
    after: Option<usize>,
}

impl Columns {
    fn find(header: &StringRecord, column: &str, after: Option<&str>) -> Result<Self, DurationsError> {
        Ok(Self {
            reference: position(header, "ref")?,
            task: position(header, "task")?,
            agent: position(header, "agent")?,
            duration: position(header, column)?,
            title: position(header, "title").ok(),
            after: after.map(|name| position(header, name)).transpose()?,
        })
    }

    fn row(&self, record: &StringRecord, line: u64, column: &str) -> Result<Row, DurationsError> {
        let task = filled(record, self.task, line, "task")?;
        let title = self.title.and_then(|i| record.get(i)).filter(|t| !t.is_empty());
        let after = self.after.and_then(|i| record.get(i)).unwrap_or("");
        Ok(Row {
            reference: filled(record, self.reference, line, "ref")?,
            title: title.unwrap_or(&task).to_owned(),
            task,
            agent: filled(record, self.agent, line, "agent")?,
            duration_s: seconds(record, self.duration, line, column)?,
            after: after.split_whitespace().map(str::to_owned).collect(),
            steps_s: BTreeMap::new(),
        })
    }
}

fn malformed(error: csv::Error) -> DurationsError {
    let line = error.position().map_or(1, csv::Position::line);
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields where the header has {expected_len}")
        }
        _ => error.to_string(),
    };
    DurationsError::Malformed { line, problem }
}

fn position(header: &StringRecord, wanted: &str) -> Result<usize, DurationsError> {
    header.iter().position(|h| h == wanted).ok_or_else(|| {
        let found = header.iter().map(|h| format!("`{h}`")).collect::<Vec<_>>().join(", ");
        DurationsError::UnknownColumn { wanted: wanted.to_owned(), found }
    })
}

fn filled(record: &StringRecord, at: usize, line: u64, column: &str) -> Result<String, DurationsError> {
    match record.get(at) {
        Some(value) if !value.is_empty() => Ok(value.to_owned()),
        _ => Err(DurationsError::Empty { line, column: column.to_owned() }),
    }
}

fn seconds(record: &StringRecord, at: usize, line: u64, column: &str) -> Result<f64, DurationsError> {
    let value = record.get(at).unwrap_or("");
    match value.parse::<f64>() {
        Ok(s) if s.is_finite() && s >= 0.0 => Ok(s),
        _ => Err(DurationsError::NotADuration { line, column: column.to_owned(), value: value.to_owned() }),
    }
}

fn check_predecessors(rows: &[Row], lines: &[u64], column: &str) -> Result<(), DurationsError> {
    for (row, line) in rows.iter().zip(lines) {
        if let Some(after) = row.after.iter().find(|a| rows.iter().all(|r| r.reference != **a)) {
            return Err(DurationsError::UnknownPredecessor {
                line: *line,
                reference: row.reference.clone(),
                after: after.clone(),
                column: column.to_owned(),
            });
        }
    }
    Ok(())
}

/// Takes away tasks whose predecessors are all gone until none is left; what stays holds a cycle.
fn check_cycles(rows: &[Row], column: &str) -> Result<(), DurationsError> {
    let mut left: BTreeMap<&str, &[String]> =
        rows.iter().map(|r| (r.reference.as_str(), r.after.as_slice())).collect();
    loop {
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, after)| after.iter().all(|a| !left.contains_key(a.as_str())))
            .map(|(reference, _)| *reference)
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|reference, _| !free.contains(reference));
    }
    let Some(mut at) = left.keys().next().copied() else { return Ok(()) };
    let mut walked: Vec<&str> = Vec::new();
    while !walked.contains(&at) {
        walked.push(at);
        // Each one that stays has a predecessor that stays, or it would have been taken away.
        let Some(next) = left[at].iter().find(|a| left.contains_key(a.as_str())) else { return Ok(()) };
        at = next;
    }
    let mut cycle: Vec<&str> = walked.iter().copied().skip_while(|r| *r != at).collect();
    cycle.push(at);
    cycle.reverse();
    Err(DurationsError::Cycle { column: column.to_owned(), path: cycle.join(" → ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Durations, DurationsError> {
        Durations::parse(text, "s", Some("after"))
    }

    fn message(text: &str) -> String {
        parse(text).expect_err("must be refused").to_string()
    }

    #[test]
    fn reads_columns_by_header_in_any_order() {
        let d = parse("s,agent,extra,task,ref,after\n 1.5 ,qa,x,scan,t1,\n2,dev,y,build,t2,t1\n").unwrap();
        assert_eq!(d.rows[0].duration_s, 1.5);
        assert_eq!(d.rows[0].title, "scan", "without a title column the task type is the title");
        assert_eq!(d.rows[1].after, ["t1"]);
        assert_eq!(d.row("t2").unwrap().agent, "dev");
    }

    #[test]
    fn says_where_and_what_is_accepted() {
        for (text, wants) in [
            ("ref,task,agent,after\n", vec!["line 1", "`s`", "`ref`, `task`, `agent`, `after`"]),
            ("ref,task,agent,s,after\nt1,a,qa,zero,\n", vec!["line 2", "`s` is `zero`", "from 0"]),
            ("ref,task,agent,s,after\nt1,a,qa,1,\nt2,a,qa,-1,\n", vec!["line 3", "`-1`"]),
            ("ref,task,agent,s,after\nt1,a,qa,inf,\n", vec!["line 2", "`inf`"]),
            ("ref,task,agent,s,after\nt1,a,qa,1,\nt1,b,qa,1,\n", vec!["line 3", "`t1` is on line 2"]),
            ("ref,task,agent,s,after\nt1,a,,1,\n", vec!["line 2", "`agent` is empty"]),
            ("ref,task,agent,s,after\nt1,a,qa,1\n", vec!["line 2", "4 fields where the header has 5"]),
            ("ref,task,agent,s,after\nt1,a,qa,1,t9\n", vec!["line 2", "`t9`, which has no line"]),
            ("ref,task,agent,s,after\n", vec!["no line under the header"]),
        ] {
            let message = message(text);
            for want in wants {
                assert!(message.contains(want), "`{message}` should say `{want}`");
            }
        }
    }

    #[test]
    fn reports_the_cycle_itself_and_nothing_beside_it() {
        let text = "ref,task,agent,s,after\na,a,qa,1,d\nb,b,qa,1,a\nc,c,qa,1,b\nd,d,qa,1,c\ne,e,qa,1,a\n";
        let message = message(text);
        assert!(message.contains("a → b → c → d → a"), "{message}");
        assert!(message_of_self().contains("a → a"));
    }

    fn message_of_self() -> String {
        message("ref,task,agent,s,after\na,a,qa,1,a\n")
    }

    #[test]
    fn steps_must_add_up_to_their_task() {
        let d = || parse("ref,task,agent,s,after\nt8,a,qa,5,\n").unwrap();
        let ok = d().with_steps("t8", "step,s\nx,2\ny,3\n", "s").unwrap();
        assert_eq!(ok.rows[0].steps_s["y"], 3.0);
        let bad = d().with_steps("t8", "step,s\nx,2\ny,4\n", "s").unwrap_err().to_string();
        assert!(bad.contains("6 s") && bad.contains("5 s"), "{bad}");
        let none = d().with_steps("t9", "step,s\nx,2\n", "s").unwrap_err();
        assert_eq!(none, DurationsError::StepsOfUnknown("t9".into()));
    }
}
