//! Seeded draws: a number that depends on nothing but the seed and the name of what it is drawn for.
//!
//! There is no stream and so no order: adding a task or a level changes no other draw.

use shakedown_chaos::draw;

/// A uniform number in [0, 1) for `key` under `seed`.
pub fn uniform(seed: u64, key: &str) -> f64 {
    let hash = draw::bits(seed, key);
    // The 53 bits that a double holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let numerator = (hash >> 11) as f64;
    numerator / 9_007_199_254_740_992.0
}

/// A number in [0, 1) that is the mean of two uniform ones: most values near the middle (a triangle).
pub fn triangular(seed: u64, key: &str) -> f64 {
    f64::midpoint(uniform(seed, &format!("{key}/a")), uniform(seed, &format!("{key}/b")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_seed_and_key_alone() {
        assert_eq!(uniform(1, "3/t08").to_bits(), uniform(1, "3/t08").to_bits());
        assert_ne!(uniform(1, "3/t08").to_bits(), uniform(2, "3/t08").to_bits());
        assert_ne!(uniform(1, "3/t08").to_bits(), uniform(1, "4/t08").to_bits());
    }

    #[test]
    fn draws_fill_the_interval_evenly() {
        let draws: Vec<f64> = (0..10_000).map(|index| uniform(7, &index.to_string())).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        for tenth in 0..10u32 {
            let low = f64::from(tenth) / 10.0;
            let inside = draws.iter().filter(|draw| (low..low + 0.1).contains(*draw)).count();
            assert!((850..1150).contains(&inside), "{inside} of 10,000 in [{low}, +0.1)");
        }
        let mean: f64 = (0..10_000).map(|index| triangular(7, &index.to_string())).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }
}
