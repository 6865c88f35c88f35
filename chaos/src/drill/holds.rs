//! What is in force on what: two faults of one kind on one thing at one time would each take the other's doing for the
//! state before, and healing one would end the other.

use crate::clock;
use crate::schedule::Injection;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A fault that is over so soon, or being healed, is waited for by the next one: where a scenario lets one begin when
/// the other is to end, that one may have been applied a little late.
const SOON: Duration = Duration::from_secs(1);

/// The faults in force that last, by their kind and the node or link that they hurt.
#[derive(Debug, Default)]
pub(super) struct Holds {
    held: Mutex<BTreeMap<Key, Hold>>,
    changed: Condvar,
}

type Key = (&'static str, String);

#[derive(Debug)]
struct Hold {
    /// The injection, for people.
    by: String,
    /// When it is to be over.
    over_ns: u64,
}

impl Holds {
    /// Takes things for an injection, all or none, and tells whether it had to wait; one that passes by itself needs none,
    /// unless it takes turns.
    ///
    /// # Errors
    /// Another one of its kind has one of them, in words.
    pub(super) fn take(&self, injection: &Injection, things: &[String]) -> Result<bool, String> {
        if !is_held(injection) {
            return Ok(false);
        }
        let kind = injection.fault.kind();
        let (mut held, mut waited) = (self.lock(), false);
        let in_the_way =
            |held: &BTreeMap<Key, Hold>, thing: &&String| held.contains_key(&key(injection, thing));
        while let Some(thing) = things.iter().find(|thing| in_the_way(&held, thing)) {
            let hold = &held[&key(injection, thing)];
            if hold.over_ns > clock::after(SOON) {
                return Err(format!(
                    "{}, a {kind} too, is in force on {thing}, or was not healed; healing one would end the other",
                    hold.by
                ));
            }
            waited = true;
            held = self.changed.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        let (by, over_ns) =
            (format!("{} ({})", injection.name, injection.injection), over_ns(injection, clock::now_ns()));
        held.extend(things.iter().map(|thing| (key(injection, thing), Hold { by: by.clone(), over_ns })));
        Ok(waited)
    }

    /// It is in force since then.
    pub(super) fn applied(&self, injection: &Injection, things: &[String], at_ns: u64) {
        self.change(injection, things, over_ns(injection, at_ns));
    }

    /// It is being healed.
    pub(super) fn healing(&self, injection: &Injection, things: &[String]) {
        self.change(injection, things, 0);
    }

    /// It is known to be undone, or, if not, in force for ever.
    pub(super) fn over(&self, injection: &Injection, things: &[String], undone: bool) {
        if undone && is_held(injection) {
            let mut held = self.lock();
            things.iter().for_each(|thing| drop(held.remove(&key(injection, thing))));
            self.changed.notify_all();
        } else {
            self.change(injection, things, u64::MAX);
        }
    }

    fn change(&self, injection: &Injection, things: &[String], over_ns: u64) {
        if !is_held(injection) {
            return;
        }
        let mut held = self.lock();
        for thing in things {
            if let Some(hold) = held.get_mut(&key(injection, thing)) {
                hold.over_ns = over_ns;
            }
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Hold>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(injection: &Injection, thing: &str) -> Key {
    (injection.fault.kind(), thing.to_owned())
}

fn is_held(injection: &Injection) -> bool {
    !injection.fault.passes() || injection.fault.takes_turns()
}

fn over_ns(injection: &Injection, at_ns: u64) -> u64 {
    // What passes by itself is over soon: it is waited for.
    if injection.fault.passes() {
        return at_ns;
    }
    injection.lasts.map_or(u64::MAX, |lasts| at_ns.saturating_add(clock::nanos(lasts)))
}
