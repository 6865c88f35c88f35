//! Progress for a person at a terminal; nothing at all for a pipe.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// A bar on stderr, or nothing when stderr isn't a terminal.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that knows no length yet.
    pub fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if terminal {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar }
    }

    /// Names what is being done now.
    pub fn phase(&self, what: &str) {
        self.bar.set_style(style("{spinner} {msg} ({elapsed})"));
        self.bar.set_message(what.to_owned());
    }

    /// Begins a level that has so many tasks to be done.
    pub fn level(&self, name: &str, tasks: u64) {
        self.bar.set_style(style("{spinner} {msg} {wide_bar} {pos}/{len} tasks ({elapsed})"));
        self.bar.set_message(format!("level {name}"));
        self.bar.set_length(tasks);
        self.bar.set_position(0);
    }

    /// So many tasks of the level are done.
    pub fn tasks(&self, done: u64) {
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
