//! A table with a caption, header cells, and a bound on its length that it tells of.

use super::markup::Markup;
use crate::render::words;

/// Most characters of one cell: a name of a megabyte must not make a report of gigabytes.
const LONGEST_CELL: usize = 600;

/// What stands in a cell.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    /// A text, from wherever.
    Text(String),
    /// A piece that was made here, such as a verdict or a small picture.
    Made(Markup),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A table; its first column names the rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    caption: String,
    class: &'static str,
    header: Vec<String>,
    rows: Vec<Vec<Cell>>,
    note: Option<String>,
}

impl Table {
    /// An empty table.
    pub(super) fn new(caption: &str, header: &[&str]) -> Self {
        let header = header.iter().map(|h| (*h).to_owned()).collect();
        Self { caption: caption.to_owned(), header, ..Self::default() }
    }

    /// The same with columns whose names come from the run.
    pub(super) fn named(caption: &str, header: Vec<String>) -> Self {
        Self { caption: caption.to_owned(), header, ..Self::default() }
    }

    /// Says that the columns are words, not figures.
    pub(super) fn worded(mut self) -> Self {
        self.class = "words";
        self
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// At most `most` rows, evenly taken from first to last; a note says so.
    pub(super) fn thinned(mut self, most: usize) -> Self {
        let n = self.rows.len();
        if n > most {
            let step = n.div_ceil(most);
            let kept = std::mem::take(&mut self.rows).into_iter().step_by(step);
            self.rows = kept.collect();
            self.note = Some(format!(
                "Thinned: every {step}th of {n} rows is shown; samples.csv and history.jsonl hold everything."
            ));
        }
        self
    }

    /// At most the first `most` rows; a note says so and where the rest is.
    pub(super) fn cut(mut self, most: usize, rest: &str) -> Self {
        let n = self.rows.len();
        if n > most {
            self.rows.truncate(most);
            self.note = Some(format!("The first {most} of {n} rows are shown; {rest}"));
        }
        self
    }

    /// Writes it.
    pub(super) fn write(&self, m: &mut Markup) {
        m.within("div", &[("class", &"scroll")], |m| {
            m.within("table", &[("class", &self.class)], |m| {
                m.element("caption", &[], &self.caption);
                m.within("thead", &[], |m| {
                    m.within("tr", &[], |m| {
                        self.header.iter().for_each(|name| {
                            m.element("th", &[("scope", &"col")], &words::clipped(name, LONGEST_CELL));
                        });
                    });
                });
                m.line();
                m.within("tbody", &[], |m| self.rows.iter().for_each(|row| write_row(m, row)));
            });
        });
        if let Some(note) = &self.note {
            m.element("p", &[("class", &"note")], note);
        }
        m.line();
    }

    /// Writes it folded away under a line that says what is in it.
    pub(super) fn write_folded(&self, m: &mut Markup, title: &str) {
        m.within("details", &[("class", &"data")], |m| {
            m.element("summary", &[], title);
            self.write(m);
        });
    }
}

fn write_row(m: &mut Markup, row: &[Cell]) {
    m.within("tr", &[], |m| {
        for (i, cell) in row.iter().enumerate() {
            let write = |m: &mut Markup| match cell {
                Cell::Text(text) => m.text(&words::clipped(text, LONGEST_CELL)),
                Cell::Made(made) => m.append(made),
            };
            match i {
                0 => m.within("th", &[("scope", &"row")], write),
                _ => m.within("td", &[], write),
            }
        }
    });
    m.line();
}
