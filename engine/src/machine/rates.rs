//! Rate limits: how many tasks of a type were handed out in the span that its definition names.
//!
//! It follows from the events, but not from the aggregates: what ended leaves them. So the first span after a start
//! counts only what the journal still tells.

use super::definition::TaskDef;
use std::collections::{BTreeMap, VecDeque};

/// Hand-outs of the types that are limited.
#[derive(Debug, Default)]
pub struct Rates {
    kinds: BTreeMap<String, Handed>,
}

/// Hand-outs of a type.
#[derive(Debug, Default)]
struct Handed {
    /// Oldest first: when, and how many until then, since the counting began. A limit may be a million a day, and is
    /// asked for at every poll: sums are kept, not made.
    until: VecDeque<(u64, u64)>,
    /// How many are not listed any more.
    gone: u64,
}

impl Handed {
    /// How many were handed out so far.
    fn all(&self) -> u64 {
        self.until.back().map_or(self.gone, |(_, count)| *count)
    }

    /// How many of them less than a span before `now`.
    fn recent(&self, span_ms: u64, now: u64) -> u64 {
        let old = self.until.partition_point(|(at, _)| at + span_ms <= now);
        let before = old.checked_sub(1).and_then(|last| self.until.get(last));
        self.all() - before.map_or(self.gone, |(_, count)| *count)
    }
}

impl Rates {
    /// Notes that a task of a type was handed out.
    pub fn note(&mut self, def: &TaskDef, at: u64) {
        let Some((_, span_ms)) = def.rate() else { return };
        if !self.kinds.contains_key(&def.name) {
            self.kinds.insert(def.name.clone(), Handed::default());
        }
        let Some(handed) = self.kinds.get_mut(&def.name) else { return };
        while let Some((_, count)) = handed.until.front().filter(|(then, _)| then + span_ms <= at) {
            handed.gone = *count;
            handed.until.pop_front();
        }
        let count = handed.all() + 1;
        match handed.until.back_mut() {
            Some((then, until)) if *then == at => *until = count,
            _ => handed.until.push_back((at, count)),
        }
    }

    /// How many more may be handed out at `now`.
    #[must_use]
    pub fn room(&self, def: &TaskDef, now: u64) -> usize {
        let Some((limit, span_ms)) = def.rate() else { return usize::MAX };
        let recent = self.kinds.get(&def.name).map_or(0, |handed| handed.recent(span_ms, now));
        limit.saturating_sub(usize::try_from(recent).unwrap_or(usize::MAX))
    }

    /// When one may be handed out again; 0 = at once.
    #[must_use]
    pub fn free_at(&self, def: &TaskDef, now: u64) -> u64 {
        let Some((limit, span_ms)) = def.rate() else { return 0 };
        let Some(handed) = self.kinds.get(&def.name) else { return 0 };
        if handed.recent(span_ms, now) < limit as u64 {
            return 0;
        }
        // When this one is old, fewer than the limit are not.
        let last = handed.until.partition_point(|(_, count)| *count <= handed.all() - limit as u64);
        handed.until.get(last).map_or(0, |(at, _)| at + span_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::definition::Seconds;
    use super::*;

    fn limited(limit: i64, seconds: i64) -> TaskDef {
        let rate_limit_frequency_in_seconds = Seconds::whole(seconds);
        let name = "a".to_owned();
        TaskDef {
            name,
            rate_limit_per_frequency: limit,
            rate_limit_frequency_in_seconds,
            ..TaskDef::default()
        }
    }

    #[test]
    fn room_and_the_wait_for_it_follow_from_the_last_span() {
        let (def, mut rates) = (limited(3, 1), Rates::default());
        let mut handed: Vec<u64> = Vec::new();
        for now in (0..40_000).step_by(37) {
            let recent: Vec<u64> = handed.iter().copied().filter(|at| at + 1000 > now).collect();
            assert_eq!(rates.room(&def, now), 3_usize.saturating_sub(recent.len()), "at {now}");
            let free_at = if recent.len() < 3 { 0 } else { recent[recent.len() - 3] + 1000 };
            assert_eq!(rates.free_at(&def, now), free_at, "at {now}");
            // More than the limit now and then: it may have been lowered. Then long nothing.
            let burst = if now % 5 == 0 { 4 } else { usize::from(now % 9000 < 5000) };
            for _ in 0..burst {
                rates.note(&def, now);
                handed.push(now);
            }
        }
    }

    #[test]
    fn a_large_limit_is_no_work_at_a_poll() {
        let (def, mut rates) = (limited(1_000_000, 86_400), Rates::default());
        (0..1_000_000).for_each(|at| rates.note(&def, at));
        // Adding up a million hand-outs at each of these polls would take minutes.
        assert!((1_000_000..1_200_000).all(|now| rates.room(&def, now) == 0));
        assert_eq!(rates.free_at(&def, 1_000_000), 86_400_000);
    }
}
