//! `shakedown list`: the scenarios that are compiled in.

use crate::failure::Result;
use crate::plan;
use crate::run::prepare;
use crate::scenario::{catalogue, read};
use anyhow::Context;
use shakedown_reports::exit_code;
use std::fmt::Write;

/// Show the scenarios that are compiled in, what they cover, and how long they take.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints one line a scenario.
///
/// # Errors
/// Standard output can't be written, or a scenario of ours is broken.
pub fn run(_args: &Args) -> Result<u8> {
    let mut page = format!("{:<18} {:>7}  {:<28} {}\n", "scenario", "about", "covers", "what it is");
    for name in catalogue::scenario_names() {
        let (origin, text) = catalogue::scenario(name)?;
        let scenario = read::parse(name, &text)?;
        let (title, covers) = (scenario.title.clone(), scenario.covers.join(" "));
        let length = length_s(prepare::prepare(scenario, &origin).ok());
        let length = match length {
            None => "yours".to_owned(),
            // Work that takes no time leaves the orchestrator's own, which nobody knows before.
            Some(seconds) if seconds < 1.0 => "seconds".to_owned(),
            Some(seconds) => format!("{seconds:.0} s"),
        };
        writeln!(page, "{name:<18} {length:>7}  {covers:<28} {title}").context("a String takes it")?;
    }
    page.push_str(
        "\nRun one with `shakedown run NAME`; a file of your own with `shakedown run PATH.toml`.\n",
    );
    super::print_out(&page)?;
    Ok(exit_code::PASSED)
}

fn length_s(order: Option<prepare::Order>) -> Option<f64> {
    let order = order?;
    let plan = plan::draw(&order.scenario, &order.templates(), order.scenario.seed, "list").ok()?;
    Some(plan.length_s(order.speed))
}
