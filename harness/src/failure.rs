//! An error that knows the exit code it ends the program with.

use shakedown_reports::exit_code;
use std::fmt;

/// What a command fails with: an exit code and the chain of what went wrong.
#[derive(Debug)]
pub struct Failure {
    /// One of [`exit_code`].
    pub code: u8,
    /// What was tried, on what, and what to do next.
    pub error: anyhow::Error,
}

/// The result of a command.
pub type Result<T> = std::result::Result<T, Failure>;

/// Where no other code was given, it was the tool that failed.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { code: exit_code::TOOL_FAILED, error: error.into() }
    }
}

/// Says whose fault an error is.
pub trait Blame<T> {
    /// The arguments, the scenario, or a capability that is missing here.
    fn blame_input(self) -> Result<T>;
    /// The target, before any load: the run would not be valid.
    fn blame_target(self) -> Result<T>;
}

impl<T, E: Into<anyhow::Error>> Blame<T> for std::result::Result<T, E> {
    fn blame_input(self) -> Result<T> {
        self.map_err(|error| Failure { code: exit_code::USAGE, error: error.into() })
    }

    fn blame_target(self) -> Result<T> {
        self.map_err(|error| Failure { code: exit_code::INVALID, error: error.into() })
    }
}

impl fmt::Display for Failure {
    /// The whole chain, once, on one line a link.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        for cause in self.error.chain().skip(1) {
            write!(f, "\n  because: {cause}")?;
        }
        Ok(())
    }
}
