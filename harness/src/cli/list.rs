//! `shakedown list`: the suites and scenarios that are compiled in.

use crate::failure::Result;
use crate::plan;
use crate::run::prepare;
use crate::scenario::{catalogue, read, suite};
use shakedown_reports::exit_code;
use std::fmt::Write;

/// Show the suites and scenarios that are compiled in, what they cover, and how long they take.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints one line a scenario.
///
/// # Errors
/// Standard output can't be written, or a scenario of ours is broken.
pub fn run(_args: &Args) -> Result<u8> {
    let mut page = String::new();
    suites(&mut page)?;
    writeln!(page, "{:<18} {:>7}  {:<28} what it is", "scenario", "about", "covers")?;
    for name in catalogue::scenario_names() {
        let (origin, scenario) = read::named(name)?;
        let (title, covers) = (scenario.title.clone(), scenario.covers.join(" "));
        let length = length_s(prepare::prepare(scenario, &origin).ok());
        let length = match length {
            None => "yours".to_owned(),
            // Work that takes no time leaves the orchestrator's own, which nobody knows before.
            Some(seconds) if seconds < 1.0 => "seconds".to_owned(),
            Some(seconds) => format!("{seconds:.0} s"),
        };
        writeln!(page, "{name:<18} {length:>7}  {covers:<28} {title}")?;
    }
    page.push_str(
        "\nRun one with `shakedown run NAME`, a suite's other profile with --profile; a file of your own with `shakedown run PATH.toml`.\n",
    );
    super::print_out(&page)?;
    Ok(exit_code::PASSED)
}

/// One line a suite and profile.
fn suites(page: &mut String) -> Result<()> {
    writeln!(page, "{:<18} {:>7}  {:<28} what it is", "suite", "about", "profile")?;
    for name in catalogue::suite_names() {
        let Some((origin, text)) = catalogue::suite(name)? else { continue };
        let suite = suite::parse(name, &text)?;
        for profile in suite.profiles() {
            let mut length_s = 0.0;
            for member in suite.members(profile) {
                let (origin, scenario) = read::named(&catalogue::member(&origin, &member.run))?;
                let order = prepare::prepare(scenario, &origin)?;
                length_s += self::length_s(Some(order)).unwrap_or(0.0);
            }
            let members: Vec<&str> = suite.members(profile).map(|member| member.run.as_str()).collect();
            let minutes = format!("{:.0} min", (length_s / 60.0).ceil());
            writeln!(page, "{name:<18} {minutes:>7}  {profile:<28} {}: {}", suite.title, members.join(", "))?;
        }
    }
    page.push('\n');
    Ok(())
}

fn length_s(order: Option<prepare::Order>) -> Option<f64> {
    let order = order?;
    let plan = plan::draw(&order.scenario, &order.templates(), order.scenario.seed, "list").ok()?;
    Some(plan.length_s(order.speed))
}
