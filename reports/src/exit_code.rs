//! The exit codes of a run, and which of several wins.

/// Passed.
pub const PASSED: u8 = 0;
/// A gate or a check failed.
pub const FAILED: u8 = 1;
/// Not enough evidence for a verdict.
pub const UNKNOWN: u8 = 2;
/// The run is invalid: the driver was the limit, or the history isn't whole.
pub const INVALID: u8 = 3;
/// Wrong arguments or scenario, or the machine lacks what the scenario needs.
pub const USAGE: u8 = 4;
/// The tool itself failed.
pub const TOOL_FAILED: u8 = 5;
/// The environment could not be healed.
pub const NOT_HEALED: u8 = 6;
/// A person interrupted the run.
pub const INTERRUPTED: u8 = 130;

/// From the one that wins over all others to the one that any other wins over.
pub const PRECEDENCE: [u8; 8] =
    [INTERRUPTED, NOT_HEALED, TOOL_FAILED, USAGE, INVALID, FAILED, UNKNOWN, PASSED];

/// The exit code of several. Of none at all it is [`UNKNOWN`]; a code that isn't listed counts as
/// [`TOOL_FAILED`].
pub fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    let rank = |code: u8| PRECEDENCE.iter().position(|p| *p == code);
    let known = codes.into_iter().map(|c| rank(c).map_or(TOOL_FAILED, |_| c));
    known.min_by_key(|c| rank(*c)).unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_in_precedence_wins_in_any_order() {
        assert_eq!(worst([0, 2, 1, 3, 4, 5, 6, 130]), 130);
        assert_eq!(worst([1, 2, 0]), 1, "a failure is worse than no evidence, though its number is lower");
        assert_eq!(worst([1, 3]), 3, "an invalid run has no failures to tell of");
        assert_eq!(worst([0, 2]), 2);
        assert_eq!(worst([0, 0]), 0);
        assert_eq!(worst([]), 2, "no evidence is not a pass");
        assert_eq!(worst([0, 77]), 5);
    }
}
