//! The run record's format, the checks, the statistics, the gates and the renderers.
//!
//! Everything here is a function from the files of a run directory to a verdict and documents: no clock,
//! no network, no process. A run that was judged once can be judged again, anywhere, with the same result.
//!
//! ```text
//! definition + durations ─▶ plan::Template          (what the harness plans with)
//!
//! plan.jsonl ──────▶ plan::Plan ──┐
//! history.jsonl ─▶ history::History ─┴▶ joined ─▶ measure ─┬▶ validity ─┐
//!                                          │               ├▶ gate ─────┼▶ judge::Summary ─▶ render
//!                                          └▶ check ───────┴────────────┘
//! ```
//!
//! [`rundir::judge_dir`] does all of it for one directory and is the only code that touches the disk;
//! [`judge::judge`] is the pure function inside. [`render::terminal::render`] is what a person reads at the end,
//! and [`judge::Summary::exit_code`] what the process returns.

pub mod bottleneck;
pub mod check;
pub mod definition;
mod disturbed;
pub mod durations;
pub mod exit_code;
pub mod gate;
mod hand_outs;
pub mod histogram;
pub mod history;
pub mod joined;
pub mod jsonl;
pub mod judge;
pub mod measure;
pub mod path;
pub mod plan;
pub mod recovery;
pub mod render;
mod rewind;
pub mod rundir;
pub mod statistics;
mod strangers;
pub mod suite;
pub mod timeline;
pub mod trend;
pub mod validity;
