//! Rate limits: how many tasks of a type were handed out in the span that its definition names.
//!
//! It follows from the events, but not from the aggregates: what ended leaves them. So the first span after a start
//! counts only what the journal still tells.

use super::definition::TaskDef;
use std::collections::{BTreeMap, VecDeque};

/// Hand-outs of the types that are limited, oldest first: when, and how many.
#[derive(Debug, Default)]
pub struct Rates {
    kinds: BTreeMap<String, VecDeque<(u64, usize)>>,
}

impl Rates {
    /// Notes that a task of a type was handed out.
    pub fn note(&mut self, def: &TaskDef, at: u64) {
        let Some((_, span_ms)) = def.rate() else { return };
        if !self.kinds.contains_key(&def.name) {
            self.kinds.insert(def.name.clone(), VecDeque::new());
        }
        let Some(handed) = self.kinds.get_mut(&def.name) else { return };
        while handed.front().is_some_and(|(then, _)| then + span_ms <= at) {
            handed.pop_front();
        }
        match handed.back_mut() {
            Some((then, count)) if *then == at => *count += 1,
            _ => handed.push_back((at, 1)),
        }
    }

    /// How many more may be handed out at `now`.
    #[must_use]
    pub fn room(&self, def: &TaskDef, now: u64) -> usize {
        let Some((limit, span_ms)) = def.rate() else { return usize::MAX };
        let handed = self.kinds.get(&def.name).into_iter().flatten();
        let recent: usize = handed.filter(|(at, _)| at + span_ms > now).map(|(_, count)| count).sum();
        limit.saturating_sub(recent)
    }

    /// When one may be handed out again; 0 = at once.
    #[must_use]
    pub fn free_at(&self, def: &TaskDef, now: u64) -> u64 {
        let Some((limit, span_ms)) = def.rate() else { return 0 };
        let handed = self.kinds.get(&def.name).into_iter().flatten();
        let recent: Vec<_> = handed.filter(|(at, _)| at + span_ms > now).collect();
        let mut count: usize = recent.iter().map(|(_, count)| count).sum();
        let mut free_at = 0;
        for (at, gone) in recent {
            if count < limit {
                break;
            }
            count -= gone;
            free_at = at + span_ms;
        }
        free_at
    }
}
