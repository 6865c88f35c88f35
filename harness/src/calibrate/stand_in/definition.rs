//! What the stand-in understands of a workflow definition: a sequence of SIMPLE tasks.

use serde_json::{Map, Value};

/// A definition that it can run.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Its tasks, in the order in which they are done.
    pub steps: Vec<Step>,
    /// As it was registered.
    pub given: Value,
}

/// A task of it.
#[derive(Debug, Clone)]
pub struct Step {
    /// Type, the name of the queue.
    pub task_type: String,
    /// Reference name.
    pub reference: String,
    /// `inputParameters`, with their expressions.
    pub input: Map<String, Value>,
}

impl Definition {
    /// Reads a definition; says why when it can't be run.
    pub fn read(given: Value) -> Result<Self, String> {
        let name = given["name"].as_str().ok_or("a workflow definition needs a name")?.to_owned();
        let tasks = given["tasks"].as_array().ok_or("a workflow definition needs tasks")?;
        let steps = tasks.iter().map(step).collect::<Result<_, _>>()?;
        Ok(Self { name, steps, given })
    }
}

fn step(task: &Value) -> Result<Step, String> {
    let kind = task["type"].as_str().unwrap_or("SIMPLE");
    if kind != "SIMPLE" {
        return Err(format!("the calibration's stand-in runs sequences of SIMPLE tasks only, not {kind}"));
    }
    let text = |key: &str| task[key].as_str().map(str::to_owned).ok_or(format!("a task needs {key}"));
    Ok(Step {
        task_type: text("name")?,
        reference: text("taskReferenceName")?,
        input: task["inputParameters"].as_object().cloned().unwrap_or_default(),
    })
}

/// `value` with every text `${REF.output.KEY}` replaced by what `output` says of it; null where it says nothing.
pub fn resolve(value: &Value, output: &impl Fn(&str, &str) -> Option<Value>) -> Value {
    match value {
        Value::String(text) => match expression(text) {
            Some((reference, key)) => output(reference, key).unwrap_or(Value::Null),
            None => value.clone(),
        },
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), resolve(member, output))).collect()
        }
        other => other.clone(),
    }
}

fn expression(text: &str) -> Option<(&str, &str)> {
    let (reference, rest) = text.strip_prefix("${")?.strip_suffix('}')?.split_once('.')?;
    Some((reference, rest.strip_prefix("output.")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_predecessor_gave_is_put_in_and_what_it_did_not_is_null() {
        let output = |reference: &str, key: &str| (reference == "a" && key == "nonce").then(|| json!("n1"));
        let input = json!({ "after": { "a": "${a.output.nonce}", "b": "${b.output.nonce}" }, "x": 1 });
        assert_eq!(resolve(&input, &output), json!({ "after": { "a": "n1", "b": null }, "x": 1 }));
    }

    #[test]
    fn only_sequences_are_taken() {
        let fork =
            json!({ "name": "f", "tasks": [{ "type": "FORK_JOIN", "name": "f", "taskReferenceName": "f" }] });
        assert!(Definition::read(fork).unwrap_err().contains("FORK_JOIN"));
    }
}
