//! One story: what happens in it is drawn from its seed.

use crate::oracle::What;
use crate::plants::Plant;
use crate::world::{Told, World};
use shakedown_engine::store::faulty::Fault;

/// Moments of a story before it is brought to its end.
const MOMENTS: usize = 120;
/// Rounds in which diligent workers must have ended everything.
const ROUNDS: usize = 120;
/// Workflows in one story.
const WORKFLOWS: usize = 24;

pub struct Played {
    pub verdict: Told,
    pub story: String,
    pub digest: (u64, u64, usize),
    pub crashes: u64,
}

pub fn play(seed: u64, plant: Option<Plant>) -> Played {
    let mut world = World::new(seed, plant);
    let verdict = acts(&mut world);
    Played { verdict, story: world.story(), digest: world.digest(), crashes: world.crashes }
}

fn acts(world: &mut World) -> Told {
    world.open()?;
    world.define();
    world.step()?;
    for _ in 0..MOMENTS {
        moment(world)?;
    }
    world.disk.mend();
    world.open()?;
    end(world)?;
    // Everything is there after one more restart, too.
    let kept = world.dice.draw(1001);
    world.crash(Some(kept));
    world.open()?;
    count(world)
}

fn moment(world: &mut World) -> Told {
    let ms = match world.dice.draw(100) {
        0..40 => 0,
        40..80 => 1 + world.dice.draw(300),
        80..98 => 1000 + world.dice.draw(2000),
        _ => 10_000,
    };
    world.pass(ms);
    if world.dice.percent(7) {
        let calls = world.dice.draw(6);
        let fault = fault(world);
        world.disk.plan(calls, fault);
    }
    match world.dice.draw(100) {
        0 => world.crash(None),
        1 => {
            let kept = world.dice.draw(1001);
            world.crash(Some(kept));
        }
        _ => {}
    }
    world.open()?;
    for _ in 0..world.dice.draw(6) {
        ask(world);
    }
    world.step()?;
    for _ in 0..world.dice.draw(3) {
        world.archive();
    }
    if world.dice.percent(3) { count(world) } else { Ok(()) }
}

fn fault(world: &mut World) -> Fault {
    match world.dice.draw(8) {
        0 => Fault::PowerBefore,
        1 | 2 => Fault::PowerBetween,
        3 => Fault::PowerAfter,
        4 => Fault::Fails,
        5 => Fault::TimedOut,
        _ => Fault::Full(world.dice.draw(5) as u32),
    }
}

fn ask(world: &mut World) {
    let dice = world.dice.draw(100);
    let ids = world.oracle.workflows();
    match dice {
        0..14 if ids.len() < WORKFLOWS => {
            let plot = world.dice.draw(4) as usize;
            world.start(plot);
        }
        0..40 => {
            let (queue, count) = (world.dice.draw(3) as usize, 1 + world.dice.draw(3) as usize);
            let wait_ms = if world.dice.percent(30) { world.dice.draw(2000) } else { 0 };
            world.poll(queue, count, wait_ms);
        }
        40..72 => work(world),
        72 => world.define(),
        _ => {
            let Some(id) = world.dice.pick(&ids) else { return };
            let status = world.oracle.status(id).unwrap_or("RUNNING");
            let what = match (dice, status) {
                (73..78, _) => What::Pause,
                (78..85, "PAUSED") | (78..79, _) => What::Resume,
                (85..93, "FAILED" | "TIMED_OUT" | "TERMINATED") | (85..86, _) => What::Retry,
                (93, _) => What::Terminate,
                (94, "COMPLETED" | "FAILED" | "TIMED_OUT" | "TERMINATED") => What::Restart,
                (95, _) => What::ResetCallbacks,
                (96, _) if world.dice.percent(30) => What::Remove,
                _ => return world.read(id),
            };
            world.change(id, what);
        }
    }
}

/// A worker tells of a task: mostly of one that it was handed lately.
fn work(world: &mut World) {
    let recent = world.tasks.len().saturating_sub(8);
    let of = if world.dice.percent(85) { &world.tasks[recent..] } else { &world.tasks[..] };
    let of = of.to_vec();
    let Some(task) = world.dice.pick(&of) else { return };
    let status = match world.dice.draw(100) {
        0..62 => "COMPLETED",
        62..80 => "FAILED",
        80..83 => "FAILED_WITH_TERMINAL_ERROR",
        83..84 => "CANCELED",
        84..92 => "IN_PROGRESS",
        _ => return world.change(task.workflow, What::Extend { seq: task.sequence }),
    };
    let and_poll = world.dice.percent(20);
    world.report(task, status, and_poll);
}

/// The disk is well, workers do all that there is to do: everything must come to its end.
fn end(world: &mut World) -> Told {
    for _ in 0..ROUNDS {
        // The power may be gone, and the engine not know it yet.
        world.open()?;
        let ids = world.oracle.workflows();
        ids.iter().for_each(|id| world.read(*id));
        world.step()?;
        let open: Vec<_> = ids
            .into_iter()
            .filter(|id| matches!(world.oracle.status(*id), None | Some("RUNNING" | "PAUSED")))
            .collect();
        if open.is_empty() {
            world.pass(1000);
            return count(world);
        }
        for id in open.into_iter().filter(|id| world.oracle.status(*id) == Some("PAUSED")).collect::<Vec<_>>()
        {
            world.change(id, What::Resume);
        }
        let known = world.tasks.len();
        (0..3).for_each(|queue| world.poll(queue, 50, 0));
        world.step()?;
        let handed = world.tasks.split_off(known);
        world.tasks.extend(&handed);
        for task in handed {
            world.report(task, "COMPLETED", false);
        }
        world.step()?;
        world.archive();
        world.pass(1100);
    }
    let open: Vec<_> = world.oracle.workflows();
    let open = open.into_iter().filter(|id| matches!(world.oracle.status(*id), Some("RUNNING" | "PAUSED")));
    Err(format!("these never end: {:?}", open.collect::<Vec<_>>()))
}

/// A search finds what there is, and what ended reads the same from the archive.
fn count(world: &mut World) -> Told {
    let Some(found) = world.find("correlationId = s*")? else { return Ok(()) };
    let ids = world.oracle.workflows();
    let (must, may) = world.oracle.found(world.now());
    let lost: Vec<_> = must.iter().filter(|id| !found.contains(id)).collect();
    let wrong: Vec<_> = found.iter().filter(|id| !may.contains(id)).collect();
    if !lost.is_empty() || !wrong.is_empty() {
        return Err(format!("a search does not find {lost:?}, and finds {wrong:?}"));
    }
    ids.into_iter().for_each(|id| world.read(id));
    world.step()
}
