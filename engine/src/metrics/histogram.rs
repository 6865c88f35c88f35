//! A histogram with fixed bounds, as Prometheus reads it.

use std::fmt::Write;

/// Upper bounds, seconds: from half a millisecond to two hours, about 2.3 apart.
const BOUNDS_S: [f64; 18] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 900.0,
    7200.0,
];

/// Counts of durations by bound, and their sum.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: [u64; BOUNDS_S.len()],
    count: u64,
    sum_s: f64,
}

impl Histogram {
    /// Adds a duration, seconds.
    pub fn record(&mut self, seconds: f64) {
        if let Some(count) =
            BOUNDS_S.iter().position(|bound| seconds <= *bound).and_then(|at| self.counts.get_mut(at))
        {
            *count += 1;
        }
        self.count += 1;
        self.sum_s += seconds;
    }

    /// Appends the lines of the exposition format. `labels` is empty or ends in a comma.
    pub fn write(&self, name: &str, labels: &str, text: &mut String) {
        let mut below = 0;
        for (bound, count) in BOUNDS_S.iter().zip(self.counts) {
            below += count;
            let _ = writeln!(text, "{name}_bucket{{{labels}le=\"{bound}\"}} {below}");
        }
        let own = labels.trim_end_matches(',');
        let own = if own.is_empty() { String::new() } else { format!("{{{own}}}") };
        let _ = writeln!(text, "{name}_bucket{{{labels}le=\"+Inf\"}} {}", self.count);
        let _ = writeln!(text, "{name}_sum{own} {}", self.sum_s);
        let _ = writeln!(text, "{name}_count{own} {}", self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative() {
        let mut histogram = Histogram::default();
        [0.0004, 0.002, 0.002, 9999.0].into_iter().for_each(|seconds| histogram.record(seconds));
        let mut text = String::new();
        histogram.write("wait", "task=\"a\",", &mut text);
        for line in [
            "wait_bucket{task=\"a\",le=\"0.0005\"} 1",
            "wait_bucket{task=\"a\",le=\"0.001\"} 1",
            "wait_bucket{task=\"a\",le=\"0.0025\"} 3",
            "wait_bucket{task=\"a\",le=\"7200\"} 3",
            "wait_bucket{task=\"a\",le=\"+Inf\"} 4",
            "wait_count{task=\"a\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
