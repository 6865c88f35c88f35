//! A law whose percentiles are known exactly: a base and an exponential part, drawn without luck.

use crate::draw;

/// So long at least, and exponentially distributed beyond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Law {
    /// Least, nanoseconds.
    pub base_ns: f64,
    /// Mean of what comes on top, nanoseconds.
    pub mean_ns: f64,
}

impl Law {
    /// Inverse of the distribution function.
    pub fn quantile_ns(&self, q: f64) -> f64 {
        self.base_ns - self.mean_ns * (1.0 - q).ln()
    }

    /// `n` values, one of each rank: that of rank r is the quantile r/n, so that every percentile whose rank is whole is
    /// the law's own. The largest, whose quantile would be infinite, is that of (n − ½)/n. Seed and key fix the order.
    pub fn values_ns(&self, n: usize, seed: u64, key: &str) -> Vec<u64> {
        let luck = |index: &usize| draw::uniform(seed, &format!("{key}/{index}"));
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| luck(a).total_cmp(&luck(b)));
        let mut values = vec![0; n];
        for (rank, index) in order.into_iter().enumerate() {
            values[index] = self.of_rank(rank + 1, n);
        }
        values
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "thousands of values of some seconds"
    )]
    fn of_rank(&self, rank: usize, n: usize) -> u64 {
        let rank = if rank == n { n as f64 - 0.5 } else { rank as f64 };
        self.quantile_ns(rank / n as f64).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_reports::statistics::nearest_rank;

    const LAW: Law = Law { base_ns: 300e6, mean_ns: 250e6 };

    #[test]
    fn the_percentiles_of_the_values_are_those_of_the_law() {
        let mut values = LAW.values_ns(1000, 1, "answers");
        assert_ne!(values, LAW.values_ns(1000, 2, "answers"), "the seed decides who gets which");
        values.sort_unstable();
        for q in [0.5, 0.95, 0.99] {
            let rank = usize::try_from(nearest_rank(1000, q)).unwrap();
            assert!((values[rank - 1] as f64 - LAW.quantile_ns(q)).abs() < 1.0, "{q}");
        }
        // −250 ms × ln 0.5 = 173.287 ms.
        assert_eq!(values[499], 473_286_795);
        assert!(values[999] < 2_300_000_000, "the largest is finite");
    }
}
