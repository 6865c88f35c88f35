//! Seeded draws: a number that depends on nothing but the seed and the name of what it is drawn for.
//!
//! There is no stream and so no order: adding a fault changes no draw of another one.

use crate::proxy::dice::Dice;

/// 64 uniform bits for `key` under `seed`.
#[must_use]
pub fn bits(seed: u64, key: &str) -> u64 {
    key.bytes().fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)))
}

/// A uniform number in `from..=to` for `key` under `seed`.
#[must_use]
pub fn between(seed: u64, key: &str, from: u64, to: u64) -> u64 {
    let span = u128::from(to.saturating_sub(from)) + 1;
    // Multiply and shift: every value is as likely as any other to 2⁻⁶⁴ of the span.
    let offset = (u128::from(bits(seed, key)) * span) >> 64;
    from + u64::try_from(offset).unwrap_or(u64::MAX)
}

/// One step of the generator of [`Dice`].
fn mix(state: u64) -> u64 {
    Dice::new(state).draw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_seed_and_key_alone_and_stays_in_its_range() {
        assert_eq!(bits(1, "kill/1"), bits(1, "kill/1"));
        assert_ne!(bits(1, "kill/1"), bits(2, "kill/1"));
        assert_ne!(bits(1, "kill/1"), bits(1, "kill/2"));
        let rolls: Vec<u64> = (0..6000).map(|roll| between(7, &roll.to_string(), 1, 6)).collect();
        for face in 1..=6 {
            let count = rolls.iter().filter(|roll| **roll == face).count();
            assert!((850..1150).contains(&count), "{count} of 6,000 rolls show {face}");
        }
        assert!(rolls.iter().all(|roll| (1..=6).contains(roll)));
        assert_eq!(between(7, "one", 4, 4), 4);
    }
}
