//! When workflows arrive: an absolute schedule, computed before anything is sent. Pure.
//!
//! Arrivals of a rate that changes evenly over a stage are those of a constant rate of 1 in stretched time: with
//! Λ(t) = ∫ rate, the arrival whose place in that time is x is due at Λ⁻¹(x) (Çinlar, *Introduction to Stochastic
//! Processes*, 1975, theorem 4.7.4). Even arrivals lie at x = 0, 1, 2 …; Poisson ones have exponential gaps.

use crate::draw;
use crate::scenario::load::Arrivals;
use shakedown_reports::plan::Stage;

/// Instants of all arrivals of `stages`, nanoseconds since their beginning, in order. Random gaps are drawn for `key`
/// under `seed`; another stage changes nothing of those before it.
pub fn schedule(stages: &[Stage], arrivals: Arrivals, seed: u64, key: &str) -> Vec<u64> {
    let mut due = Vec::new();
    let mut began_s = 0.0;
    for (number, stage) in stages.iter().enumerate() {
        let offsets = match *stage {
            Stage::Rate { from_per_s, to_per_s, length_s } => {
                let slope = (to_per_s - from_per_s) / length_s;
                let whole = f64::midpoint(from_per_s, to_per_s) * length_s;
                let key = format!("{key}/{number}");
                places(whole, arrivals, seed, &key)
                    .map(|x| inverse(from_per_s, slope, x).min(length_s))
                    .collect()
            }
            Stage::Burst { count } => vec![0.0; usize::try_from(count).unwrap_or(usize::MAX)],
            Stage::Pause { .. } => Vec::new(),
        };
        due.extend(offsets.into_iter().map(|offset_s| nanos(began_s + offset_s)));
        began_s += stage.length_s();
    }
    due
}

/// Places of arrivals below `whole` in the time in which the rate is 1.
fn places(whole: f64, arrivals: Arrivals, seed: u64, key: &str) -> impl Iterator<Item = f64> {
    let mut number = 0u64;
    let mut place = 0.0;
    std::iter::from_fn(move || {
        let first = number == 0;
        place += match arrivals {
            Arrivals::Even if first => 0.0,
            Arrivals::Even => 1.0,
            Arrivals::Poisson => -(1.0 - draw::uniform(seed, &format!("{key}/{number}"))).ln(),
        };
        number += 1;
        // The tolerance keeps 0.1 + 0.2 from making room for one more.
        (place < whole - 1e-9).then_some(place)
    })
}

/// The instant by which `x` arrivals are due when the rate begins at `from` and grows by `slope` a second: the root of
/// slope/2·t² + from·t = x, in the form that loses no digits where the slope is small.
fn inverse(from: f64, slope: f64, x: f64) -> f64 {
    let root = (from * from + 2.0 * slope * x).max(0.0).sqrt();
    if from + root > 0.0 { 2.0 * x / (from + root) } else { 0.0 }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "stages are positive and bounded to months"
)]
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;

    fn rate(from_per_s: f64, to_per_s: f64, length_s: f64) -> Stage {
        Stage::Rate { from_per_s, to_per_s, length_s }
    }

    #[test]
    fn even_arrivals_lie_where_arithmetic_says() {
        let due = schedule(&[rate(4.0, 4.0, 2.0)], Arrivals::Even, 1, "x");
        assert_eq!(due, [0, S / 4, S / 2, 3 * S / 4, S, 5 * S / 4, 3 * S / 2, 7 * S / 4]);
        // From 0 to 8 a second in 2 s: the n-th arrival is due at √(n / 2).
        let due = schedule(&[rate(0.0, 8.0, 2.0)], Arrivals::Even, 1, "x");
        assert_eq!(due.len(), 8);
        for (n, due) in (0u32..).zip(due) {
            let known = (f64::from(n) / 2.0).sqrt();
            assert!((f64::from(u32::try_from(due / 1_000).unwrap()) / 1e6 - known).abs() < 2e-6, "{n}");
        }
    }

    #[test]
    fn steps_spikes_bursts_and_pauses_follow_each_other() {
        let stages = [
            rate(10.0, 10.0, 1.0),
            Stage::Pause { length_s: 2.0 },
            Stage::Burst { count: 5 },
            rate(2.0, 2.0, 1.0),
        ];
        let due = schedule(&stages, Arrivals::Even, 1, "x");
        assert_eq!(due.len(), 17);
        assert!(due[..10].iter().all(|at| *at < S));
        assert_eq!(due[10..15], [3 * S; 5], "the burst comes after the pause, all at once");
        assert_eq!(due[15..], [3 * S, 3 * S + S / 2]);
    }

    #[test]
    fn poisson_gaps_are_exponential_and_their_number_has_the_variance_of_its_mean() {
        let due = schedule(&[rate(1_000.0, 1_000.0, 20.0)], Arrivals::Poisson, 7, "x");
        let n = due.len() as f64;
        assert!((n - 20_000.0).abs() < 4.0 * 20_000f64.sqrt(), "{n}");
        let gaps: Vec<f64> = due.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9).collect();
        let beyond = |t: f64| gaps.iter().filter(|gap| **gap > t).count() as f64 / gaps.len() as f64;
        for t in [0.0005f64, 0.001, 0.002, 0.004] {
            let known = (-1_000.0 * t).exp();
            assert!((beyond(t) - known).abs() < 0.015, "P(gap > {t}) = {} and should be {known}", beyond(t));
        }
    }

    #[test]
    fn a_poisson_ramp_has_its_arrivals_where_its_rate_is() {
        let due = schedule(&[rate(0.0, 1_000.0, 20.0)], Arrivals::Poisson, 7, "x");
        let in_first_half = due.iter().filter(|at| **at < 10 * S).count() as f64;
        assert!((in_first_half / due.len() as f64 - 0.25).abs() < 0.02, "a quarter of a triangle's area");
    }

    proptest! {
        #[test]
        fn schedules_are_in_order_within_their_stages_and_replay(
            stages in prop::collection::vec((0.0f64..300.0, 0.0f64..300.0, 0.01f64..3.0), 1..4),
            seed: u64,
            even: bool,
        ) {
            let stages: Vec<Stage> = stages.into_iter().map(|(from, to, length)| rate(from, to, length)).collect();
            let arrivals = if even { Arrivals::Even } else { Arrivals::Poisson };
            let due = schedule(&stages, arrivals, seed, "x");
            prop_assert!(due.is_sorted());
            let length_s: f64 = stages.iter().map(Stage::length_s).sum();
            prop_assert!(due.iter().all(|at| *at <= nanos(length_s)));
            prop_assert_eq!(&due, &schedule(&stages, arrivals, seed, "x"));
            // What comes later changes nothing of what came before.
            let first = schedule(&stages[..1], arrivals, seed, "x");
            prop_assert_eq!(&due[..first.len()], &first[..]);
            if even {
                let area: f64 = stages.iter().map(|s| match s {
                    Stage::Rate { from_per_s, to_per_s, length_s } => f64::midpoint(*from_per_s, *to_per_s) * length_s,
                    _ => 0.0,
                }).map(|area| (area - 1e-9).ceil().max(0.0)).sum();
                prop_assert_eq!(due.len() as f64, area);
            }
        }
    }
}
