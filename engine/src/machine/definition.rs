//! Definitions as Conductor's REST API carries them: task definitions, workflow definitions and their tasks.
//!
//! Fields that the engine acts on are typed; all others are kept and echoed. Times are seconds on the wire,
//! whole or fractional, and milliseconds inside.

pub use super::seconds::Seconds;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A JSON object.
pub type Object = Map<String, Value>;

fn null_as_a_second<'de, D: Deserializer<'de>>(d: D) -> Result<Seconds, D::Error> {
    Ok(Option::<Seconds>::deserialize(d)?.unwrap_or(Seconds::whole(1)))
}

fn null_as_true<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    Ok(Option::<bool>::deserialize(d)?.unwrap_or(true))
}

/// Reads `null` as the type's zero: Conductor's primitives do.
fn null_as_zero<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

/// How the delay before a retry grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RetryLogic {
    /// Always the same delay.
    #[default]
    Fixed,
    /// delay × scale × (attempt + 1).
    LinearBackoff,
    /// delay × 2^attempt.
    ExponentialBackoff,
}

/// What a time-out of a task does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TimeoutPolicy {
    /// The attempt is TIMED_OUT and retried.
    Retry,
    /// The workflow ends TIMED_OUT.
    #[default]
    TimeOutWf,
    /// Nothing happens to the task.
    AlertOnly,
}

/// What a time-out of a workflow does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkflowTimeoutPolicy {
    /// The workflow ends TIMED_OUT.
    TimeOutWf,
    /// Nothing happens.
    #[default]
    AlertOnly,
}

/// The definition of a task type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskDef {
    /// Name of the type, which is the name of its queue.
    #[serde(deserialize_with = "null_as_zero")]
    pub name: String,
    /// Retries after the first attempt.
    #[serde(deserialize_with = "null_as_zero")]
    pub retry_count: i64,
    /// How the delay before a retry grows.
    #[serde(deserialize_with = "null_as_zero")]
    pub retry_logic: RetryLogic,
    /// Base delay before a retry.
    pub retry_delay_seconds: Seconds,
    /// Factor of linear back-off.
    #[serde(deserialize_with = "null_as_zero")]
    pub backoff_scale_factor: i64,
    /// Cap on the delay; 0 = none.
    pub max_retry_delay_seconds: Seconds,
    /// Upper end of the random addition to the delay, milliseconds.
    #[serde(deserialize_with = "null_as_zero")]
    pub backoff_jitter_ms: i64,
    /// Limit of one attempt from its first poll; 0 = none.
    pub timeout_seconds: Seconds,
    /// The lease: silence of the worker after which the attempt is TIMED_OUT.
    pub response_timeout_seconds: Seconds,
    /// Limit of the wait for a worker; none when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll_timeout_seconds: Option<Seconds>,
    /// Limit over all attempts from the first schedule; 0 = none.
    pub total_timeout_seconds: Seconds,
    /// What a time-out does.
    #[serde(deserialize_with = "null_as_zero")]
    pub timeout_policy: TimeoutPolicy,
    /// Tasks of the type that may be with workers at once; none or 0 = any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_exec_limit: Option<i64>,
    /// Tasks of the type that may be handed out in any span of `rate_limit_frequency_in_seconds`; 0 = any number.
    #[serde(deserialize_with = "null_as_zero")]
    pub rate_limit_per_frequency: i64,
    /// That span.
    #[serde(deserialize_with = "null_as_a_second")]
    pub rate_limit_frequency_in_seconds: Seconds,
    /// Inputs that a task gets where its own are missing or null.
    #[serde(deserialize_with = "null_as_zero")]
    pub input_template: Object,
    /// Everything else, kept and echoed.
    #[serde(flatten)]
    pub rest: Object,
}

impl Default for TaskDef {
    fn default() -> Self {
        Self {
            name: String::new(),
            retry_count: 3,
            retry_logic: RetryLogic::Fixed,
            retry_delay_seconds: Seconds::whole(60),
            backoff_scale_factor: 1,
            max_retry_delay_seconds: Seconds(0),
            backoff_jitter_ms: 0,
            timeout_seconds: Seconds(0),
            response_timeout_seconds: Seconds::whole(3600),
            poll_timeout_seconds: None,
            total_timeout_seconds: Seconds(0),
            timeout_policy: TimeoutPolicy::TimeOutWf,
            concurrent_exec_limit: None,
            rate_limit_per_frequency: 0,
            rate_limit_frequency_in_seconds: Seconds::whole(1),
            input_template: Object::new(),
            rest: Object::new(),
        }
    }
}

impl TaskDef {
    /// How many tasks of the type may be with workers at once, if that is limited.
    #[must_use]
    pub fn concurrency(&self) -> Option<usize> {
        self.concurrent_exec_limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0)
    }

    /// How many tasks of the type may be handed out in a span of so many milliseconds, if that is limited.
    #[must_use]
    pub fn rate(&self) -> Option<(usize, u64)> {
        let limit = usize::try_from(self.rate_limit_per_frequency).ok().filter(|limit| *limit > 0)?;
        Some((limit, self.rate_limit_frequency_in_seconds.set_ms()?))
    }

    /// The definition of a task that the engine does itself and whose name nobody registered.
    #[must_use]
    pub fn system(name: &str) -> Self {
        Self { retry_count: 0, response_timeout_seconds: Seconds(0), ..Self::ad_hoc(name) }
    }

    /// The definition of a type that nobody registered.
    #[must_use]
    pub fn ad_hoc(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// The kinds of task that the engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Done by a worker.
    Simple,
    /// Starts branches.
    Fork,
    /// Waits for branches.
    Join,
    /// Waits for a time, or for somebody to end it.
    Wait,
    /// Done by another workflow.
    SubWorkflow,
}

/// Which workflow does a SUB_WORKFLOW, and how it is started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubWorkflowParam {
    /// Name of its definition, or an expression for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version; none or 0 = the highest when it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Where its tasks go; none = where the parent's go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_to_domain: Option<std::collections::BTreeMap<String, String>>,
    /// A definition to use instead of a registered one, or an expression for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_definition: Option<Value>,
    /// Its priority, or an expression for it; none = the parent's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Value>,
    /// Everything else, kept and echoed.
    #[serde(flatten)]
    pub rest: Object,
}

/// One task of a workflow definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkflowTask {
    /// Name of the task type.
    #[serde(deserialize_with = "null_as_zero")]
    pub name: String,
    /// Name of this use of it, unique in the definition.
    #[serde(deserialize_with = "null_as_zero")]
    pub task_reference_name: String,
    /// `SIMPLE`, `FORK_JOIN`, `JOIN`, `WAIT` or `SUB_WORKFLOW`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Inputs, with expressions.
    #[serde(deserialize_with = "null_as_zero")]
    pub input_parameters: Object,
    /// The workflow goes on when it fails.
    #[serde(deserialize_with = "null_as_zero")]
    pub optional: bool,
    /// The workflow goes on when it fails, and fails at its end.
    #[serde(deserialize_with = "null_as_zero")]
    pub permissive: bool,
    /// Wait before the task can be polled.
    pub start_delay: Seconds,
    /// Retries, instead of the task definition's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_count: Option<i64>,
    /// Inline task definition, used instead of the registered one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<Box<TaskDef>>,
    /// Branches of a fork.
    #[serde(deserialize_with = "null_as_zero", skip_serializing_if = "Vec::is_empty")]
    pub fork_tasks: Vec<Vec<WorkflowTask>>,
    /// Reference names that a join waits for.
    #[serde(deserialize_with = "null_as_zero", skip_serializing_if = "Vec::is_empty")]
    pub join_on: Vec<String>,
    /// The workflow that does a SUB_WORKFLOW.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_workflow_param: Option<Box<SubWorkflowParam>>,
    /// Everything else, kept and echoed.
    #[serde(flatten)]
    pub rest: Object,
}

impl Default for WorkflowTask {
    fn default() -> Self {
        Self {
            name: String::new(),
            task_reference_name: String::new(),
            kind: "SIMPLE".to_owned(),
            input_parameters: Object::new(),
            optional: false,
            permissive: false,
            start_delay: Seconds(0),
            retry_count: None,
            task_definition: None,
            fork_tasks: Vec::new(),
            join_on: Vec::new(),
            sub_workflow_param: None,
            rest: Object::new(),
        }
    }
}

impl WorkflowTask {
    /// What the engine does with it; `None` for a type that it does not run.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self.kind.as_str() {
            "SIMPLE" => Some(Kind::Simple),
            "FORK_JOIN" => Some(Kind::Fork),
            "JOIN" => Some(Kind::Join),
            "WAIT" => Some(Kind::Wait),
            "SUB_WORKFLOW" => Some(Kind::SubWorkflow),
            _ => None,
        }
    }
}

/// The definition of a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkflowDef {
    /// Its name.
    #[serde(deserialize_with = "null_as_zero")]
    pub name: String,
    /// Its version, from 1.
    #[serde(deserialize_with = "null_as_zero")]
    pub version: i64,
    /// Its tasks in order.
    #[serde(deserialize_with = "null_as_zero")]
    pub tasks: Vec<WorkflowTask>,
    /// Its output, with expressions; empty = the output of the last task.
    #[serde(deserialize_with = "null_as_zero")]
    pub output_parameters: Object,
    /// Inputs that a start gets where its own are missing or null.
    #[serde(deserialize_with = "null_as_zero")]
    pub input_template: Object,
    /// Version of the format; only 2 exists.
    #[serde(deserialize_with = "null_as_zero")]
    pub schema_version: i64,
    /// What a time-out does.
    #[serde(deserialize_with = "null_as_zero")]
    pub timeout_policy: WorkflowTimeoutPolicy,
    /// Limit from the start, or from the last resume or retry; 0 = none.
    pub timeout_seconds: Seconds,
    /// Name of the workflow that starts when this one fails, or an expression for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_workflow: Option<String>,
    /// Its version; none = the highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_workflow_version: Option<i64>,
    /// Whether a COMPLETED workflow may begin anew.
    #[serde(deserialize_with = "null_as_true")]
    pub restartable: bool,
    /// Everything else, kept and echoed.
    #[serde(flatten)]
    pub rest: Object,
}

impl Default for WorkflowDef {
    fn default() -> Self {
        Self {
            name: String::new(),
            version: 1,
            tasks: Vec::new(),
            output_parameters: Object::new(),
            input_template: Object::new(),
            schema_version: 2,
            timeout_policy: WorkflowTimeoutPolicy::AlertOnly,
            timeout_seconds: Seconds(0),
            failure_workflow: None,
            failure_workflow_version: None,
            restartable: true,
            rest: Object::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_field_has_its_default_and_null_means_zero() {
        let missing: TaskDef = serde_json::from_str(r#"{"name":"a"}"#).unwrap();
        assert_eq!((missing.retry_count, missing.response_timeout_seconds), (3, Seconds::whole(3600)));
        let null: TaskDef = serde_json::from_str(r#"{"name":"a","retryCount":null}"#).unwrap();
        assert_eq!(null.retry_count, 0);
    }

    #[test]
    fn seconds_keep_fractions_and_print_whole_numbers_as_such() {
        let def: TaskDef = serde_json::from_str(r#"{"timeoutSeconds":0.25,"retryDelaySeconds":2}"#).unwrap();
        assert_eq!(def.timeout_seconds, Seconds(250));
        let text = serde_json::to_string(&def).unwrap();
        assert!(
            text.contains(r#""timeoutSeconds":0.25"#) && text.contains(r#""retryDelaySeconds":2,"#),
            "{text}"
        );
    }

    #[test]
    fn unknown_fields_are_kept() {
        let def: WorkflowDef = serde_json::from_str(r#"{"name":"a","ownerEmail":"x@example.com"}"#).unwrap();
        assert!(serde_json::to_string(&def).unwrap().contains("x@example.com"));
    }
}
