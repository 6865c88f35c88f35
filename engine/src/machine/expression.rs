//! Expressions: `${path}` in inputs and outputs, resolved against a workflow and its tasks.
//!
//! A string that is one expression becomes the value it names, with its type; expressions inside a longer
//! string become text. What does not resolve is null (`null` in text). `$${x}` is the literal `${x}`. Paths
//! are the part of JSONPath that definitions use: names, `['quoted names']`, `[index]` and `[*]`.

use super::bounds::MAX_EXPRESSION_DEPTH;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::rc::Rc;

/// Where names resolve.
pub trait Scope {
    /// The value of `root.field`, e.g. `workflow.input` or `t01.output`; `None` when there is none.
    fn field(&self, root: &str, field: &str) -> Option<Rc<Value>>;
    /// The value of a bare name, e.g. `CPEWF_TASK_ID`.
    fn bare(&self, name: &str) -> Option<Value>;
    /// True when an expression may give this value: one payload named often enough would not fit into memory.
    fn may_give(&self, value: &Value) -> bool;
}

/// The text between `${` and `}` is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{path}' is not a path that this engine resolves: {why}; use names, ['names'], [0] and [*]")]
pub struct NotAPath {
    path: String,
    why: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
    Each,
}

/// Replaces every expression in `value`. Keys of maps are not replaced.
pub fn evaluate(value: &Value, scope: &impl Scope) -> Value {
    match value {
        Value::String(text) => evaluate_text(text, scope, 0),
        Value::Array(items) => items.iter().map(|item| evaluate(item, scope)).collect(),
        Value::Object(map) => Value::Object(evaluate_map(map, scope)),
        other => other.clone(),
    }
}

/// Replaces every expression in the values of `map`.
pub fn evaluate_map(map: &Map<String, Value>, scope: &impl Scope) -> Map<String, Value> {
    map.iter().map(|(key, value)| (key.clone(), evaluate(value, scope))).collect()
}

/// The paths of all expressions in a value, for validation. One that holds expressions is not known before it is
/// evaluated; those inside it are looked at in its place.
///
/// # Errors
/// [`NotAPath`] when expressions are nested too deep.
pub fn paths(value: &Value) -> Result<Vec<String>, NotAPath> {
    let mut found = Vec::new();
    collect_paths(value, &mut found)?;
    Ok(found)
}

fn collect_paths(value: &Value, found: &mut Vec<String>) -> Result<(), NotAPath> {
    match value {
        Value::String(text) => collect_text(text, 0, found),
        Value::Array(items) => items.iter().try_for_each(|item| collect_paths(item, found)),
        Value::Object(map) => map.values().try_for_each(|item| collect_paths(item, found)),
        _ => Ok(()),
    }
}

fn collect_text(text: &str, depth: usize, found: &mut Vec<String>) -> Result<(), NotAPath> {
    let mut rest = text;
    while let Some((literal, path, after)) = next_expression(rest) {
        if depth >= MAX_EXPRESSION_DEPTH {
            let path = path.chars().take(80).collect();
            let why = format!("expressions are nested deeper than {MAX_EXPRESSION_DEPTH} levels");
            return Err(NotAPath { path, why });
        }
        match path.contains("${") {
            _ if literal.ends_with('$') => {}
            true => collect_text(path, depth + 1, found)?,
            false => found.push(path.to_owned()),
        }
        rest = after;
    }
    Ok(())
}

/// The first name of a path.
///
/// # Errors
/// [`NotAPath`] when the text is no path.
pub fn root(path: &str) -> Result<String, NotAPath> {
    match steps(path)?.into_iter().next() {
        Some(Step::Name(name)) => Ok(name),
        _ => Ok(String::from("workflow")),
    }
}

fn evaluate_text(text: &str, scope: &impl Scope, depth: usize) -> Value {
    if !text.contains("${") {
        return Value::String(text.to_owned());
    }
    if let Some(("", path, "")) = next_expression(text) {
        return resolve(path, scope, depth);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((literal, path, after)) = next_expression(rest) {
        if let Some(escaped) = literal.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            out.push_str(path);
            out.push('}');
        } else {
            out.push_str(literal);
            out.push_str(&as_text(&resolve(path, scope, depth)));
        }
        rest = after;
    }
    out.push_str(rest);
    Value::String(out)
}

/// Splits off the first `${…}`: what is before it, its inside (with balanced braces), what is after it.
fn next_expression(text: &str) -> Option<(&str, &str, &str)> {
    let open = text.find("${")?;
    let inside = &text[open + 2..];
    let mut depth = 1_usize;
    for (position, byte) in inside.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..open], &inside[..position], &inside[position + 1..]));
        }
    }
    None
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn resolve(path: &str, scope: &impl Scope, depth: usize) -> Value {
    if path.trim().is_empty() {
        return Value::String(String::new());
    }
    // Inner expressions first: ${a.${b}}.
    let whole = match path.contains("${") {
        // Registered definitions are not nested that deep.
        true if depth >= MAX_EXPRESSION_DEPTH => return Value::Null,
        true => Cow::Owned(as_text(&evaluate_text(path, scope, depth + 1))),
        false => Cow::Borrowed(path),
    };
    let Ok(steps) = steps(whole.trim()) else { return Value::Null };
    match steps.as_slice() {
        [Step::Name(name)] => scope.bare(name).unwrap_or(Value::Null),
        [Step::Name(root), Step::Name(field), rest @ ..] => {
            let found = scope.field(root, field).and_then(|value| walk(&value, rest));
            found.filter(|value| scope.may_give(value)).unwrap_or(Value::Null)
        }
        _ => Value::Null,
    }
}

fn walk(value: &Value, steps: &[Step]) -> Option<Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value.clone()) };
    match (step, value) {
        (Step::Name(name), Value::Object(map)) => walk(map.get(name)?, rest),
        (Step::Index(index), Value::Array(items)) => walk(items.get(*index)?, rest),
        (Step::Each, Value::Array(items)) => Some(items.iter().filter_map(|item| walk(item, rest)).collect()),
        (Step::Each, Value::Object(map)) => Some(map.values().filter_map(|item| walk(item, rest)).collect()),
        _ => None,
    }
}

fn steps(path: &str) -> Result<Vec<Step>, NotAPath> {
    let refuse = |why: &str| NotAPath { path: path.to_owned(), why: why.to_owned() };
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix("$.").unwrap_or(path);
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, after) = bracket(inside).ok_or_else(|| refuse("the part in [ ] is not understood"))?;
            steps.push(step);
            rest = after.strip_prefix('.').unwrap_or(after);
            continue;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() {
            return Err(refuse("a name is empty"));
        }
        if name.ends_with(')') {
            return Err(refuse("functions are not supported"));
        }
        steps.push(if name == "*" { Step::Each } else { Step::Name(name.to_owned()) });
        rest = after.strip_prefix('.').unwrap_or(after);
        if rest.is_empty() && after.starts_with('.') {
            return Err(refuse("it ends with a dot"));
        }
    }
    Ok(steps)
}

/// Reads what follows a `[`: a quoted name, an index or a star, up to and with the `]`.
fn bracket(inside: &str) -> Option<(Step, &str)> {
    for quote in ['\'', '"'] {
        if let Some(quoted) = inside.strip_prefix(quote) {
            let (name, after) = quoted.split_once(quote)?;
            return Some((Step::Name(name.to_owned()), after.strip_prefix(']')?));
        }
    }
    let (content, after) = inside.split_once(']')?;
    let step = if content == "*" { Step::Each } else { Step::Index(content.trim().parse().ok()?) };
    Some((step, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Fixed;
    impl Scope for Fixed {
        fn field(&self, root: &str, field: &str) -> Option<Rc<Value>> {
            let all = json!({"workflow": {"input": {"name": "x", "n": 3, "list": [{"v": 1}, {"v": 2}], "key": "n"}},
                "t1": {"output": {"a b": true}}});
            all.get(root)?.get(field).cloned().map(Rc::new)
        }
        fn may_give(&self, _: &Value) -> bool {
            true
        }
        fn bare(&self, name: &str) -> Option<Value> {
            (name == "CPEWF_TASK_ID").then(|| json!("id"))
        }
    }

    #[test]
    fn expressions_resolve_as_conductor_does() {
        for (text, expected) in [
            ("plain", json!("plain")),
            ("${workflow.input.n}", json!(3)),
            ("${workflow.input}", Fixed.field("workflow", "input").unwrap().as_ref().clone()),
            ("n=${workflow.input.n}!", json!("n=3!")),
            ("${workflow.input.missing}", json!(null)),
            ("a ${workflow.input.missing} b", json!("a null b")),
            ("${}", json!("")),
            ("$${workflow.input.n}", json!("${workflow.input.n}")),
            ("${workflow.input.${workflow.input.key}}", json!(3)),
            ("${workflow.input.list[1].v}", json!(2)),
            ("${workflow.input.list[*].v}", json!([1, 2])),
            ("${workflow.input.list[9].v}", json!(null)),
            ("${t1.output['a b']}", json!(true)),
            ("${CPEWF_TASK_ID}", json!("id")),
            ("${unclosed", json!("${unclosed")),
        ] {
            assert_eq!(evaluate(&json!(text), &Fixed), expected, "{text}");
        }
    }

    #[test]
    fn nesting_without_end_is_refused_and_never_followed() {
        let bomb = json!("${".repeat(5000) + &"}".repeat(5000));
        assert!(paths(&bomb).unwrap_err().to_string().contains("nested deeper"));
        assert_eq!(evaluate(&bomb, &Fixed), json!(null));
        assert_eq!(paths(&json!("${a.${b.c}}")).unwrap(), ["b.c"]);
    }

    #[test]
    fn the_root_of_a_path_is_found_or_the_path_refused() {
        assert_eq!(root("t1.output.x").as_deref(), Ok("t1"));
        for bad in ["a..b", "a.b[?(@.x)]", "a.b.length()", "a.", "a['x"] {
            assert!(root(bad).is_err(), "{bad}");
        }
    }
}
