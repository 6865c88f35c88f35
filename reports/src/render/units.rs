//! Figures in units that people read: minutes of workflow time, per cent, milliseconds.

use crate::measure::{Clock, Measure};

/// A value in the unit of its measure (`s`, `ms`, `ratio`, `count`, `1/s`, `MiB`, `MiB/min`, `1/min`), for people.
pub fn value(value: f64, unit: &str) -> String {
    match unit {
        "s" if value.abs() >= 120.0 => format!("{} min", number(value / 60.0)),
        "s" if value.abs() < 1.0 && value != 0.0 => format!("{} ms", number(value * 1e3)),
        "s" => format!("{} s", number(value)),
        "ms" if value.abs() >= 1_000.0 => format!("{} s", number(value / 1e3)),
        "ms" => format!("{} ms", number(value)),
        // A hundredth of a per cent is finer than any gate.
        "ratio" => format!("{} %", number((value * 1e4).round() / 100.0)),
        "MiB" | "MiB/s" | "MiB/min" => format!("{} {unit}", number(value)),
        // Shares drift by per cents; a number that grows is told apart by its name.
        "1/min" => format!("{} /min", number(value)),
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
        (Some(lo), Some(hi)) => format!("{}, ", range(lo, hi, &measure.unit)),
        (None, Some(hi)) => format!("up to {}, ", value(hi, &measure.unit)),
        (Some(lo), None) => format!("from {}, ", value(lo, &measure.unit)),
        (None, None) => String::new(),
    };
    // How load was offered matters to what the harness timed: a closed figure leaves out what an open one has.
    let load =
        measure.load.filter(|_| measure.clock == Clock::Harness).map(|load| format!(", {}", load.word()));
    let load = load.unwrap_or_default();
    if measure.unit == "count" { shown } else { format!("{shown} ({interval}n {}{load})", measure.n) }
}

/// `66.9 to 68 min`, or `990 ms to 1.2 s` where the ends are shown in different units.
pub fn range(lo: f64, hi: f64, unit: &str) -> String {
    let (lo, hi) = (value(lo, unit), value(hi, unit));
    match (lo.split_once(' '), hi.split_once(' ')) {
        (Some((number, of_lo)), Some((_, of_hi))) if of_lo == of_hi => format!("{number} to {hi}"),
        _ => format!("{lo} to {hi}"),
    }
}

/// `66.9 / 67.3 / 68 min`: values with their unit once where they share it, `-` for one that is missing.
pub fn several(values: &[Option<f64>], unit: &str) -> String {
    let shown: Vec<Option<String>> = values.iter().map(|v| v.map(|v| value(v, unit))).collect();
    let unit_of = |s: &str| s.split_once(' ').map(|(_, unit)| unit.to_owned());
    let units: Vec<Option<String>> = shown.iter().flatten().map(|s| unit_of(s)).collect();
    let Some(Some(last)) = units.last() else { return "-".to_owned() };
    let shared = units.iter().all(|u| u.as_ref() == Some(last));
    let cell = |s: &Option<String>| match s {
        None => "-".to_owned(),
        Some(s) if shared => s.trim_end_matches(last.as_str()).trim_end().to_owned(),
        Some(s) => s.clone(),
    };
    let joined = shown.iter().map(cell).collect::<Vec<_>>().join(" / ");
    if shared { format!("{joined} {last}") } else { joined }
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
            (0.001_372, "ratio", "0.14 %"),
            (-0.000_001, "ratio", "0 %"),
            (1_320.0, "count", "1320"),
            (12.0, "1/s", "12 /s"),
            (38.25, "MiB", "38.2 MiB"),
        ] {
            assert_eq!(value(v, unit), text);
        }
        assert_eq!(range(4_000.0, 4_080.0, "s"), "66.7 to 68 min");
        assert_eq!(range(990.0, 1_200.0, "ms"), "990 ms to 1.2 s");
        assert_eq!(range(1.0, 2.0, "count"), "1 to 2");
        assert_eq!(several(&[Some(180.0), None, Some(240.0)], "s"), "3 / - / 4 min");
        assert_eq!(several(&[Some(100.0), Some(240.0)], "s"), "100 s / 4 min");
        assert_eq!(several(&[None, None], "s"), "-");
    }
}
