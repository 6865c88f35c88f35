//! What a set of samples allows to be said: percentiles with their interval, or why there is none.
//!
//! The intervals need no assumption on the shape of the distribution. Of n independent samples the number that
//! lie below the true q-quantile is Binomial(n, q), so the samples at two ranks enclose the quantile with the
//! binomial mass between them (David and Nagaraja, *Order Statistics*, 3rd ed., section 7.1). The mass is summed
//! exactly, not taken from a normal approximation, which is off where it matters: at the tail.

/// Of 1, how often an interval may miss on one side.
const MISS_PER_SIDE: f64 = 0.025;
/// Of 1, how often a one-sided bound may miss.
const MISS_ONE_SIDED: f64 = 0.05;

/// A figure with its 95 % confidence interval, in the unit of the samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The figure; `None` when there are too few samples for one.
    pub value: Option<f64>,
    /// Lower end.
    pub lo: Option<f64>,
    /// Upper end.
    pub hi: Option<f64>,
    /// Samples behind it.
    pub n: u64,
    /// How it was got.
    pub method: &'static str,
    /// Why there is no value.
    pub missing: Option<String>,
}

/// Ranks (from 1) between which the true quantile lies with 95 % confidence; `None` where no rank bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranks {
    /// Rank of the lower end.
    pub lo: Option<u64>,
    /// Rank of the upper end.
    pub hi: Option<u64>,
}

/// The least number of samples whose maximum bounds the q-quantile from above with 95 % confidence (or, for q
/// under one half, whose minimum bounds it from below): the least n with q^n ≤ 0.05.
pub fn least_samples(q: f64) -> u64 {
    let tail = q.max(1.0 - q);
    let n = (MISS_ONE_SIDED.ln() / tail.ln()).ceil();
    // `q` is above 0 and below 1, so n is a small positive number.
    n as u64
}

/// The two-sided ranks of the q-quantile of n samples.
pub fn ranks(n: u64, q: f64) -> Ranks {
    // P(fewer than l samples below the quantile) may be at most 2.5 %, and the mirror image above.
    let below = tail_length(n, q);
    let above = tail_length(n, 1.0 - q);
    Ranks { lo: (below > 0).then_some(below), hi: (above > 0).then(|| n + 1 - above) }
}

/// The largest l ≤ n with P(Binomial(n, q) < l) ≤ 2.5 %.
fn tail_length(n: u64, q: f64) -> u64 {
    let (n_f, odds) = (n as f64, q.ln() - (1.0 - q).ln());
    let first = negligible_below(n, q);
    let mut log_mass = log_mass(n, first, q);
    let mut sum = 0.0;
    for k in first..n {
        sum += log_mass.exp();
        if sum > MISS_PER_SIDE {
            return k;
        }
        let k = k as f64;
        log_mass += ((n_f - k) / (k + 1.0)).ln() + odds;
    }
    n
}

/// The largest count below which Binomial(n, q) has a mass of at most e⁻³⁶, by Hoeffding's bound (*Journal of the
/// American Statistical Association* 58, 1963): with a million samples, summing from 0 up would take its time.
fn negligible_below(n: u64, q: f64) -> u64 {
    let n = n as f64;
    (n * q - (18.0 * n).sqrt()).max(0.0) as u64
}

/// The logarithm of the mass of Binomial(n, q) at k.
fn log_mass(n: u64, k: u64, q: f64) -> f64 {
    let (n_f, k_f) = (n as f64, k as f64);
    let ways = if k == 0 { 0.0 } else { log_factorial(n) - log_factorial(k) - log_factorial(n - k) };
    ways + k_f * q.ln() + (n_f - k_f) * (1.0 - q).ln()
}

/// ln n!, by Stirling's series where it is exact to the last digits.
fn log_factorial(n: u64) -> f64 {
    if n < 64 {
        return (2..=n).map(|i| (i as f64).ln()).sum();
    }
    let x = n as f64;
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1_260.0 * x.powi(5));
    (x + 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series
}

/// The q-quantile of n samples, of which `at_rank` gives the one at a rank from 1 to n in ascending order.
///
/// Where the two-sided interval has no end but the one-sided bound holds, the extreme sample is that end.
pub fn percentile(n: u64, q: f64, at_rank: impl Fn(u64) -> f64) -> Estimate {
    let needs = least_samples(q);
    if n < needs {
        let missing = Some(format!("needs {needs}"));
        return Estimate { value: None, lo: None, hi: None, n, method: "order statistic", missing };
    }
    let ranks = ranks(n, q);
    let one_sided = |mass: f64| mass.powf(n as f64) <= MISS_ONE_SIDED;
    let lo = ranks.lo.or_else(|| one_sided(1.0 - q).then_some(1));
    let hi = ranks.hi.or_else(|| one_sided(q).then_some(n));
    let method = if ranks.hi.is_none() || ranks.lo.is_none() {
        "order statistic, bound one-sided"
    } else {
        "order statistic"
    };
    Estimate {
        value: Some(at_rank(nearest_rank(n, q))),
        lo: lo.map(&at_rank),
        hi: hi.map(&at_rank),
        n,
        method,
        missing: None,
    }
}

/// The rank of the q-quantile by the nearest-rank definition: the least one with at least q·n samples up to it.
pub fn nearest_rank(n: u64, q: f64) -> u64 {
    // The tolerance keeps 0.95 × 100 = 94.99999999999999 from becoming another rank.
    let rank = (q * n as f64 - 1e-9).ceil() as u64;
    rank.clamp(1, n.max(1))
}

/// The median of values in any order, with its interval.
pub fn median(values: &[f64]) -> Estimate {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    percentile(sorted.len() as u64, 0.5, |rank| sorted[rank as usize - 1])
}

/// The median of `after / before` over pairs, less 1: by which share the paired figure grew.
///
/// The pairs share what made them long (the same workflow, the same drawn durations), so their ratio is free of it.
pub fn median_growth(pairs: &[(f64, f64)]) -> Estimate {
    let growth: Vec<f64> =
        pairs.iter().filter(|(before, _)| *before > 0.0).map(|(b, a)| a / b - 1.0).collect();
    Estimate { method: "median of paired ratios", ..median(&growth) }
}

/// The 95 % interval of a share, `part` of `whole`, by Wilson's score (*Journal of the American Statistical Association*
/// 22, 1927): unlike the normal approximation it stays inside 0 to 1 and has a width at 0 and at 1.
pub fn wilson(part: u64, whole: u64) -> Option<(f64, f64)> {
    const Z: f64 = 1.959_964;
    if whole == 0 {
        return None;
    }
    let (n, p) = (whole as f64, part as f64 / whole as f64);
    let scale = 1.0 + Z * Z / n;
    let middle = (p + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some(((middle - half).max(0.0), (middle + half).min(1.0)))
}

/// Two-sided 95 % quantiles of Student's t with 1, 2, … degrees of freedom.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// The mean of some values, and half of its 95 % interval by Student's t; of one value there is no interval.
pub fn mean_interval(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n.max(1) as f64;
    let half = (n > 1).then(|| {
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        // Past 30 degrees of freedom it is the normal one to within 4 %, and narrower: the wider one is kept.
        STUDENT[(n - 2).min(STUDENT.len() - 1)] * (squares / (n - 1) as f64).sqrt() / (n as f64).sqrt()
    });
    (mean, half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// (n, quantile, lower rank, upper rank), computed outside of this code.
    const KNOWN: [(u64, f64, u64, Option<u64>); 18] = [
        (10, 0.50, 2, Some(9)),
        (10, 0.95, 8, None),
        (10, 0.99, 9, None),
        (30, 0.50, 10, Some(21)),
        (30, 0.95, 26, None),
        (100, 0.50, 40, Some(61)),
        (100, 0.95, 90, Some(100)),
        (100, 0.99, 97, None),
        (300, 0.50, 133, Some(168)),
        (300, 0.95, 277, Some(293)),
        (300, 0.99, 293, None),
        (500, 0.95, 465, Some(485)),
        (500, 0.99, 490, Some(500)),
        (1_000, 0.50, 469, Some(532)),
        (1_000, 0.95, 936, Some(964)),
        (1_000, 0.99, 983, Some(997)),
        (10_000, 0.95, 9_457, Some(9_543)),
        (10_000, 0.99, 9_880, Some(9_920)),
    ];

    #[test]
    fn ranks_are_the_known_ones() {
        for (n, q, lo, hi) in KNOWN {
            assert_eq!(ranks(n, q), Ranks { lo: Some(lo), hi }, "n {n}, q {q}");
        }
    }

    /// The same ranks by summing every mass from 0 up.
    fn plain_tail_length(n: u64, q: f64) -> u64 {
        let (mut log_mass, mut sum) = (n as f64 * (1.0 - q).ln(), 0.0);
        for k in 0..n {
            sum += log_mass.exp();
            if sum > MISS_PER_SIDE {
                return k;
            }
            log_mass += ((n - k) as f64 / (k as f64 + 1.0)).ln() + q.ln() - (1.0 - q).ln();
        }
        n
    }

    #[test]
    fn leaving_the_negligible_masses_out_changes_no_rank() {
        for n in [1, 5, 59, 73, 299, 1_320, 9_999, 50_000, 1_000_000] {
            for q in [0.001, 0.01, 0.05, 0.5, 0.88, 0.95, 0.99, 0.999, 0.999_9] {
                assert_eq!(tail_length(n, q), plain_tail_length(n, q), "n {n}, q {q}");
            }
        }
        assert!(negligible_below(1_000_000, 0.5) > 495_000, "it does leave most of them out");
    }

    #[test]
    fn least_samples_are_the_known_ones() {
        let needs: Vec<u64> = [0.5, 0.9, 0.95, 0.99, 0.999].map(least_samples).to_vec();
        assert_eq!(needs, [5, 29, 59, 299, 2_995]);
    }

    #[test]
    fn too_few_samples_give_no_value_and_say_how_many_it_takes() {
        let e = percentile(58, 0.95, |r| r as f64);
        assert_eq!((e.value, e.hi, e.missing.as_deref()), (None, None, Some("needs 59")));
        let e = percentile(59, 0.95, |r| r as f64);
        assert_eq!((e.value, e.hi), (Some(57.0), Some(59.0)), "the maximum is the one-sided bound");
        assert_eq!(e.method, "order statistic, bound one-sided");
    }

    #[test]
    fn shares_and_means_have_the_known_intervals() {
        // Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (part, whole, lo, hi) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let (l, h) = wilson(part, whole).unwrap();
            assert!((l - lo).abs() < 1e-4 && (h - hi).abs() < 1e-4, "{part} of {whole}: {l} {h}");
        }
        assert_eq!(wilson(0, 0), None);
        let (mean, half) = mean_interval(&[1.0, 2.0, 3.0]);
        assert!((mean - 2.0).abs() < 1e-12 && (half.unwrap() - 4.303 / 3f64.sqrt()).abs() < 1e-9);
        assert_eq!(mean_interval(&[4.0]), (4.0, None));
    }

    #[test]
    fn paired_growth_is_free_of_what_the_pairs_share() {
        let pairs: Vec<(f64, f64)> = (1..=6).map(|i| (f64::from(i) * 100.0, f64::from(i) * 103.0)).collect();
        let e = median_growth(&pairs);
        assert!((e.value.unwrap() - 0.03).abs() < 1e-9);
        assert!((e.hi.unwrap() - e.lo.unwrap()).abs() < 1e-9, "{e:?}");
        assert_eq!(median_growth(&pairs[..4]).missing.as_deref(), Some("needs 5"));
    }

    /// Binomial masses by Pascal's rule, as unlike the code under test as can be.
    fn masses(n: u64, q: f64) -> Vec<f64> {
        let mut row = vec![1.0];
        for _ in 0..n {
            let mut next = vec![0.0; row.len() + 1];
            for (k, mass) in row.iter().enumerate() {
                next[k] += mass * (1.0 - q);
                next[k + 1] += mass * q;
            }
            row = next;
        }
        row
    }

    /// A generator for simulations: Numerical Recipes' 64-bit LCG, upper bits.
    fn uniform(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 11) as f64 / (1u64 << 53) as f64
    }

    #[test]
    fn simulated_intervals_cover_the_true_quantile() {
        let mut state = 7;
        for (n, q) in [(100_u64, 0.5), (100, 0.95), (500, 0.99)] {
            let covered = (0..2_000)
                .filter(|_| {
                    let mut s: Vec<f64> = (0..n).map(|_| uniform(&mut state)).collect();
                    s.sort_by(f64::total_cmp);
                    let e = percentile(n, q, |r| s[r as usize - 1]);
                    e.lo.unwrap() <= q && q <= e.hi.unwrap()
                })
                .count();
            // Nominal is 95 % and the ranks are whole numbers, so it is that or more; 4 sigma of 2,000 is 2 %.
            assert!((1_860..2_000).contains(&covered), "n {n}, q {q}: {covered} of 2000");
        }
    }

    proptest! {
        #[test]
        fn two_sided_ranks_hold_95_percent_and_are_the_tightest(n in 1u64..220, q in 0.05f64..0.995) {
            let masses = masses(n, q);
            let Ranks { lo, hi } = ranks(n, q);
            let below = |l: u64| masses[..l as usize].iter().sum::<f64>();
            let above = |u: u64| masses[u as usize..].iter().sum::<f64>();
            let (l, u) = (lo.unwrap_or(0), hi.unwrap_or(n + 1));
            prop_assert!(below(l) <= 0.025 + 1e-9);
            prop_assert!(l == n || below(l + 1) > 0.025 - 1e-9, "a higher rank would do");
            prop_assert!(u == n + 1 || above(u) <= 0.025 + 1e-9);
            prop_assert!(u == 1 || above(u - 1) > 0.025 - 1e-9, "a lower rank would do");
        }

        #[test]
        fn a_value_lies_in_its_interval_and_percentiles_do_not_cross(
            mut s in prop::collection::vec(0.0f64..1e6, 59..400)
        ) {
            s.sort_by(f64::total_cmp);
            let at = |q| percentile(s.len() as u64, q, |r| s[r as usize - 1]);
            let (p50, p95) = (at(0.5), at(0.95));
            for e in [&p50, &p95] {
                prop_assert!(e.lo.unwrap() <= e.value.unwrap() && e.value.unwrap() <= e.hi.unwrap());
            }
            prop_assert!(p50.value.unwrap() <= p95.value.unwrap());
        }

        #[test]
        fn a_percentile_exists_exactly_from_its_least_n_on(q in 0.5f64..0.999) {
            let n = least_samples(q);
            prop_assert!(percentile(n, q, |r| r as f64).hi.is_some());
            prop_assert!(q.powf(n as f64) <= 0.05 + 1e-12 && q.powf(n as f64 - 1.0) > 0.05 - 1e-12);
            prop_assert!(percentile(n - 1, q, |r| r as f64).value.is_none());
        }
    }
}
