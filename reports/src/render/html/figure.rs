//! A figure: a picture, what it shows, its legend, and the table of figures behind it.

use super::chart::line::{Series, Stroke, colour};
use super::markup::Markup;
use super::table::Table;

/// A figure.
#[derive(Debug, Default)]
pub(super) struct Figure {
    /// What is seen, in a few words.
    pub(super) title: String,
    /// How it was measured: which instants, which clock, closed or open load.
    pub(super) how: String,
    /// Colours and what they stand for.
    pub(super) legend: Vec<Key>,
    /// The picture.
    pub(super) picture: Markup,
    /// The figures behind it.
    pub(super) table: Option<Table>,
    /// True for one that takes half of the page's width.
    pub(super) half: bool,
}

/// An entry of a legend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Which of the page's colours.
    pub(super) colour: usize,
    /// How it is drawn: a class of the style sheet.
    pub(super) kind: &'static str,
    /// What it stands for.
    pub(super) name: String,
}

impl Key {
    /// Of a series of lines.
    pub(super) fn of(series: &Series) -> Self {
        let kind = match series.stroke {
            Stroke::Line => "key-line",
            Stroke::Dashed => "key-dashed",
            Stroke::Dots => "key-dot",
        };
        let none = if series.points.iter().all(|p| p.1.is_none()) { " (too few samples)" } else { "" };
        Self { colour: series.colour, kind, name: format!("{}{none}", series.name) }
    }

    /// Of an area, such as a bar.
    pub(super) fn area(colour: usize, name: &str) -> Self {
        Self { colour, kind: "key-area", name: name.to_owned() }
    }

    /// Of a dot.
    pub(super) fn dot(colour: usize, name: &str) -> Self {
        Self { colour, kind: "key-dot", name: name.to_owned() }
    }
}

impl Figure {
    /// Writes it.
    pub(super) fn write(&self, m: &mut Markup) {
        let class = if self.half { "half" } else { "whole" };
        m.within("figure", &[("class", &class)], |m| {
            m.within("figcaption", &[], |m| {
                m.element("h3", &[], &self.title);
                if !self.how.is_empty() {
                    m.element("p", &[], &self.how);
                }
            });
            write_legend(m, &self.legend);
            m.append(&self.picture);
            if let Some(table) = &self.table {
                table.write_folded(m, "Figures");
            }
        });
        m.line();
    }
}

/// Writes a legend.
pub(super) fn write_legend(m: &mut Markup, legend: &[Key]) {
    if legend.is_empty() {
        return;
    }
    m.within("ul", &[("class", &"legend")], |m| {
        for key in legend {
            m.within("li", &[], |m| {
                let class = format!("key {} {}", key.kind, colour(key.colour));
                m.within("span", &[("class", &class)], |_| ());
                m.text(&key.name);
            });
        }
    });
    m.line();
}
