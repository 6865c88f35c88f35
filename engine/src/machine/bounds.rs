//! Bounds on what comes in, so that nothing that was accepted can ever be too deep or too large to be read back.
//!
//! The journal's reader refuses JSON nested deeper than 127 levels. What a workflow can build out of accepted
//! parts stays below that: a payload, inside a join's outputs, inside a definition's parameters, inside an event.

use super::payload::Payload;
use super::rejection::Rejection;
use serde_json::Value;

/// Levels that an input, an output or a parameter's value may be nested.
pub const MAX_DEPTH: usize = 64;
/// Levels that parameters of a definition may be nested.
pub const MAX_PARAMETER_DEPTH: usize = 16;
/// Levels that forks may be nested.
pub const MAX_FORK_DEPTH: usize = 8;
/// Expressions inside expressions.
pub const MAX_EXPRESSION_DEPTH: usize = 8;
/// Bytes of input that one decision may give to the tasks that it schedules. Conductor takes 3 MB a task.
pub const MAX_DECIDED_BYTES: usize = 16 << 20;
/// Lines of a task's log that are kept: the newest ones.
pub const MAX_LOG_ENTRIES: usize = 1000;
/// Lines that one update may add to a task's log; Conductor keeps as many.
pub const MAX_LOGS_AT_ONCE: usize = 10;
/// Characters of a line of a task's log that are kept.
pub const MAX_LOG_CHARACTERS: usize = 32_768;
/// Workflows above a sub-workflow: what starts itself ends there.
pub const MAX_CHILD_DEPTH: u8 = 16;
/// Failure workflows that fail one after the other.
pub const MAX_ALARMS: u8 = 3;
/// Tasks that one poll may take.
pub const MAX_POLL_COUNT: usize = 1000;

/// True when `value` is nested at most `levels` deep. Looks no deeper than that.
#[must_use]
pub fn within_depth(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| within_depth(item, levels - 1)),
        Value::Object(map) => levels > 0 && map.values().all(|item| within_depth(item, levels - 1)),
        _ => true,
    }
}

/// Refuses a payload that is nested too deep.
///
/// # Errors
/// [`Rejection::Invalid`] that names `what`.
pub fn check_payload(what: &str, payload: &Payload) -> Result<(), Rejection> {
    if depth(payload.text()) <= MAX_DEPTH {
        return Ok(());
    }
    Err(Rejection::Invalid(format!("{what} is nested deeper than {MAX_DEPTH} levels; flatten it")))
}

/// How deep JSON text is nested; it is not parsed.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!(1), |inner, _| json!([inner]))
    }

    #[test]
    fn depth_is_counted_in_levels() {
        assert!(within_depth(&json!("flat"), 0));
        assert!(within_depth(&nested(MAX_DEPTH), MAX_DEPTH));
        assert!(!within_depth(&nested(MAX_DEPTH + 1), MAX_DEPTH));
        assert!(
            check_payload("input", &nested(MAX_DEPTH + 1).into()).unwrap_err().to_string().contains("input")
        );
    }

    #[test]
    fn text_is_as_deep_as_its_value() {
        for (text, levels) in
            [("1", 0), ("[]", 1), (r#"{"a[[": "}\\\"{{", "b": [[{}]]}"#, 4), (r#"["\\", [1]]"#, 2)]
        {
            assert_eq!(depth(text), levels, "{text}");
            let value: Value = serde_json::from_str(text).unwrap();
            assert!(within_depth(&value, levels));
            assert!(levels == 0 || !within_depth(&value, levels - 1));
        }
    }
}
