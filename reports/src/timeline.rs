//! A run cut into stretches of equal length, so that what happened in it can be shown over time however long it was.

use crate::histogram::Distribution;
use crate::joined::Joined;
use crate::statistics;

/// Most stretches: more than that can't be told apart on a page.
const MOST: u64 = 160;
/// Most where a picture shows how a fault came and went.
const MOST_FINE: u64 = 320;
/// Fewest stretches into which a run is cut when wider ones would hold enough samples for a p99.
const FEWEST: u64 = 40;
/// No stretch is shorter, nanoseconds: rates over less are noise.
const SHORTEST_NS: u64 = 200_000_000;

/// Stretches of equal length from the run's start on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    /// The run's start on the harness's clock.
    began_ns: u64,
    /// How much of it is shown.
    length_ns: u64,
    /// Length of a stretch.
    step_ns: u64,
}

impl Timeline {
    /// From the run's start to the end of its last level or, when a level has none, to the last thing that was seen.
    pub fn of(run: &Joined<'_>) -> Self {
        let history = run.history;
        let began_ns = history.header.started_ns;
        let mut end_ns = history.ended.iter().map(|e| e.at_ns).max().unwrap_or(began_ns);
        if run.levels.iter().any(|l| l.ended.is_none()) {
            let seen = history.executions.iter().map(|e| e.update_done_ns);
            let seen = seen.chain(history.starts.iter().map(|s| s.done_ns));
            let seen = seen.chain(history.observed.iter().map(|o| o.done_ns));
            let seen = seen.chain(history.resources.iter().map(|r| r.at_ns));
            end_ns = seen.fold(end_ns, u64::max);
        }
        Self::new(began_ns, end_ns)
    }

    /// From one instant to another, in at most 160 stretches of a round length.
    pub fn new(began_ns: u64, end_ns: u64) -> Self {
        let length_ns = end_ns.saturating_sub(began_ns).max(1);
        Self { began_ns, length_ns, step_ns: step(length_ns, MOST) }
    }

    /// The same in up to twice as many stretches: what a fault did is over in seconds.
    pub fn fine(began_ns: u64, end_ns: u64) -> Self {
        let whole = Self::new(began_ns, end_ns);
        Self { step_ns: step(whole.length_ns, MOST_FINE), ..whole }
    }

    /// The same run in stretches long enough that a quarter of those with any of these samples (their instants) hold
    /// enough for a p99; failing that for a p95, or for a p50; failing that as it is.
    pub fn for_tails(&self, at_ns: impl Iterator<Item = u64>) -> Self {
        self.for_tails_in(at_ns, FEWEST)
    }

    /// The same in as few stretches as are asked for.
    pub fn for_tails_in(&self, at_ns: impl Iterator<Item = u64>, fewest: u64) -> Self {
        let counts = self.counts(at_ns);
        let longest = step(self.length_ns, fewest) / self.step_ns;
        let merges = || (0..8).map(|doubled| 1u64 << doubled).take_while(|m| *m <= longest.max(1));
        let holds = |needed: u64, merge: u64| {
            let filled: Vec<u64> =
                counts.chunks(merge as usize).map(|c| c.iter().sum()).filter(|n| *n > 0).collect();
            filled.iter().filter(|n| **n >= needed).count() * 4 >= filled.len()
        };
        let needed = [0.99, 0.95, 0.5].map(statistics::least_samples);
        let found = needed.into_iter().find_map(|needed| merges().find(|merge| holds(needed, *merge)));
        Self { step_ns: self.step_ns.saturating_mul(found.unwrap_or(1)), ..*self }
    }

    /// How many stretches there are.
    pub fn count(&self) -> usize {
        // At most a few hundred.
        self.length_ns.div_ceil(self.step_ns) as usize
    }

    /// Length of a stretch, seconds.
    pub fn step_s(&self) -> f64 {
        self.step_ns as f64 / 1e9
    }

    /// Length of all of it, seconds.
    pub fn length_s(&self) -> f64 {
        self.length_ns as f64 / 1e9
    }

    /// Seconds since the run's start.
    pub fn seconds(&self, at_ns: u64) -> f64 {
        at_ns.saturating_sub(self.began_ns) as f64 / 1e9
    }

    /// The stretch that an instant lies in, if it is shown.
    pub fn stretch(&self, at_ns: u64) -> Option<usize> {
        let since = at_ns.checked_sub(self.began_ns)?;
        // The last instant belongs to the last stretch.
        (since <= self.length_ns).then(|| (since / self.step_ns) as usize).map(|i| i.min(self.count() - 1))
    }

    /// Beginning, middle and end of a stretch, seconds since the run's start.
    pub fn of_stretch(&self, i: usize) -> [f64; 3] {
        let (from, to) = (i as f64 * self.step_s(), ((i + 1) as f64 * self.step_s()).min(self.length_s()));
        [from, (from + to) / 2.0, to]
    }

    /// Beginning and end of a stretch on the harness's clock, nanoseconds.
    pub fn window_ns(&self, i: usize) -> (u64, u64) {
        let at = |i: usize| self.began_ns.saturating_add(self.step_ns.saturating_mul(i as u64));
        (at(i), at(i + 1).min(self.began_ns.saturating_add(self.length_ns)))
    }

    /// How many instants lie in each stretch.
    pub fn counts(&self, at_ns: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut counts = vec![0; self.count()];
        at_ns.filter_map(|at| self.stretch(at)).for_each(|i| counts[i] += 1);
        counts
    }

    /// How long what ended in each stretch took, from pairs of instant and nanoseconds.
    pub fn distributions(&self, samples: impl Iterator<Item = (u64, u64)>) -> Vec<Distribution> {
        let mut out = vec![Distribution::default(); self.count()];
        for (at_ns, took_ns) in samples {
            if let Some(i) = self.stretch(at_ns) {
                out[i].record(took_ns);
            }
        }
        out
    }

    /// The most that there were at once in each stretch, of things that are there from one instant to another.
    pub fn most_at_once(&self, spans: impl Iterator<Item = (u64, u64)>) -> Vec<u64> {
        // What changes at one instant changes at once: one that ends then and one that begins were not there together.
        let mut changes: Vec<(u64, i64)> =
            spans.filter(|(from, to)| from < to).flat_map(|(from, to)| [(from, 1), (to, -1)]).collect();
        changes.sort_unstable();
        let mut out = vec![0; self.count()];
        let (mut now, mut at) = (0i64, 0usize);
        for at_once in changes.chunk_by(|a, b| a.0 == b.0) {
            let (ns, change) = (at_once[0].0, at_once.iter().map(|c| c.1).sum::<i64>());
            let stretch = if ns < self.began_ns { 0 } else { self.stretch(ns).unwrap_or(self.count()) };
            while at < stretch.min(self.count() - 1) {
                at += 1;
                // What ends as a stretch begins is not in it.
                if at < stretch || ns > self.began_ns.saturating_add(self.step_ns.saturating_mul(at as u64)) {
                    out[at] = now.max(0) as u64;
                }
            }
            if stretch >= self.count() {
                return out;
            }
            now += change;
            out[at] = out[at].max(now.max(0) as u64);
        }
        out
    }
}

/// 1, 2 or 5 times a power of ten nanoseconds, so that `length_ns` is at most `most` of them.
fn step(length_ns: u64, most: u64) -> u64 {
    let least = (length_ns / most).max(SHORTEST_NS);
    let powers = (8..19).map(|p| 10u64.pow(p));
    let steps = powers.flat_map(|p| [1, 2, 5].into_iter().map(move |times| p.saturating_mul(times)));
    steps.into_iter().find(|s| *s >= least).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_run_has_a_bounded_number_of_stretches_of_a_round_length() {
        for (length_s, step_s) in
            [(5, 0.2), (106, 1.0), (1_800, 20.0), (86_400, 1_000.0), (18_000_000_000, 2e8)]
        {
            let t = Timeline::new(7 * S, (7 + length_s) * S);
            assert_eq!(t.step_s(), step_s, "{length_s} s");
            assert!(t.count() <= 160);
        }
        assert_eq!(Timeline::new(5, 5).count(), 1);
        assert!(Timeline::new(0, u64::MAX).count() <= 160);
    }

    #[test]
    fn instants_lie_in_their_stretch_and_others_in_none() {
        let t = Timeline::new(10 * S, 20 * S);
        assert_eq!(t.step_s(), 0.2);
        assert_eq!([t.stretch(10 * S), t.stretch(20 * S)], [Some(0), Some(49)]);
        assert_eq!([t.stretch(9 * S), t.stretch(21 * S), t.stretch(u64::MAX)], [None; 3]);
        assert_eq!(t.counts([10 * S, 10 * S + 1, 30 * S].into_iter())[0], 2);
        assert_eq!(t.of_stretch(1), [0.2, 0.30000000000000004, 0.4]);
    }

    #[test]
    fn stretches_grow_until_a_tail_can_be_told_but_not_for_ever() {
        let t = Timeline::new(0, 100 * S);
        let every = |ms: u64| (0..100_000 / ms).map(move |i| i * ms * 1_000_000);
        assert_eq!(t.for_tails(every(1)), t, "a thousand a second are enough as they are");
        assert_eq!(t.for_tails(every(5)).step_s(), 2.0, "200 a second need two seconds");
        assert_eq!(t.for_tails(every(15)).step_s(), 1.0, "67 a second never make a p99 but a p95 at once");
        assert_eq!(t.for_tails(every(30)).step_s(), 2.0, "33 a second make one in two seconds");
        assert_eq!(t.for_tails(every(1_000)), t, "what has few samples keeps its course");
    }

    #[test]
    fn what_is_there_at_once_is_counted_at_its_most() {
        let t = Timeline::new(0, 10 * S);
        let spans = [(S, 3 * S), (2 * S, 3 * S), (3 * S, 4 * S), (9 * S, 30 * S), (5 * S, 5 * S)];
        let most = t.most_at_once(spans.into_iter());
        let at = |s: f64| most[(s / 0.2) as usize];
        assert_eq!([at(0.5), at(1.1), at(2.5), at(3.1), at(4.5), at(9.5), at(9.9)], [0, 1, 2, 1, 0, 1, 1]);
        let before = Timeline::new(5 * S, 10 * S).most_at_once([(S, 7 * S), (2 * S, 3 * S)].into_iter());
        assert_eq!((before[1], before[9], before[12]), (1, 1, 0), "what began before is there");
    }
}
