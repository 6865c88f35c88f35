//! What an answer says about the operation: done, not done, or nobody knows.

use shakedown_reports::history::Outcome;

/// The outcome that an HTTP status stands for.
///
/// 4xx is a no. 429, 503 and 507 are refusals before anything was done. Any other 5xx came after the request was
/// taken: it may have happened.
pub fn of_status(status: u16) -> Outcome {
    match status {
        200..=299 => Outcome::Ok,
        400..=499 | 503 | 507 => Outcome::Failed,
        _ => Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_from_what_may_have_happened() {
        for (status, outcome) in [
            (200, Outcome::Ok),
            (204, Outcome::Ok),
            (404, Outcome::Failed),
            (429, Outcome::Failed),
            (503, Outcome::Failed),
            (507, Outcome::Failed),
            (500, Outcome::Unknown),
            (502, Outcome::Unknown),
            (504, Outcome::Unknown),
            (302, Outcome::Unknown),
        ] {
            assert_eq!(of_status(status), outcome, "{status}");
        }
    }
}
