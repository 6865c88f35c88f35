//! Fenced: who hung, was led past and comes back writes nothing any more. That nobody tried is no evidence.

use super::Evidence;
use crate::joined::Joined;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for mark in &run.history.late_writes {
        evidence.looked_at(mark.refused + mark.accepted + mark.unknown);
        if mark.accepted > 0 {
            let what = format!("{} writes were carried out after another one had taken over", mark.accepted);
            evidence.found(mark.node.clone(), None, what);
        }
        if mark.unknown > 0 {
            let what = format!("nobody knows what became of {} late writes", mark.unknown);
            evidence.undecided(mark.node.clone(), None, what);
        }
    }
    for who in expected(run) {
        let of_them = run.history.late_writes.iter().filter(|mark| mark.who == who);
        if of_them.map(|mark| mark.refused).sum::<u64>() == 0 {
            let what = format!(
                "no late write of the {who} was seen to be refused, so nobody knows whether the fence bites"
            );
            evidence.undecided(who.to_owned(), None, what);
        }
    }
    evidence
}

/// An engine that hangs just before it looks at its lease has no write at hand when it comes back. That is an accident
/// once; so many times in a row it is none.
const HANGS_OF_A_LEADER: usize = 5;

/// Who was made to hang in the lead, and so to come back as one who has been led past. On a database its manager tries
/// writes itself, each time.
fn expected(run: &Joined<'_>) -> Vec<&'static str> {
    let hangs =
        |on: &str| run.plan.injections.iter().filter(|one| one.what == "pause" && one.on == on).count();
    [("node:leader", "engine", HANGS_OF_A_LEADER), ("db.primary", "database", 1)]
        .into_iter()
        .filter_map(|(on, who, enough)| (hangs(on) >= enough).then_some(who))
        .collect()
}
