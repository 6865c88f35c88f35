//! Distributions of times: HdrHistogram with 3 significant digits, in nanoseconds, and its interval logs.

use crate::statistics::{self, Estimate};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

/// Significant decimal digits that are kept: a value is off by at most 0.1 %.
const DIGITS: u8 = 3;
/// Why no sample is refused: a saturating record would clamp silently instead.
const GROWS: &str = "a histogram without bounds grows to any u64";

/// Why an interval log could not be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "the interval log could not be written: series `{series}`: {problem}; this is a fault of shakedown, report it"
)]
pub struct LogError {
    series: String,
    problem: String,
}

/// A distribution of times, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Distribution {
    histogram: Histogram<u64>,
    // Kept exactly, so that no percentile is printed beyond the largest sample.
    least: u64,
    most: u64,
    sum: u128,
}

impl Default for Distribution {
    fn default() -> Self {
        let histogram = Histogram::new(DIGITS).expect("3 digits are in the allowed range of 0 to 5");
        Self { histogram, least: u64::MAX, most: 0, sum: 0 }
    }
}

impl FromIterator<u64> for Distribution {
    fn from_iter<T: IntoIterator<Item = u64>>(values_ns: T) -> Self {
        let mut distribution = Self::default();
        values_ns.into_iter().for_each(|ns| distribution.record(ns));
        distribution
    }
}

impl Distribution {
    /// Adds one sample, nanoseconds.
    pub fn record(&mut self, ns: u64) {
        self.histogram.record(ns).expect(GROWS);
        self.least = self.least.min(ns);
        self.most = self.most.max(ns);
        self.sum += u128::from(ns);
    }

    /// Adds the samples of another distribution; nothing is lost by it.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect(GROWS);
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
        self.sum += other.sum;
    }

    /// Samples so far.
    pub fn n(&self) -> u64 {
        self.histogram.len()
    }

    /// The least sample, nanoseconds, exact.
    pub fn least(&self) -> Option<u64> {
        (self.n() > 0).then_some(self.least)
    }

    /// The largest sample, nanoseconds, exact.
    pub fn most(&self) -> Option<u64> {
        (self.n() > 0).then_some(self.most)
    }

    /// The mean of the samples, nanoseconds, exact.
    pub fn mean(&self) -> Option<f64> {
        (self.n() > 0).then(|| self.sum as f64 / self.n() as f64)
    }

    /// The sample at a rank from 1, nanoseconds, at most 0.1 % high and never beyond the extremes.
    pub fn at_rank(&self, rank: u64) -> u64 {
        let mut seen = 0;
        for step in self.histogram.iter_recorded() {
            seen += step.count_since_last_iteration();
            if seen >= rank {
                let high = self.histogram.highest_equivalent(step.value_iterated_to());
                return high.clamp(self.least, self.most);
            }
        }
        self.most
    }

    /// The q-quantile with its interval, nanoseconds.
    pub fn percentile(&self, q: f64) -> Estimate {
        statistics::percentile(self.n(), q, |rank| self.at_rank(rank) as f64)
    }
}

/// One second of one series.
type Key = (u64, String);

/// Samples by second and series, to be written as an interval log.
#[derive(Debug, Default)]
pub struct IntervalLog {
    intervals: BTreeMap<Key, Histogram<u64>>,
}

impl IntervalLog {
    /// Adds a sample that was done at `at_ns` after the start of the run and took `ns`, to `series`.
    pub fn record(&mut self, series: &str, at_ns: u64, ns: u64) {
        let histogram = self
            .intervals
            .entry((at_ns / 1_000_000_000, series.to_owned()))
            .or_insert_with(|| Histogram::new(DIGITS).expect("3 digits are in the allowed range of 0 to 5"));
        histogram.record(ns).expect(GROWS);
    }

    /// The log as text: HdrHistogram's own format, one interval a second and series, tags name the series, the
    /// base time is the start of the run (`started_ms`, epoch milliseconds), values are nanoseconds.
    ///
    /// # Errors
    /// [`LogError`] when the writer refuses a series; none of the names in use is refused.
    pub fn write(&self, started_ms: u64, comment: &str) -> Result<Vec<u8>, LogError> {
        let fail = |series: &str, e: &dyn std::fmt::Debug| LogError {
            series: series.to_owned(),
            problem: format!("{e:?}"),
        };
        let mut out = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let start = UNIX_EPOCH + Duration::from_millis(started_ms);
        let mut builder = IntervalLogWriterBuilder::new();
        builder.add_comment(comment).with_start_time(start).with_base_time(start).with_max_value_divisor(1e6);
        let mut writer = builder.begin_log_with(&mut out, &mut serializer).map_err(|e| fail("", &e))?;
        for ((second, series), histogram) in &self.intervals {
            let tag = Tag::new(series).ok_or_else(|| fail(series, &"not allowed as a tag"))?;
            writer
                .write_histogram(histogram, Duration::from_secs(*second), Duration::from_secs(1), Some(tag))
                .map_err(|e| fail(series, &e))?;
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    use proptest::prelude::*;

    proptest! {
        // Reading every rank walks the whole histogram each time.
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn ranks_are_those_of_the_sorted_samples_within_a_thousandth(
            mut s in prop::collection::vec(0u64..10_000_000_000_000, 1..80)
        ) {
            let d: Distribution = s.iter().copied().collect();
            s.sort_unstable();
            for (i, exact) in s.iter().enumerate() {
                let got = d.at_rank(i as u64 + 1);
                prop_assert!(got >= *exact && got as f64 <= *exact as f64 * 1.001 + 1.0, "{got} for {exact}");
                prop_assert!(got <= s[s.len() - 1]);
            }
        }
    }

    #[test]
    fn any_time_can_be_recorded() {
        let d: Distribution = [0, 1, u64::MAX].into_iter().collect();
        assert_eq!((d.least(), d.most(), d.n()), (Some(0), Some(u64::MAX), 3));
        assert!(d.at_rank(3) >= u64::MAX - 1, "{}", d.at_rank(3));
    }

    #[test]
    fn the_log_is_one_that_its_own_reader_reads() {
        let mut log = IntervalLog::default();
        for (series, at_ms, ns) in
            [("1x.start", 100, 5_000), ("1x.start", 900, 7_000), ("1x.update", 1_500, 9)]
        {
            log.record(series, at_ms * 1_000_000, ns);
        }
        let bytes = log.write(1_700_000_000_000, "a test").unwrap();
        let mut read = Vec::new();
        for entry in IntervalLogIterator::new(&bytes) {
            match entry.unwrap() {
                LogEntry::Interval(i) => {
                    let raw = base64(i.encoded_histogram());
                    let h: Histogram<u64> = Deserializer::new().deserialize(&mut raw.as_slice()).unwrap();
                    read.push((
                        i.tag().unwrap().as_str().to_owned(),
                        i.start_timestamp().as_secs(),
                        h.len(),
                        h.max(),
                    ));
                }
                LogEntry::BaseTime(t) => assert_eq!(t.as_secs(), 1_700_000_000),
                LogEntry::StartTime(_) => {}
            }
        }
        assert_eq!(read[0].0, "1x.start");
        assert_eq!((read[0].1, read[0].2), (0, 2));
        assert!(read[0].3.abs_diff(7_000) <= 7, "three digits");
        assert_eq!((read[1].0.as_str(), read[1].1, read[1].2, read[1].3), ("1x.update", 1, 1, 9));
    }

    /// Base64 without a crate for it: a test reads two lines of it.
    fn base64(text: &str) -> Vec<u8> {
        let digit = |c| {
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".iter().position(|d| *d == c)
        };
        let digits: Vec<usize> = text.bytes().filter_map(digit).collect();
        let (mut bits, mut count, mut out) = (0usize, 0, Vec::new());
        for d in digits {
            bits = (bits << 6 | d) & 0xFFFF;
            count += 6;
            if count >= 8 {
                count -= 8;
                out.push((bits >> count) as u8);
            }
        }
        out
    }
}
