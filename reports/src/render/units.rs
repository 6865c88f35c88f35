//! Figures in units that people read: minutes of workflow time, per cent, milliseconds.

use crate::measure::{Clock, Measure};

/// A value in the unit of its measure (`s`, `ms`, `ratio`, `count`, `1/s`), for people.
pub fn value(value: f64, unit: &str) -> String {
    match unit {
        "s" if value.abs() >= 120.0 => format!("{} min", number(value / 60.0)),
        "s" if value.abs() < 1.0 && value != 0.0 => format!("{} ms", number(value * 1e3)),
        "s" => format!("{} s", number(value)),
        "ms" if value.abs() >= 1_000.0 => format!("{} s", number(value / 1e3)),
        "ms" => format!("{} ms", number(value)),
        "ratio" => format!("{} %", number(value * 100.0)),
        "1/s" => format!("{} /s", number(value)),
        _ => number(value),
    }
}

/// A measure with what stands behind it: `67.3 min (66.9 to 68 min, n 60)`, or `n/a (needs 59)`.
pub fn measured(measure: &Measure) -> String {
    let Some(v) = measure.value else {
        return format!("n/a ({})", measure.missing.as_deref().unwrap_or("no evidence"));
    };
    let shown = value(v, &measure.unit);
    let interval = match (measure.lo, measure.hi) {
        (Some(lo), Some(hi)) => format!("{} to {}, ", value(lo, &measure.unit), value(hi, &measure.unit)),
        (None, Some(hi)) => format!("up to {}, ", value(hi, &measure.unit)),
        (Some(lo), None) => format!("from {}, ", value(lo, &measure.unit)),
        (None, None) => String::new(),
    };
    if measure.unit == "count" { shown } else { format!("{shown} ({interval}n {})", measure.n) }
}

/// The clock of a figure, in a word for people; empty when it isn't a time.
pub fn clock(clock: Clock) -> &'static str {
    match clock {
        Clock::Harness => "real time",
        Clock::Target => "the target's clock",
        Clock::Workflow => "workflow time",
        Clock::None => "",
    }
}

/// Three significant digits, no trailing zeros, and whole numbers in full.
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = value.abs().log10().floor() as i32;
    let places = (2 - digits).clamp(0, 6) as usize;
    let text = format!("{value:.places$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if matches!(text, "-0" | "0") { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_that_people_read() {
        for (v, unit, text) in [
            (4_033.0, "s", "67.2 min"),
            (120.0, "s", "2 min"),
            (119.0, "s", "119 s"),
            (0.0123, "s", "12.3 ms"),
            (0.0, "s", "0 s"),
            (1_250.0, "ms", "1.25 s"),
            (3.456_78, "ms", "3.46 ms"),
            (0.05, "ratio", "5 %"),
            (-0.0031, "ratio", "-0.31 %"),
            (0.995, "ratio", "99.5 %"),
            (1_320.0, "count", "1320"),
            (12.0, "1/s", "12 /s"),
        ] {
            assert_eq!(value(v, unit), text);
        }
    }
}
