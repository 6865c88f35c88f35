//! What probes, worker processes and faults must fulfil.

use super::target::MOST_NODES;
use super::{Finding, check_name, refuse, target};
use crate::plan::PROBES;
use crate::scenario::fault::{FaultEntry, duration};
use crate::scenario::load::Mode;
use crate::scenario::{Level, Scenario};
use shakedown_chaos::fault::Fault;
use shakedown_chaos::role::{LEADER, Role, Which, part_of_link};
use shakedown_chaos::schedule::{self, Scope};
use shakedown_reports::plan::Stage;
use std::time::Duration;

/// How the names of worker processes and of their files begin; their number follows.
pub const WORKER_PREFIX: &str = "worker-";
/// The link over which load and probes reach the target.
pub const CLIENTS: &str = "clients";
/// The link over which workers reach the target.
pub const WORKERS: &str = "workers";
/// The links between the harness and its target.
pub const OURS: [&str; 2] = [CLIENTS, WORKERS];
/// More processes than this share a machine for no purpose.
const MOST_PROCESSES: u32 = 64;

/// The first thing that is wrong with what surrounds the load of `scenario`.
pub fn check(scenario: &Scenario) -> Result<(), Finding> {
    let processes = scenario.workers.processes;
    if processes > MOST_PROCESSES {
        let problem = format!("processes = {processes}: accepted is 0 to {MOST_PROCESSES}");
        return refuse("processes", processes, problem);
    }
    let one_level = scenario.level.len() == 1;
    if processes > 0 && !one_level {
        let problem = format!(
            "processes = {processes}: worker processes have their slots from the beginning, so there may be one level only"
        );
        return refuse("processes", processes, problem);
    }
    if let Some(level) = scenario.level.iter().find(|level| level.name == PROBES) {
        return refuse("name", &level.name, format!("a level can't be called {PROBES:?}: probes are"));
    }
    probes(scenario, one_level)?;
    recovery(scenario)?;
    links(scenario)?;
    faults(scenario)
}

fn probes(scenario: &Scenario, one_level: bool) -> Result<(), Finding> {
    let Some(probes) = &scenario.probes else { return Ok(()) };
    if !scenario.workflow.contains_key(&probes.workflow) {
        let problem = format!("probes start the workflow {:?}, which the scenario has not", probes.workflow);
        return refuse("workflow", &probes.workflow, problem);
    }
    if !(0.1..=1000.0).contains(&probes.rate_per_s) {
        let problem = format!("probes at rate_per_s = {}: accepted is 0.1 to 1000", probes.rate_per_s);
        return refuse("rate_per_s", probes.rate_per_s, problem);
    }
    if probes.deadline.seconds() <= 0.0 {
        return refuse("deadline", "", "probes have a deadline of nothing: they could only fail".to_owned());
    }
    if !one_level || scenario.level[0].mode != Mode::Open {
        let problem = "probes run beside one level of open load: its stages say for how long".to_owned();
        return refuse("workflow", &probes.workflow, problem);
    }
    Ok(())
}

fn recovery(scenario: &Scenario) -> Result<(), Finding> {
    let Some(recovery) = &scenario.recovery else { return Ok(()) };
    let band = recovery.throughput_band;
    if !(0.0..1.0).contains(&band) {
        let problem = format!("throughput_band = {band}: a share is from 0 to below 1");
        return refuse("throughput_band", band, problem);
    }
    if recovery.baseline.seconds() <= 0.0 || recovery.settle.seconds() <= 0.0 {
        return refuse("baseline", "", "baseline and settle need a length above 0".to_owned());
    }
    Ok(())
}

/// True for names that the links of a pair of databases have.
fn is_of_the_pair(name: &str) -> bool {
    name == "db" || name.starts_with("db.") || name.starts_with("db-")
}

fn links(scenario: &Scenario) -> Result<(), Finding> {
    for (index, link) in scenario.link.iter().enumerate() {
        check_name("name", &link.name)?;
        if scenario.database.is_some() && is_of_the_pair(&link.name) {
            let problem = format!(
                "a link is called {:?}, as one of the database pair's own: choose another",
                link.name
            );
            return refuse("name", &link.name, problem);
        }
        if let Some((whole, part)) = part_of_link(&link.name) {
            let problem = format!(
                "a link is called {:?}, which means part {part} of link {whole:?}: choose another name",
                link.name
            );
            return refuse("name", &link.name, problem);
        }
        if scenario.link[..index].iter().any(|before| before.name == link.name) {
            return refuse("name", &link.name, format!("two links are called {:?}", link.name));
        }
        if !link.toxiproxy.starts_with("http://") {
            let problem =
                format!("toxiproxy = {:?}: accepted is http://HOST:PORT of its API", link.toxiproxy);
            return refuse("toxiproxy", &link.toxiproxy, problem);
        }
    }
    Ok(())
}

/// Why the faults of `scenario` can't be injected into a server that somebody else runs, if they can't.
pub fn not_on_a_server_of_others(scenario: &Scenario) -> Option<String> {
    let ours_alone = |fault: &&FaultEntry| {
        target::roles(scenario).contains(&fault.on) && !matches!(fault.inject, Fault::Command { .. })
    };
    let fault = scenario.fault.iter().find(ours_alone)?;
    Some(format!(
        "its fault {:?} is a {} of what the run would start itself, and --target is a server that somebody else runs: give \
         commands that inject and heal it (fault = \"command\"), or leave --target out",
        fault.name,
        fault.inject.kind()
    ))
}

fn faults(scenario: &Scenario) -> Result<(), Finding> {
    if scenario.fault.is_empty() {
        return Ok(());
    }
    for fault in &scenario.fault {
        check_name("name", &fault.name)?;
        if scenario.level.iter().any(|level| level.name == fault.name) || fault.name == PROBES {
            let problem = format!("a level and a fault are both called {:?}", fault.name);
            return refuse("name", &fault.name, problem);
        }
    }
    let first = &scenario.fault[0];
    if scenario.probes.is_none() {
        let problem = "faults need [probes]: without them nobody can say when the users saw what".to_owned();
        return refuse("name", &first.name, problem);
    }
    let length = length(&scenario.level[0]);
    let roles = roles(scenario);
    let scope = Scope { length: Some(length), roles: &roles };
    for fault in &scenario.fault {
        let planned = fault.planned().or_else(|problem| refuse("name", &fault.name, problem))?;
        // Each by itself first, so that the line of the one that is to blame can be shown.
        let alone = schedule::draw(&with_backups(scenario, &planned), scenario.seed, &scope);
        alone.or_else(|error| refuse("name", &fault.name, error.to_string()))?;
        kept(scenario, fault)?;
        in_time(scenario, fault.at.map(|_| &planned), length)?;
    }
    let planned: Vec<_> = scenario.fault.iter().filter_map(|fault| fault.planned().ok()).collect();
    let together = schedule::draw(&planned, scenario.seed, &scope);
    together.map(|_| ()).or_else(|error| refuse("name", &first.name, error.to_string()))
}

/// A fault, and what has to be there for it: a restore is nothing without a backup.
fn with_backups(scenario: &Scenario, planned: &schedule::Planned) -> Vec<schedule::Planned> {
    let is_needed = |one: &&FaultEntry| {
        matches!(planned.fault, Fault::Restore { .. }) && matches!(one.inject, Fault::Backup {})
    };
    let backups = scenario.fault.iter().filter(is_needed).filter_map(|one| one.planned().ok());
    [planned.clone()].into_iter().chain(backups).collect()
}

/// Backups are of what keeps data.
fn kept(scenario: &Scenario, fault: &FaultEntry) -> Result<(), Finding> {
    let kept = target::kept(scenario);
    if !matches!(fault.inject, Fault::Backup {} | Fault::Restore { .. }) || kept.contains(&fault.on) {
        return Ok(());
    }
    let names: Vec<String> = kept.iter().map(Role::to_string).collect();
    let (name, kind, on) = (&fault.name, fault.inject.kind(), &fault.on);
    let problem = format!(
        "fault {name:?}: nobody knows how the data of {on} is backed up, so a {kind} is on {} here (a target of your own \
         is restored by commands: fault = \"command\")",
        names.join(" or ")
    );
    refuse("on", on, problem)
}

/// The first fault comes after the baseline that it is compared with.
fn in_time(
    scenario: &Scenario,
    planned: Option<&schedule::Planned>,
    length: Duration,
) -> Result<(), Finding> {
    let Some(schedule::Planned { name, trigger: schedule::Trigger::At { from, .. }, .. }) = planned else {
        return Ok(());
    };
    let baseline = duration(scenario.recovery.unwrap_or_default().baseline);
    if *from < baseline {
        let problem = format!(
            "fault {name:?} is due {from:?} after the beginning of a level of {length:?}, inside the baseline of \
             {baseline:?}: begin it later, or shorten [recovery] baseline"
        );
        return refuse("name", name, problem);
    }
    Ok(())
}

/// How long the load is offered.
pub fn length(level: &Level) -> Duration {
    let stages = level.stages.iter().filter_map(|stage| stage.resolve().ok());
    Duration::from_secs_f64(stages.map(|stage: Stage| stage.length_s()).sum())
}

/// Everything that a fault of the scenario can be aimed at.
pub fn roles(scenario: &Scenario) -> Vec<Role> {
    let numbered = (1..=scenario.workers.processes).map(|number| Role::Worker(Which::Number(number)));
    let processes =
        (1..=scenario.workers.processes).map(|number| Role::Node(format!("{WORKER_PREFIX}{number}")));
    let mut roles: Vec<Role> = target::roles(scenario).into_iter().chain(numbered).chain(processes).collect();
    if scenario.workers.processes > 0 {
        // Every process has slots of every pool: who of them it is turns out when the fault is due.
        roles.extend(scenario.fault.iter().map(|fault| &fault.on).filter_map(|on| match on {
            Role::Worker(Which::Named(_)) => Some(on.clone()),
            _ => None,
        }));
    }
    let named = scenario.link.iter().map(|link| link.name.as_str());
    roles.extend(OURS.into_iter().chain(named).map(|link| Role::Link(link.to_owned())));
    let made = OURS.into_iter().filter(|link| scenario.link.iter().all(|entry| entry.name != *link));
    roles.extend(made.flat_map(|link| parts(scenario, link)));
    roles
}

/// A link to several nodes is one to each. How many nodes a target of the user's own has is not known yet.
fn parts(scenario: &Scenario, link: &str) -> Vec<Role> {
    let nodes = match scenario.engine.count() {
        1 => MOST_NODES as usize,
        several => several,
    };
    let numbers = (1..=nodes).map(|number| number.to_string());
    numbers.chain([LEADER.to_owned()]).map(|part| Role::Link(format!("{link}.{part}"))).collect()
}

/// Why a fault is on a part of a link that leads nowhere in a target of so many nodes, if one is.
pub fn on_no_node(scenario: &Scenario, nodes: usize) -> Option<String> {
    let is_none = |role: &Role| {
        let Role::Link(name) = role else { return false };
        let part = part_of_link(name).filter(|(whole, _)| OURS.contains(whole)).map(|(_, part)| part);
        // The leader is one of several.
        part.is_some_and(|part| part.parse().map_or(nodes < 2, |number: usize| nodes < number.max(2)))
    };
    let fault = scenario.fault.iter().find(|fault| is_none(&fault.on))?;
    Some(format!(
        "its fault {:?} is on {}, the link to one of several nodes, and the number of nodes here is {nodes}: give the URLs of \
         all nodes of your own (--target URL,URL), or let several run ([engine] nodes = 2)",
        fault.name, fault.on
    ))
}
