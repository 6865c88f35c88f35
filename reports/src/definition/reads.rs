//! What the expressions of a definition read: `${ref.output.x}` and its like.

use serde_json::Value;

/// One expression and the name that it starts with.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    /// As written, with its braces.
    pub(super) expression: String,
    /// Up to the first dot or bracket.
    pub(super) name: String,
    /// False for a bare name, which a server may resolve from its environment.
    pub(super) must_be_a_task: bool,
}

/// All expressions in the strings of `value`, those on `workflow` left out.
pub(super) fn expressions(value: &Value) -> Vec<Read> {
    let mut found = Vec::new();
    collect(value, &mut found);
    found
}

fn collect(value: &Value, found: &mut Vec<Read>) {
    match value {
        Value::String(text) => in_text(text, found),
        Value::Array(items) => items.iter().for_each(|v| collect(v, found)),
        Value::Object(map) => map.values().for_each(|v| collect(v, found)),
        _ => {}
    }
}

/// `$${` is an escape. Of nested expressions the inner one is read by itself and the outer one by its name.
fn in_text(text: &str, found: &mut Vec<Read>) {
    for (at, _) in text.match_indices("${") {
        if text[..at].ends_with('$') {
            continue;
        }
        let rest = &text[at + 2..];
        let end = rest.find(['.', '[', '}', '$']).unwrap_or(rest.len());
        let name = rest[..end].trim();
        let bare = rest[end..].starts_with('}');
        if name.is_empty() || name == "workflow" {
            continue;
        }
        let close = rest.find('}').map_or(text.len(), |i| at + 2 + i + 1);
        found.push(Read {
            expression: text[at..close].to_owned(),
            name: name.to_owned(),
            must_be_a_task: !bare,
        });
    }
}

/// The references whose nonce the task's input `after` carries: `"after": {"x": "${x.output.nonce}"}`.
pub(super) fn carried_nonces(inputs: &Value) -> Vec<String> {
    let Some(after) = inputs.get("after").and_then(Value::as_object) else { return Vec::new() };
    after
        .iter()
        .filter(|(key, value)| value.as_str() == Some(&format!("${{{key}.output.nonce}}")))
        .map(|(key, _)| key.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn finds_names_in_every_corner() {
        let value = json!({
            "a": "${t1.output.x} and ${t2['output']}",
            "b": [{"c": "${workflow.input.p}"}, "$${t3.output}", "${CPEWF_TASK_ID}"],
        });
        let names: Vec<(String, bool)> =
            expressions(&value).into_iter().map(|r| (r.name, r.must_be_a_task)).collect();
        assert_eq!(
            names,
            [("t1".into(), true), ("t2".into(), true), ("CPEWF_TASK_ID".into(), false)],
            "an escape and the workflow's own input are not reads of a task"
        );
    }

    #[test]
    fn only_a_nonce_under_its_own_name_is_carried() {
        let inputs = json!({"after": {"t1": "${t1.output.nonce}", "t2": "${t1.output.nonce}", "t3": 3}});
        assert_eq!(carried_nonces(&inputs), ["t1"]);
        assert!(carried_nonces(&json!({"after": "yesterday"})).is_empty());
    }
}
