//! `summary.json`: the summary as it is, for machines.

use crate::judge::Summary;

/// The summary as indented JSON with a line end.
///
/// # Errors
/// A fault of serde_json, which none of the types in use has.
pub fn render(summary: &Summary) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(summary)? + "\n")
}
