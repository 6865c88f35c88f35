//! The steady state before the first fault, and the band around it that figures have to come back into.
//!
//! A limit is the baseline's median and a margin: the largest of four spreads (1.4826 × the median absolute
//! deviation, which is σ for normal noise), of a share or distance that the caller names, and, of counts, of four
//! times the square root of the median, which is σ for arrivals at random. That is the identifier of Hampel
//! (*Journal of the American Statistical Association* 69, 1974; Davies and Gather, the same, 88, 1993): up to half of
//! the baseline may be wild without moving it, where a mean and a standard deviation are moved by one hiccup. The
//! floors keep a figure that hardly moves from having a band of no width.

use super::flow::{self, Waiting};
use crate::plan::drill::Terms;
use serde::{Deserialize, Serialize};

/// σ of normal noise over its median absolute deviation.
const SIGMA_PER_MAD: f64 = 1.4826;
/// Spreads that a figure may lie off the median.
const SPREADS: f64 = 4.0;
/// What a wait of this length may add to the oldest age and, at the baseline's rate, to the backlog: less matters to
/// nobody who waits for a recovery of seconds.
const FLOOR_S: f64 = 0.1;
/// Completions that a slot of the throughput clock should hold at the baseline's rate.
const PER_SLOT: f64 = 40.0;
/// The shortest and the longest slot, seconds.
const SLOT_S: (f64, f64) = (0.2, 1.0);
/// Fewer pieces of baseline than this give no band.
const LEAST_PIECES: usize = 4;

/// A figure of the baseline and how far it may go.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Median over the baseline.
    pub median: f64,
    /// 1.4826 × median absolute deviation.
    pub spread: f64,
    /// The end of the band: the least for throughput, the most for backlog and age.
    pub bound: f64,
}

/// The steady state of a level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Steady {
    /// Name of the level.
    pub level: String,
    /// Where the baseline begins, real seconds since the start of the run.
    pub from_s: f64,
    /// Where it ends.
    pub to_s: f64,
    /// Accepted completions per second, the mean.
    pub rate_per_s: f64,
    /// Length of a slot of the throughput clock, seconds.
    pub slot_s: f64,
    /// Accepted completions in a slot; `None` when the stream is too thin for the throughput clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_slot: Option<Limit>,
    /// Least accepted completions per second over a settle window.
    pub least_per_s: f64,
    /// Most tasks that waited at once, second by second.
    pub backlog: Limit,
    /// Longest wait, second by second, seconds.
    pub age_s: Limit,
}

/// The steady state between two instants; `Err` says why there is none.
pub(super) fn steady(
    level: &str,
    waiting: &Waiting,
    (from_ns, to_ns): (u64, u64),
    run_began_ns: u64,
    terms: &Terms,
) -> Result<Steady, String> {
    let length_s = to_ns.saturating_sub(from_ns) as f64 / 1e9;
    let seconds = length_s as usize;
    if seconds < LEAST_PIECES {
        return Err(format!(
            "the load ran for only {length_s:.1} s before the first fault, and a steady state needs {LEAST_PIECES} s: \
             let faults begin later"
        ));
    }
    let second = |i: usize| (from_ns + i as u64 * 1_000_000_000, from_ns + (i as u64 + 1) * 1_000_000_000);
    let most = |i: usize| waiting.most(second(i).0, second(i).1);
    let backlogs: Vec<f64> = (0..seconds).map(|i| most(i).0 as f64).collect();
    let ages: Vec<f64> = (0..seconds).map(|i| most(i).1 as f64 / 1e9).collect();
    let rate_per_s = waiting.completed(from_ns, to_ns) as f64 / length_s;
    let slot_s = (PER_SLOT / rate_per_s.max(1e-9)).clamp(SLOT_S.0, SLOT_S.1);
    let slot_ns = (slot_s * 1e9) as u64;
    let slots = (to_ns - from_ns) / slot_ns;
    let counts: Vec<f64> = (0..slots)
        .map(|i| waiting.completed(from_ns + i * slot_ns, from_ns + (i + 1) * slot_ns) as f64)
        .collect();
    let steady_stream = rate_per_s * SLOT_S.1 >= PER_SLOT;
    let expected = rate_per_s * terms.settle_s;
    let least = (expected * (1.0 - terms.throughput_band)).min(expected - SPREADS * expected.sqrt());
    Ok(Steady {
        level: level.to_owned(),
        from_s: flow::seconds(run_began_ns, from_ns),
        to_s: flow::seconds(run_began_ns, to_ns),
        rate_per_s,
        slot_s,
        per_slot: steady_stream.then(|| floor(&counts, terms.throughput_band)),
        least_per_s: (least / terms.settle_s).max(0.0),
        backlog: ceiling(&backlogs, rate_per_s * FLOOR_S),
        age_s: ceiling(&ages, FLOOR_S),
    })
}

/// The band of a figure that may not be too large.
fn ceiling(values: &[f64], floor: f64) -> Limit {
    let (median, spread) = robust(values);
    Limit { median, spread, bound: median + (SPREADS * spread).max(median).max(floor) }
}

/// The band of a count that may not be too small.
fn floor(counts: &[f64], share: f64) -> Limit {
    let (median, spread) = robust(counts);
    let margin = (SPREADS * spread.max(median.sqrt())).max(share * median);
    // A slot with nothing in it is never inside.
    Limit { median, spread, bound: (median - margin).max(1.0) }
}

/// Median, and 1.4826 × median absolute deviation.
fn robust(values: &[f64]) -> (f64, f64) {
    let middle = median(values);
    let off: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    (middle, SIGMA_PER_MAD * median(&off))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hiccup_in_the_baseline_moves_no_limit() {
        let calm = [3.0, 2.0, 3.0, 4.0, 3.0, 3.0, 2.0, 4.0, 3.0, 3.0];
        let mut hiccup = calm;
        hiccup[4] = 900.0;
        assert!((ceiling(&calm, 1.0).bound - ceiling(&hiccup, 1.0).bound).abs() < 3.5);
        let stalled = [0.0, 40.0, 41.0, 39.0, 40.0, 40.0, 42.0, 38.0];
        assert!((floor(&stalled, 0.1).median - 40.0).abs() < 1e-9);
    }

    #[test]
    fn a_figure_that_never_moves_has_a_band_all_the_same() {
        assert!((ceiling(&[0.0; 9], 20.0).bound - 20.0).abs() < 1e-9);
        assert!((ceiling(&[50.0; 9], 20.0).bound - 100.0).abs() < 1e-9, "twice the median");
        // Four times the square root of 40.
        assert!((floor(&[40.0; 9], 0.1).bound - (40.0 - 4.0 * 40.0f64.sqrt())).abs() < 1e-9);
        assert!(
            (floor(&[4_000.0; 9], 0.1).bound - 3_600.0).abs() < 1e-9,
            "the share that the scenario names"
        );
        assert!((floor(&[2.0; 9], 0.1).bound - 1.0).abs() < 1e-9, "an empty slot is never inside");
    }
}
