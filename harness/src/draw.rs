//! Seeded draws: a number that depends on nothing but the seed and the name of what it is drawn for.
//!
//! There is no stream and so no order: adding a task or a level changes no other draw.

/// A uniform number in [0, 1) for `key` under `seed`.
pub fn uniform(seed: u64, key: &str) -> f64 {
    let hash = key.bytes().fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)));
    // The 53 bits that a double holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let numerator = (hash >> 11) as f64;
    numerator / 9_007_199_254_740_992.0
}

/// A number in [0, 1) that is the mean of two uniform ones: most values near the middle (a triangle).
pub fn triangular(seed: u64, key: &str) -> f64 {
    f64::midpoint(uniform(seed, &format!("{key}/a")), uniform(seed, &format!("{key}/b")))
}

/// One step of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
fn mix(state: u64) -> u64 {
    let mut value = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
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
