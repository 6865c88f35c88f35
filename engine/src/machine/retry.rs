//! The delay before a retry.

use super::definition::{RetryLogic, TaskDef};
use super::id::mix;

/// Milliseconds to wait after the failure of attempt `attempt` (from 0), jitter drawn from `seed` included.
///
/// Conductor's formulas: FIXED d; LINEAR d × scale × (n + 1); EXPONENTIAL d × 2^n, the scale not used; then
/// the cap, then a uniform 0..=jitter. Where Conductor's 32 bits overflow, this saturates.
#[must_use]
pub fn delay_ms(def: &TaskDef, attempt: u32, seed: u64) -> u64 {
    let base = def.retry_delay_seconds.ms();
    let scale = u64::try_from(def.backoff_scale_factor).unwrap_or(1);
    let grown = match def.retry_logic {
        RetryLogic::Fixed => base,
        RetryLogic::LinearBackoff => base.saturating_mul(scale).saturating_mul(u64::from(attempt) + 1),
        RetryLogic::ExponentialBackoff => base.saturating_mul(1_u64.checked_shl(attempt).unwrap_or(u64::MAX)),
    };
    // Conductor's ceiling for a delay: 2^31 - 1 seconds.
    let bounded = grown.min(u64::from(i32::MAX.unsigned_abs()) * 1000);
    let capped = def.max_retry_delay_seconds.set_ms().map_or(bounded, |cap| bounded.min(cap));
    let jitter = u64::try_from(def.backoff_jitter_ms).unwrap_or(0);
    if jitter == 0 { capped } else { capped + mix(seed) % (jitter + 1) }
}

#[cfg(test)]
mod tests {
    use super::super::definition::Seconds;
    use super::*;

    fn def(logic: RetryLogic, scale: i64, cap_s: i64) -> TaskDef {
        TaskDef {
            retry_logic: logic,
            retry_delay_seconds: Seconds::whole(60),
            backoff_scale_factor: scale,
            max_retry_delay_seconds: Seconds::whole(cap_s),
            ..TaskDef::default()
        }
    }

    fn delays(def: &TaskDef) -> Vec<u64> {
        (0..3).map(|attempt| delay_ms(def, attempt, 1) / 1000).collect()
    }

    #[test]
    fn bt_30_delays_follow_the_logic() {
        assert_eq!(delays(&def(RetryLogic::Fixed, 5, 0)), [60, 60, 60]);
        assert_eq!(delays(&def(RetryLogic::LinearBackoff, 2, 0)), [120, 240, 360]);
        assert_eq!(delays(&def(RetryLogic::ExponentialBackoff, 2, 0)), [60, 120, 240]);
        assert_eq!(delays(&def(RetryLogic::ExponentialBackoff, 1, 100)), [60, 100, 100]);
        assert_eq!(delays(&def(RetryLogic::Fixed, 1, 5)), [5, 5, 5], "a cap under the base applies at once");
    }

    #[test]
    fn bt_30_jitter_stays_in_its_range_and_reaches_both_halves() {
        let def = TaskDef { backoff_jitter_ms: 500, ..def(RetryLogic::Fixed, 1, 0) };
        let drawn: Vec<u64> = (0..200).map(|seed| delay_ms(&def, 0, seed) - 60_000).collect();
        assert!(drawn.iter().all(|ms| *ms <= 500));
        assert!(drawn.iter().any(|ms| *ms > 250) && drawn.iter().any(|ms| *ms < 250));
    }

    #[test]
    fn a_huge_attempt_number_saturates() {
        assert_eq!(delay_ms(&def(RetryLogic::ExponentialBackoff, 1, 0), 4_000, 1), 2_147_483_647_000);
    }
}
