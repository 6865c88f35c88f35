//! What a schedule must keep, before anything is started.

use super::{Planned, Trigger};
use crate::fault::Fault;
use crate::role::{Role, Seat, Which};
use std::collections::BTreeSet;
use std::time::Duration;

/// What a schedule has to fit into.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// How long it goes on; `None` when nobody knows before.
    pub length: Option<Duration>,
    /// The roles that there are.
    pub roles: &'a [Role],
}

/// Why a schedule can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Figures that mean nothing.
    #[error("fault {name:?}: {why}")]
    Figures {
        /// The fault.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// Two faults of one name.
    #[error("fault {name:?} is there twice; give each one a name of its own")]
    Twice {
        /// The fault.
        name: String,
    },
    /// A role that nothing has.
    #[error("fault {name:?} hurts {role}, and there is none; there are {known}")]
    NoSuchRole {
        /// The fault.
        name: String,
        /// What it hurts.
        role: Role,
        /// What there is.
        known: String,
    },
    /// A fault of a link on a node, or the other way round.
    #[error("fault {name:?}: {kind} hurts {wants}, and {role} is none")]
    WrongKind {
        /// The fault.
        name: String,
        /// Its kind.
        kind: &'static str,
        /// What it is for.
        wants: &'static str,
        /// What it was aimed at.
        role: Role,
    },
    /// Its window ends after everything else.
    #[error(
        "fault {name:?}, injection {injection}: over after {ends:?}, and there are only {length:?}; begin it earlier, \
         or make it shorter, or the level longer"
    )]
    PastTheEnd {
        /// The fault.
        name: String,
        /// Which injection.
        injection: u32,
        /// When its window could end.
        ends: Duration,
        /// When everything ends.
        length: Duration,
    },
    /// A restore for which there would be nothing to restore.
    #[error(
        "fault {name:?} restores {role}, and no backup of {role} is taken before; plan a fault {{ fault = \"backup\" }} on \
         {role} that is due earlier"
    )]
    NoBackup {
        /// The fault.
        name: String,
        /// What it restores.
        role: Role,
    },
    /// Two windows of one kind on one thing at one time: healing the first would end the second.
    #[error(
        "faults {first:?} and {second:?} ({kind}) could both be in force on {role} at {at:?}; healing one would end the \
         other: move one of them"
    )]
    Overlap {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// Their kind.
        kind: &'static str,
        /// What they hurt.
        role: Role,
        /// Since when.
        at: Duration,
    },
}

pub(super) fn all(planned: &[Planned], scope: &Scope<'_>) -> Result<(), ScheduleError> {
    let mut names = BTreeSet::new();
    for fault in planned {
        if !names.insert(&fault.name) {
            return Err(ScheduleError::Twice { name: fault.name.clone() });
        }
        figures(fault).map_err(|why| ScheduleError::Figures { name: fault.name.clone(), why })?;
        aim(fault, scope.roles)?;
        has_backup(fault, planned)?;
    }
    let windows: Vec<Window<'_>> = planned.iter().flat_map(windows).collect();
    if let Some(length) = scope.length {
        windows.iter().try_for_each(|window| in_time(window, length))?;
    }
    overlaps(&windows)
}

fn figures(planned: &Planned) -> Result<(), String> {
    planned.fault.check()?;
    let passes = planned.fault.passes();
    match (&planned.trigger, planned.lasts, planned.every, planned.times) {
        (.., 0) => Err("times = 0 injects nothing; give at least 1".to_owned()),
        (_, Some(lasts), ..) if lasts.is_zero() => {
            Err("it lasts no time; give at least a millisecond".to_owned())
        }
        (_, Some(_), ..) if passes => {
            Err(format!("a {} is over by itself; leave out how long it lasts", planned.fault.kind()))
        }
        (Trigger::At { .. }, _, None, 2..) => Err("it comes back: say every how long".to_owned()),
        (Trigger::At { from, to }, ..) if from > to => {
            Err("its earliest time is after its latest".to_owned())
        }
        (Trigger::Event { nth_from, .. }, ..) if *nth_from == 0 => {
            Err("events are counted from 1".to_owned())
        }
        (Trigger::Event { nth_from, nth_to, .. }, ..) if nth_from > nth_to => {
            Err("its earliest event is after its latest".to_owned())
        }
        (Trigger::Marker { nth: 0, .. }, ..) => Err("lines are counted from 1".to_owned()),
        (Trigger::Marker { text, .. }, ..) if text.is_empty() => Err("its marker is empty".to_owned()),
        (Trigger::File { .. }, .., 2..) => Err("a file comes into being once; leave out times".to_owned()),
        (Trigger::Event { .. } | Trigger::Marker { .. } | Trigger::File { .. }, _, Some(_), _) => {
            Err("every is for faults that a time sets off".to_owned())
        }
        (_, None, _, 2..) if !passes => Err("it comes back: say how long it lasts".to_owned()),
        _ => Ok(()),
    }
}

/// Is there anybody of that role, and can this be done to it?
fn aim(planned: &Planned, roles: &[Role]) -> Result<(), ScheduleError> {
    let no_such = |role: &Role| ScheduleError::NoSuchRole {
        name: planned.name.clone(),
        role: role.clone(),
        known: roles.iter().map(Role::to_string).collect::<Vec<_>>().join(", "),
    };
    let is_link = matches!(planned.on, Role::Link(_));
    // A command is the user's own: it can be about anything, and about things that we don't know.
    if planned.fault.kind() == "command" {
        return Ok(());
    }
    if planned.fault.is_of_link() != is_link {
        let wants = if is_link { "a node" } else { "a link" };
        let (name, kind, role) = (planned.name.clone(), planned.fault.kind(), planned.on.clone());
        return Err(ScheduleError::WrongKind { name, kind, wants, role });
    }
    if matches!(planned.fault, Fault::Switchover {}) && planned.on != Role::Database(Seat::Primary) {
        let (name, kind, role) = (planned.name.clone(), planned.fault.kind(), planned.on.clone());
        return Err(ScheduleError::WrongKind { name, kind, wants: "db.primary", role });
    }
    if matches!(planned.fault, Fault::BlueGreen { .. }) && planned.on != Role::Engine {
        let (name, kind, role) = (planned.name.clone(), planned.fault.kind(), planned.on.clone());
        return Err(ScheduleError::WrongKind { name, kind, wants: "engine", role });
    }
    let listed = |role: &Role| {
        roles.contains(role)
            || *role == Role::Worker(Which::Any) && roles.iter().any(|role| matches!(role, Role::Worker(_)))
    };
    let clients = match &planned.fault {
        Fault::Restore { clients } => clients.as_slice(),
        _ => &[],
    };
    if let Some(missing) = [&planned.on].into_iter().chain(clients).find(|role| !listed(role)) {
        return Err(no_such(missing));
    }
    match &planned.trigger {
        Trigger::Marker { on, .. } if !listed(on) => Err(no_such(on)),
        _ => Ok(()),
    }
}

/// What is restored was backed up before, as far as times tell; what an event sets off is seen when it is due.
fn has_backup(restore: &Planned, planned: &[Planned]) -> Result<(), ScheduleError> {
    let is_before = |backup: &Planned| match (&backup.trigger, &restore.trigger) {
        (Trigger::At { to, .. }, Trigger::At { from, .. }) => to < from,
        _ => true,
    };
    let fits =
        |one: &Planned| matches!(one.fault, Fault::Backup {}) && one.on == restore.on && is_before(one);
    if !matches!(restore.fault, Fault::Restore { .. }) || planned.iter().any(fits) {
        return Ok(());
    }
    Err(ScheduleError::NoBackup { name: restore.name.clone(), role: restore.on.clone() })
}

/// When an injection could begin at the earliest and be over at the latest. Whether a scenario may be run must not hang
/// on its seed, so this is not what was drawn.
struct Window<'p> {
    from: Duration,
    to: Duration,
    injection: u32,
    planned: &'p Planned,
}

fn windows(planned: &Planned) -> impl Iterator<Item = Window<'_>> {
    let times = if matches!(planned.trigger, Trigger::At { .. }) { planned.times } else { 0 };
    (0..times).filter_map(move |round| {
        let Trigger::At { from, to } = planned.trigger else { return None };
        let later = planned.every.unwrap_or_default().saturating_mul(round);
        let open = if planned.fault.passes() { Duration::ZERO } else { Duration::MAX };
        let end = (to + later).saturating_add(planned.lasts.unwrap_or(open));
        Some(Window { from: from + later, to: end, injection: round + 1, planned })
    })
}

fn in_time(window: &Window<'_>, length: Duration) -> Result<(), ScheduleError> {
    // What has no end of its own is healed when everything ends.
    let ends = if window.to == Duration::MAX { window.from } else { window.to };
    if ends <= length {
        return Ok(());
    }
    let (name, injection) = (window.planned.name.clone(), window.injection);
    Err(ScheduleError::PastTheEnd { name, injection, ends, length })
}

/// May both hurt the same node or link? What a command is about is the user's own: its role is a name and no more.
fn on_one_thing(one: &Planned, other: &Planned) -> bool {
    match one.fault.kind() {
        "command" => one.on == other.on,
        _ => one.on.may_be(&other.on),
    }
}

fn overlaps(windows: &[Window<'_>]) -> Result<(), ScheduleError> {
    for (index, one) in windows.iter().enumerate() {
        for other in &windows[index + 1..] {
            let same = on_one_thing(one.planned, other.planned)
                && one.planned.fault.kind() == other.planned.fault.kind()
                && !one.planned.fault.passes();
            if same && one.from < other.to && other.from < one.to {
                return Err(ScheduleError::Overlap {
                    first: one.planned.name.clone(),
                    second: other.planned.name.clone(),
                    kind: one.planned.fault.kind(),
                    role: one.planned.on.clone(),
                    at: one.from.max(other.from),
                });
            }
        }
    }
    Ok(())
}
