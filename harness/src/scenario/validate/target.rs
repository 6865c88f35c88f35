//! What the target that a run starts for itself must fulfil.

use super::{Finding, refuse};
use crate::scenario::Scenario;
use crate::scenario::fault::FaultEntry;
use crate::scenario::target::Store;
use shakedown_chaos::fault::Fault;
use shakedown_chaos::role::{LEADER, Role, Seat};

/// More nodes than this only wait for each other.
pub const MOST_NODES: u32 = 5;
/// Links of the pair of databases.
const DATABASE_LINKS: [&str; 3] = ["db.primary", "db.standby", "db.replication"];

/// The first thing that is wrong with the engine and its database.
pub fn check(scenario: &Scenario) -> Result<(), Finding> {
    let engine = &scenario.engine;
    if !(1..=MOST_NODES).contains(&engine.nodes) {
        let problem = format!("[engine] nodes = {}: accepted is 1 to {MOST_NODES}", engine.nodes);
        return refuse("nodes", engine.nodes, problem);
    }
    if engine.nodes > 1 && engine.store == Store::Sqlite {
        let problem = "[engine] has several nodes and store = \"sqlite\", which one process has for itself: use \
                       store = \"postgres\" with a [database]";
        return refuse("nodes", engine.nodes, problem.to_owned());
    }
    standby(scenario)?;
    if !(0.1..=60.0).contains(&engine.lease.seconds()) {
        let problem = "[engine] lease: accepted is 100 ms to 60 s".to_owned();
        return refuse("lease", engine.lease.seconds(), problem);
    }
    match (&scenario.database, engine.store) {
        (None, Store::Postgres) => {
            let problem = "[engine] store = \"postgres\" needs a [database]: the pair that the run brings up";
            refuse("store", "postgres", problem.to_owned())
        }
        (Some(_), Store::Sqlite) => {
            let problem = "[database] is there and nobody uses it: say store = \"postgres\" in [engine]";
            refuse("database", "", problem.to_owned())
        }
        (Some(settings), Store::Postgres) => {
            settings.check().or_else(|error| refuse("database", "", error.to_string()))
        }
        (None, Store::Sqlite) => Ok(()),
    }
}

/// What is wrong with the nodes that stand by, and with the faults that let them take over.
fn standby(scenario: &Scenario) -> Result<(), Finding> {
    let engine = &scenario.engine;
    if engine.green > MOST_NODES {
        let problem = format!("[engine] green = {}: accepted is 0 to {MOST_NODES}", engine.green);
        return refuse("green", engine.green, problem);
    }
    if engine.green > 0 && engine.store == Store::Sqlite {
        let problem = "[engine] has nodes that stand by (green) and store = \"sqlite\", which one process has for itself, so \
                       that nobody could take over from it: use store = \"postgres\" with a [database]";
        return refuse("green", engine.green, problem.to_owned());
    }
    let switches = |fault: &&FaultEntry| matches!(fault.inject, Fault::BlueGreen { .. });
    let Some(switch) = scenario.fault.iter().find(switches) else { return Ok(()) };
    if engine.green == 0 {
        let problem = format!(
            "fault {:?} lets the nodes that stand by take over, and none do: say [engine] green = 2, with store = \
             \"postgres\"",
            switch.name
        );
        return refuse("name", &switch.name, problem);
    }
    Ok(())
}

/// Whose data can be backed up and restored.
pub fn kept(scenario: &Scenario) -> Vec<Role> {
    match scenario.engine.store {
        Store::Sqlite => {
            [Role::Engine].into_iter().chain(scenario.engine.names().into_iter().map(Role::Node)).collect()
        }
        Store::Postgres => vec![Role::Database(Seat::Primary)],
    }
}

/// What faults can be aimed at in the target itself.
pub fn roles(scenario: &Scenario) -> Vec<Role> {
    let names = [scenario.engine.names(), scenario.engine.green_names()].concat();
    let leader = (names.len() > 1).then(|| LEADER.to_owned());
    let nodes = names.into_iter().chain(leader).map(Role::Node);
    let mut roles: Vec<Role> = [Role::Engine].into_iter().chain(nodes).collect();
    if scenario.database.is_some() {
        roles.extend([Role::Database(Seat::Primary), Role::Database(Seat::Standby)]);
        roles.extend(DATABASE_LINKS.map(|link| Role::Link(link.to_owned())));
    }
    roles
}
