//! Laws of schedules: the seed fixes them, they keep their bounds, and what can't be is refused whatever the seed.

use proptest::prelude::*;
use shakedown_chaos::fault::{Fault, PartitionStyle};
use shakedown_chaos::role::Role;
use shakedown_chaos::schedule::{Due, Injection, Planned, ScheduleError, Scope, Trigger, draw};
use std::time::Duration;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn roles() -> Vec<Role> {
    ["engine", "worker:1", "link:clients"].iter().map(|role| role.parse().unwrap()).collect()
}

fn at(name: &str, fault: Fault, on: &str, from_ms: u64, to_ms: u64) -> Planned {
    let trigger = Trigger::At { from: MS(from_ms), to: MS(to_ms) };
    Planned {
        name: name.to_owned(),
        fault,
        on: on.parse().unwrap(),
        trigger,
        lasts: None,
        every: None,
        times: 1,
    }
}

fn kill() -> Fault {
    Fault::Kill { restart_after_ms: None }
}

fn drawn(planned: &[Planned], seed: u64) -> Result<Vec<Injection>, ScheduleError> {
    draw(planned, seed, &Scope { length: Some(MS(60_000)), roles: &roles() })
}

prop_compose! {
    fn pauses()(from in 0..5_000_u64, spread in 0..3_000_u64, lasts in 1..1_000_u64, times in 1..8_u32) -> Planned {
        let every = Some(MS(spread + lasts + 1));
        Planned { lasts: Some(MS(lasts)), every, times, ..at("pause", Fault::Pause {}, "engine", from, from + spread) }
    }
}

proptest! {
    #[test]
    fn a_seed_gives_one_schedule_within_its_bounds(planned in pauses(), seed: u64) {
        let Trigger::At { from, to } = planned.trigger else { unreachable!() };
        let injections = drawn(std::slice::from_ref(&planned), seed).unwrap();
        prop_assert_eq!(&injections, &drawn(std::slice::from_ref(&planned), seed).unwrap());
        prop_assert_eq!(injections.len(), planned.times as usize);
        for (round, injection) in (0..).zip(&injections) {
            let Due::At(due) = injection.due else { unreachable!() };
            let later = planned.every.unwrap() * round;
            prop_assert!((from + later..=to + later).contains(&due), "{due:?}");
            prop_assert_eq!(injection.injection, round + 1);
        }
        for pair in injections.windows(2) {
            let (Due::At(one), Due::At(next)) = (&pair[0].due, &pair[1].due) else { unreachable!() };
            prop_assert!(*one + planned.lasts.unwrap() <= *next, "one is over when the next begins");
        }
    }

    #[test]
    fn another_fault_changes_none_of_the_others(planned in pauses(), seed: u64, more in 1..50_000_u64) {
        let alone = drawn(std::slice::from_ref(&planned), seed).unwrap();
        let other = at("other", kill(), "worker:1", 0, more);
        let both = drawn(&[other, planned], seed).unwrap();
        prop_assert_eq!(&both[1..], &alone[..]);
    }

    #[test]
    fn whether_it_can_be_does_not_hang_on_the_seed(from in 0..70_000_u64, spread in 0..70_000_u64, a: u64, b: u64) {
        let planned = [at("kill", kill(), "engine", from, from + spread)];
        prop_assert_eq!(drawn(&planned, a).is_ok(), drawn(&planned, b).is_ok());
        prop_assert_eq!(drawn(&planned, a).is_ok(), from + spread <= 60_000);
    }

    #[test]
    fn a_schedule_can_be_saved_and_read_back(planned in pauses(), seed: u64) {
        let injections = drawn(&[planned], seed).unwrap();
        let text = serde_json::to_string(&injections).unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<Injection>>(&text).unwrap(), injections);
    }

    #[test]
    fn the_nth_event_is_drawn_and_comes_back_after_as_many(nth_from in 1..50_u64, more in 0..50_u64, seed: u64) {
        let trigger = Trigger::Event { name: "begun".to_owned(), nth_from, nth_to: nth_from + more };
        let planned = Planned { trigger, times: 3, ..at("kill", kill(), "worker", 0, 0) };
        for (round, injection) in (0..).zip(drawn(&[planned], seed).unwrap()) {
            let Due::Event { nth, .. } = injection.due else { unreachable!() };
            let earlier = round * (nth_from + more);
            prop_assert!((earlier + nth_from..=earlier + nth_from + more).contains(&nth), "{nth}");
        }
    }
}

#[test]
fn seeds_differ() {
    let planned = [at("kill", kill(), "engine", 0, 10_000)];
    let dues: Vec<Due> = (0..8).map(|seed| drawn(&planned, seed).unwrap().remove(0).due).collect();
    assert!(dues.iter().all(|due| dues.iter().filter(|other| *other == due).count() == 1), "{dues:?}");
}

/// What is refused, and what the refusal says.
#[test]
fn what_can_not_be_is_refused_with_what_would_do() {
    let pause = |name: &str, from, lasts_ms: u64| Planned {
        lasts: Some(MS(lasts_ms)),
        ..at(name, Fault::Pause {}, "engine", from, from)
    };
    let on = |name: &str, role: &str, from| Planned { on: role.parse().unwrap(), ..pause(name, from, 100) };
    let event = |nth_from, nth_to| Trigger::Event { name: "start".to_owned(), nth_from, nth_to };
    let marker = Trigger::Marker { on: "worker:9".parse().unwrap(), text: "x".to_owned(), nth: 1 };
    let partition = Fault::Partition { style: PartitionStyle::Drop };
    let cases: Vec<(&str, Vec<Planned>)> = vec![
        ("is there twice", vec![pause("a", 0, 5), pause("a", 10, 5)]),
        ("there is none; there are engine", vec![at("a", kill(), "worker:7", 0, 0)]),
        ("partition hurts a link", vec![at("a", partition.clone(), "engine", 0, 0)]),
        ("kill hurts a node", vec![at("a", kill(), "link:clients", 0, 0)]),
        ("there are only 60s", vec![pause("a", 59_999, 2)]),
        ("there are only 60s", vec![at("a", kill(), "engine", 0, 60_001)]),
        ("both be in force on engine at 100ms", vec![pause("a", 0, 101), pause("b", 100, 5)]),
        ("both be in force", vec![at("a", Fault::Pause {}, "engine", 0, 0), pause("b", 100, 5)]),
        ("both be in force", vec![on("a", "worker", 0), on("b", "worker:1", 50)]),
        ("both be in force", vec![Planned { every: Some(MS(5)), times: 2, ..pause("a", 0, 6) }]),
        ("at least a millisecond", vec![pause("a", 0, 0)]),
        ("at least 1", vec![Planned { times: 0, ..pause("a", 0, 5) }]),
        ("say every how long", vec![Planned { times: 2, ..pause("a", 0, 5) }]),
        ("over by itself", vec![Planned { lasts: Some(MS(5)), ..at("a", kill(), "engine", 0, 0) }]),
        ("earliest time is after", vec![at("a", kill(), "engine", 2, 1)]),
        ("counted from 1", vec![Planned { trigger: event(0, 1), ..at("a", kill(), "engine", 0, 0) }]),
        (
            "earliest event is after",
            vec![Planned { trigger: event(3, 2), ..at("a", kill(), "engine", 0, 0) }],
        ),
        (
            "that a time sets off",
            vec![Planned { trigger: event(1, 2), every: Some(MS(5)), times: 2, ..pause("a", 0, 5) }],
        ),
        ("there is none", vec![Planned { trigger: marker, ..at("a", kill(), "engine", 0, 0) }]),
        (
            "exactly one of",
            vec![at("a", Fault::Memory { limit_mib: None, headroom_mib: None }, "engine", 0, 0)],
        ),
    ];
    for (part, planned) in cases {
        let error = drawn(&planned, 1).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("\"a\""), "{part}: {error}");
    }
    let at_once = [pause("a", 0, 100), pause("b", 100, 5), at("c", kill(), "engine", 50, 50)];
    assert_eq!(drawn(&at_once, 1).unwrap().len(), 3, "one after another, and another kind at the same time");
    let anything =
        Fault::Command { inject: vec!["x".into()], heal: vec!["y".into()], verify: vec![], within_s: 1 };
    assert_eq!(
        drawn(&[at("d", anything, "node:zone-b", 0, 0)], 1).unwrap().len(),
        1,
        "a command goes anywhere"
    );
}
