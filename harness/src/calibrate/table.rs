//! The comparison as a table for a terminal.

use super::Told;
use super::compare::Row;
use std::fmt::Write;

const HEAD: [&str; 6] = ["planted", "", "told", "off by", "allowed", "verdict"];

/// The whole comparison.
pub fn render(told: &Told) -> String {
    let mut cells: Vec<[String; 6]> = vec![HEAD.map(str::to_owned)];
    cells.extend(told.rows.iter().map(line));
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = String::from("\n");
    for row in &cells {
        let mut words = format!("{:<1$}", row[0], widths[0]);
        row.iter().zip(&widths).skip(1).for_each(|(cell, width)| {
            // A String takes it.
            let _ = write!(words, "  {cell:>width$}");
        });
        text += words.trim_end();
        text.push('\n');
    }
    for wrong in told.rows.iter().flat_map(|row| &row.wrong) {
        let _ = writeln!(text, "  {wrong}");
    }
    text.push('\n');
    text += &verdict(told);
    text
}

fn line(row: &Row) -> [String; 6] {
    [
        row.what.clone(),
        figure(row.planted, row.unit),
        row.told.map_or_else(|| "nothing".to_owned(), |told| figure(told, row.unit)),
        row.error.map_or_else(|| "unknown".to_owned(), |error| figure(error, row.error_unit)),
        figure(row.allowed, row.error_unit),
        if row.holds { "holds" } else { "OFF" }.to_owned(),
    ]
}

fn figure(value: f64, unit: &str) -> String {
    match unit {
        "ms" => format!("{value:.1} ms"),
        "ratio" => format!("{:.2} %", value * 100.0),
        _ => format!("{value:.0}"),
    }
}

fn verdict(told: &Told) -> String {
    let calibration = &told.calibration;
    let mut text = format!(
        "{}: outages told to {:.1} ms (probes every {:.0} ms), percentiles to {:.2} %, {} of {} breaches found, {} \
         invented. Runs in {}\n",
        told.verdict(),
        calibration.outage_error_ms,
        calibration.probe_interval_ms,
        calibration.percentile_error * 100.0,
        calibration.found,
        calibration.planted,
        calibration.invented,
        told.directory.display(),
    );
    for reason in &told.invalid {
        let _ = writeln!(text, "Not to be trusted: {reason}");
    }
    text
}
