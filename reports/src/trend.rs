//! Whether a figure drifts: the slope of its values over time, with an interval.
//!
//! The slope is the median of the slopes of all pairs of points (Theil 1950), its interval the order statistics of
//! those slopes by Kendall's statistic (Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA
//! 63, 1968, formula 2.6; normal approximation, which from 10 points on is close). It needs no assumption on the shape of the noise, and
//! one wild point in ten doesn't move it. It does assume that the noise of one point says nothing of the next, so
//! what is sampled densely is first brought to [`POINTS`] means.

use crate::statistics::Estimate;

/// Points that a dense series is brought to: enough for a narrow interval, few enough to be nearly independent.
pub const POINTS: usize = 60;
/// Fewer points than this give no slope: the normal approximation of the interval would be off.
pub const LEAST_POINTS: usize = 10;
/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.959_964;

/// The slope of `points` (time, value) in values per unit of time, with its 95 % interval.
pub fn slope(points: &[(f64, f64)]) -> Estimate {
    let points = thinned(points);
    let n = points.len();
    let missing = |needs: String| Estimate {
        value: None,
        lo: None,
        hi: None,
        n: n as u64,
        method: "median of pairwise slopes",
        missing: Some(needs),
    };
    if n < LEAST_POINTS {
        return missing(format!("needs {LEAST_POINTS}"));
    }
    let mut slopes: Vec<f64> = Vec::with_capacity(n * (n - 1) / 2);
    for (i, (x, y)) in points.iter().enumerate() {
        let later = points[i + 1..].iter().filter(|(other, _)| other > x);
        slopes.extend(later.map(|(other_x, other_y)| (other_y - y) / (other_x - x)));
    }
    if slopes.is_empty() {
        return missing("needs points at different times".to_owned());
    }
    slopes.sort_by(f64::total_cmp);
    let pairs = slopes.len() as f64;
    let n_f = n as f64;
    let half_width = Z * (n_f * (n_f - 1.0) * (2.0 * n_f + 5.0) / 18.0).sqrt() / 2.0;
    let at = |position: f64| slopes[(position.max(0.0) as usize).min(slopes.len() - 1)];
    Estimate {
        value: Some(middle(&slopes)),
        lo: Some(at((pairs / 2.0 - half_width).floor() - 1.0)),
        hi: Some(at((pairs / 2.0 + half_width).ceil())),
        missing: None,
        ..missing(String::new())
    }
}

/// At most [`POINTS`] means of neighbours in time.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let groups = sorted.len().min(POINTS);
    let mean = |group: &[(f64, f64)]| {
        let (x, y) = group.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        (x / group.len() as f64, y / group.len() as f64)
    };
    (0..groups).map(|g| mean(&sorted[g * sorted.len() / groups..(g + 1) * sorted.len() / groups])).collect()
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator for simulations: Numerical Recipes' 64-bit LCG, upper bits.
    fn uniform(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 11) as f64 / (1u64 << 53) as f64
    }

    fn noisy(slope: f64, n: u32, state: &mut u64) -> Vec<(f64, f64)> {
        (0..n).map(|i| (f64::from(i), slope * f64::from(i) + 10.0 * uniform(state))).collect()
    }

    #[test]
    fn a_straight_line_has_its_slope_also_with_a_wild_point() {
        let mut line: Vec<(f64, f64)> = (0..20).map(|i| (f64::from(i), 3.0 * f64::from(i))).collect();
        line[7].1 = 1e9;
        let e = slope(&line);
        assert!((e.value.unwrap() - 3.0).abs() < 1e-9, "{e:?}");
        assert!(e.lo.unwrap() <= 3.0 && e.hi.unwrap() >= 3.0);
    }

    #[test]
    fn too_few_points_or_one_instant_have_no_slope() {
        assert_eq!(slope(&[(0.0, 1.0); 9]).missing.as_deref(), Some("needs 10"));
        assert_eq!(slope(&[(0.0, 1.0); 10]).value, None);
        assert_eq!(slope(&[]).n, 0);
    }

    #[test]
    fn the_interval_covers_the_true_slope_19_times_in_20() {
        let mut state = 11;
        for (n, per_point) in [(10, 1), (40, 1), (600, 10)] {
            let covered = (0..1_000)
                .filter(|_| {
                    let e = slope(&noisy(0.5, n, &mut state));
                    e.lo.unwrap() <= 0.5 && 0.5 <= e.hi.unwrap()
                })
                .count();
            // Nominal 95 %; 4 sigma of 1,000 is 2.8 %.
            assert!((922..=995).contains(&covered), "{n} points, {per_point} a mean: {covered} of 1000");
        }
    }

    #[test]
    fn a_drift_that_is_there_is_told_from_none() {
        let mut state = 5;
        let drifting = slope(&noisy(0.2, 300, &mut state));
        assert!(drifting.lo.unwrap() > 0.0, "{drifting:?}");
        let flat = slope(&noisy(0.0, 300, &mut state));
        assert!(flat.lo.unwrap() < 0.0 && flat.hi.unwrap() > 0.0, "{flat:?}");
    }
}
