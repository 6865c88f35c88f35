//! Axes: from values to positions, with ticks that people would choose.

/// What a value is, and so how its ticks are written. Durations are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// Seconds.
    Duration,
    /// A number of things, or of things per second.
    Number,
    /// Mebibytes, or mebibytes per second.
    Mebibytes,
    /// The probability of a quantile.
    Quantile,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Linear,
    Log,
    /// 50 %, 90 %, 99 %, 99.9 % at equal distances: by −log10(1 − q).
    Nines,
}

/// One axis.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    kind: Kind,
    quantity: Quantity,
    from: f64,
    to: f64,
    start_px: f64,
    end_px: f64,
}

/// Values spread wider than this go on a logarithmic axis.
const LOG_FROM: f64 = 25.0;
/// Units of time: from how many seconds on, seconds in one, name.
const UNITS: [(f64, f64, &str); 5] =
    [(10_800.0, 3_600.0, "h"), (180.0, 60.0, "min"), (1.0, 1.0, "s"), (1e-3, 1e-3, "ms"), (0.0, 1e-6, "µs")];

impl Scale {
    /// From 0 to a round number at or above `most`.
    pub(crate) fn linear(most: f64, quantity: Quantity) -> Self {
        let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
        let unit = unit_of(most, quantity).0;
        let step = nice_step(most / unit, 8.0) * unit;
        let to = (most / step - 1e-9).ceil() * step;
        Self { kind: Kind::Linear, quantity, from: 0.0, to, start_px: 0.0, end_px: 1.0 }
    }

    /// Exactly from one value to another.
    pub(crate) fn span(from: f64, to: f64, quantity: Quantity) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        Self { kind: Kind::Linear, quantity, from, to, start_px: 0.0, end_px: 1.0 }
    }

    /// Durations: linear from 0, or logarithmic where they are spread wide.
    pub(crate) fn durations(values: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
        for v in values.filter(|v| v.is_finite() && *v > 0.0) {
            (least, most) = (least.min(v), most.max(v));
        }
        if most < least * LOG_FROM {
            return Self::linear(most, Quantity::Duration);
        }
        let marks = duration_marks();
        let from = marks.iter().map(|m| m.0).rfind(|m| *m <= least).unwrap_or(1e-9);
        let to = marks.iter().map(|m| m.0).find(|m| *m >= most).unwrap_or(most);
        Self { kind: Kind::Log, quantity: Quantity::Duration, from, to, start_px: 0.0, end_px: 1.0 }
    }

    /// Quantiles from the median to `most`.
    pub(crate) fn quantiles(most: f64) -> Self {
        let to = most.clamp(0.9, 0.999_999);
        Self { kind: Kind::Nines, quantity: Quantity::Quantile, from: 0.0, to, start_px: 0.0, end_px: 1.0 }
    }

    /// The same between two positions.
    pub(crate) fn on(mut self, start_px: f64, end_px: f64) -> Self {
        (self.start_px, self.end_px) = (start_px, end_px);
        self
    }

    /// Where a value stands; one that lies beyond an end stands at that end.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let (from, to) = (self.position(self.from), self.position(self.to));
        let share = ((self.position(value) - from) / (to - from)).clamp(0.0, 1.0);
        let share = if share.is_nan() { 0.0 } else { share };
        self.start_px + share * (self.end_px - self.start_px)
    }

    fn position(&self, value: f64) -> f64 {
        match self.kind {
            Kind::Linear => value,
            Kind::Log => value.max(self.from).log10(),
            Kind::Nines => -(1.0 - value.min(0.999_999_9)).log10(),
        }
    }

    /// What the ticks are in, for the axis's title; empty where each tick says it itself.
    pub(crate) fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Linear => unit_of(self.to, self.quantity).1,
            Kind::Log | Kind::Nines => "",
        }
    }

    /// Values to mark and what to write at them; about `wanted` of them.
    pub(crate) fn ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        match self.kind {
            Kind::Linear => self.linear_ticks(wanted),
            Kind::Log => self.log_ticks(wanted),
            Kind::Nines => [0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.999_9, 0.999_99, 0.999_999]
                .into_iter()
                .filter(|q| *q <= self.to)
                .map(|q| (q, format!("{}%", (q * 1e6).round() / 1e4)))
                .collect(),
        }
    }

    fn linear_ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let unit = unit_of(self.to, self.quantity).0;
        let (from, to) = (self.from / unit, self.to / unit);
        let step = nice_step(to - from, wanted.max(1) as f64);
        let first = (from / step - 1e-9).ceil() as i64;
        let last = (to / step + 1e-9).floor() as i64;
        let places = if step < 1.0 { (-step.log10()).ceil() as usize } else { 0 };
        (first..=last).map(|i| i as f64 * step).map(|v| (v * unit, short(v, places))).collect()
    }

    fn log_ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let inside = |m: &(f64, u8)| m.0 >= self.from * 0.999 && m.0 <= self.to * 1.001;
        let marks: Vec<(f64, u8)> = duration_marks().into_iter().filter(inside).collect();
        let rank =
            (0..=2u8).rev().find(|r| marks.iter().filter(|m| m.1 <= *r).count() <= wanted).unwrap_or(0);
        marks.into_iter().filter(|m| m.1 <= rank).map(|m| (m.0, mark(m.0))).collect()
    }
}

fn unit_of(most: f64, quantity: Quantity) -> (f64, &'static str) {
    match quantity {
        Quantity::Duration => {
            let found = UNITS.iter().find(|(from, ..)| most >= *from);
            found.map_or((1.0, "s"), |(_, factor, name)| (*factor, *name))
        }
        Quantity::Mebibytes => (1.0, "MiB"),
        Quantity::Number | Quantity::Quantile => (1.0, ""),
    }
}

/// 1, 2 or 5 times a power of ten, so that about `wanted` of them make up `span`.
pub(crate) fn nice_step(span: f64, wanted: f64) -> f64 {
    let raw = (span / wanted).max(1e-12);
    let power = 10f64.powf(raw.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|t| t * power >= raw * (1.0 - 1e-9)).unwrap_or(10.0);
    times * power
}

/// Round durations from a microsecond to a hundred years, each with its rank: 0 stays longest when there are many.
fn duration_marks() -> Vec<(f64, u8)> {
    let mut marks = Vec::new();
    let mut decades = |unit: f64, count: i32, most: f64| {
        for power in 0..count {
            for (times, rank) in [(1.0, 0), (2.0, 2), (5.0, 1)] {
                let v = times * 10f64.powi(power);
                if v < most {
                    marks.push((v * unit, rank));
                }
            }
        }
    };
    decades(1e-6, 3, f64::INFINITY);
    decades(1e-3, 3, f64::INFINITY);
    decades(1.0, 2, 30.0);
    decades(60.0, 2, 30.0);
    decades(3_600.0, 6, f64::INFINITY);
    marks.extend([(30.0, 1), (1_800.0, 1)]);
    marks.sort_by(|a, b| a.0.total_cmp(&b.0));
    marks
}

/// A round duration in its own unit.
fn mark(seconds: f64) -> String {
    let (factor, name) = match seconds {
        s if s >= 3_600.0 * 0.999 => (3_600.0, "h"),
        s if s >= 60.0 * 0.999 => (60.0, "min"),
        s if s >= 0.999 => (1.0, "s"),
        s if s >= 0.999e-3 => (1e-3, "ms"),
        _ => (1e-6, "µs"),
    };
    format!("{} {name}", (seconds / factor).round())
}

/// A tick's number, with thousands and millions by their letters.
fn short(value: f64, places: usize) -> String {
    match value.abs() {
        v if v >= 1e9 => format!("{value:.0e}"),
        v if v >= 1e6 => format!("{}M", trimmed(value / 1e6)),
        v if v >= 1e4 => format!("{}k", trimmed(value / 1e3)),
        _ => format!("{value:.places$}"),
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<String> {
        scale.ticks(6).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_in_a_unit_that_fits() {
        let makespans = Scale::linear(3_940.0, Quantity::Duration);
        assert_eq!(labels(&makespans), ["0", "20", "40", "60"]);
        assert_eq!(makespans.unit(), "min");
        assert_eq!(
            labels(&Scale::linear(0.0012, Quantity::Duration)),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0", "1.2"]
        );
        assert_eq!(labels(&Scale::linear(60_000.0, Quantity::Number))[1], "10k");
        assert_eq!(
            labels(&Scale::span(0.0, 106.4, Quantity::Duration)),
            ["0", "20", "40", "60", "80", "100"]
        );
        assert_eq!(
            labels(&Scale::linear(f64::NAN, Quantity::Number)).last().map(String::as_str),
            Some("1.0")
        );
    }

    #[test]
    fn wide_spreads_are_logarithmic_and_each_tick_says_its_unit() {
        let scale = Scale::durations([0.0006, 1.3].into_iter());
        assert_eq!(scale.kind, Kind::Log);
        assert_eq!(labels(&scale), ["1 ms", "10 ms", "100 ms", "1 s"]);
        assert_eq!((scale.from, scale.to), (0.0005, 2.0));
        let long = Scale::durations([0.6, 8_000.0].into_iter());
        assert_eq!(labels(&long), ["1 s", "10 s", "1 min", "10 min", "1 h"]);
        assert_eq!(Scale::durations([1.0, 3.0].into_iter()).kind, Kind::Linear);
        assert_eq!(Scale::durations(std::iter::empty()).kind, Kind::Linear);
    }

    #[test]
    fn values_stand_between_the_ends_whatever_they_are() {
        let scale = Scale::linear(100.0, Quantity::Number).on(10.0, 110.0);
        assert_eq!(
            [scale.at(0.0), scale.at(50.0), scale.at(1e300), scale.at(-5.0)],
            [10.0, 60.0, 110.0, 10.0]
        );
        assert_eq!(scale.at(f64::NAN), 10.0);
        let nines = Scale::quantiles(0.999).on(0.0, 3.0);
        for (q, px) in [(0.9, 1.0), (0.99, 2.0), (0.999, 3.0)] {
            assert!((nines.at(q) - px).abs() < 1e-9, "{q}");
        }
    }
}
