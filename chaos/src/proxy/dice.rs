//! Seeded luck: what a link draws depends on the seed, the proxy, the connection, the direction and the toxic, and on
//! nothing that anybody else draws.

/// A stream of random numbers: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice of somebody's own: equal for equal words, unrelated for others.
    #[must_use]
    pub fn of(&self, words: &[&[u8]]) -> Self {
        // FNV-1a over the words and their lengths, then one step of the generator to spread it.
        let mut hash = self.0 ^ 0xcbf2_9ce4_8422_2325;
        for word in words {
            for byte in word.len().to_le_bytes().iter().chain(*word) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        Self(Self(hash).draw())
    }

    /// 64 random bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number from 0 up to, without, 1.
    pub fn share(&mut self) -> f64 {
        // 53 bits are what a double holds.
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
        let bits = (self.draw() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let span = u128::from(high.saturating_sub(low)) + 1;
        // Multiply and shift (Lemire): the bias is below 2^-64 of the span.
        low + u64::try_from((u128::from(self.draw()) * span) >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_words_give_equal_dice_and_others_do_not() {
        let seed = Dice::new(7);
        assert_eq!(seed.of(&[b"a", b"b"]).draw(), seed.of(&[b"a", b"b"]).draw());
        assert_ne!(seed.of(&[b"a", b"b"]).draw(), seed.of(&[b"ab"]).draw());
        assert_ne!(seed.of(&[b"a"]).draw(), Dice::new(8).of(&[b"a"]).draw());
    }

    #[test]
    fn draws_cover_their_range_evenly() {
        let mut dice = Dice::new(1);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[usize::try_from(dice.between(3, 9) - 3).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        let mean = (0..10_000).map(|_| dice.share()).sum::<f64>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
    }
}
