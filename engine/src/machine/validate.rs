//! The rules that a definition must keep to be registered.

use super::bounds::{self, MAX_FORK_DEPTH, MAX_PARAMETER_DEPTH};
use super::definition::{Kind, Seconds, TaskDef, WorkflowDef, WorkflowTask};
use super::expression;
use super::rejection::{Rejection, Violation};
use super::wait;
use serde_json::Value;
use std::collections::BTreeSet;

/// Checks a task definition.
///
/// # Errors
/// [`Rejection::Violations`] with every broken rule.
pub fn task_def(def: &TaskDef) -> Result<(), Rejection> {
    let mut found = Vec::new();
    if def.name.trim().is_empty() {
        found.push(Violation::new("name", "TaskDef name cannot be null or empty", &def.name));
    }
    for (path, value, least) in [
        ("retryCount", def.retry_count, 0),
        ("backoffScaleFactor", def.backoff_scale_factor, 1),
        ("backoffJitterMs", def.backoff_jitter_ms, 0),
        ("concurrentExecLimit", def.concurrent_exec_limit.unwrap_or(0), 0),
        ("rateLimitPerFrequency", def.rate_limit_per_frequency, 0),
    ] {
        if value < least {
            found.push(Violation::new(path, format!("must be at least {least}"), value));
        }
    }
    for (path, value) in [
        ("retryDelaySeconds", def.retry_delay_seconds),
        ("rateLimitFrequencyInSeconds", def.rate_limit_frequency_in_seconds),
        ("maxRetryDelaySeconds", def.max_retry_delay_seconds),
        ("timeoutSeconds", def.timeout_seconds),
        ("totalTimeoutSeconds", def.total_timeout_seconds),
        ("pollTimeoutSeconds", def.poll_timeout_seconds.unwrap_or_default()),
    ] {
        if value < Seconds(0) {
            found.push(Violation::new(path, "must be at least 0 seconds", in_seconds(value)));
        }
    }
    time_limits(def, &mut found);
    reject_any(found)
}

/// How the limits of an attempt, of its silence and of all attempts must fit together.
fn time_limits(def: &TaskDef, found: &mut Vec<Violation>) {
    let (response, attempt, total) =
        (def.response_timeout_seconds, def.timeout_seconds, def.total_timeout_seconds);
    if response <= Seconds(0) {
        let message = "must be more than 0 seconds: it is the lease of a worker on the task";
        found.push(Violation::new("responseTimeoutSeconds", message, in_seconds(response)));
    }
    if attempt > Seconds(0) && response > attempt {
        let message = format!(
            "must be at most timeoutSeconds ({}); unset it is 3600, so a short timeoutSeconds needs it set",
            in_seconds(attempt)
        );
        found.push(Violation::new("responseTimeoutSeconds", message, in_seconds(response)));
    }
    if total > Seconds(0) && attempt > total {
        let message = format!("must be at most totalTimeoutSeconds ({})", in_seconds(total));
        found.push(Violation::new("timeoutSeconds", message, in_seconds(attempt)));
    }
}

fn in_seconds(span: Seconds) -> f64 {
    span.0 as f64 / 1000.0
}

/// Checks a workflow definition as it is registered.
///
/// # Errors
/// [`Rejection::Violations`] with every broken rule.
pub fn workflow_def(def: &WorkflowDef) -> Result<(), Rejection> {
    let mut found = Vec::new();
    if def.name.trim().is_empty() {
        found.push(Violation::new("name", "WorkflowDef name cannot be null or empty", &def.name));
    }
    if def.tasks.is_empty() {
        found.push(Violation::new("tasks", "WorkflowTask list cannot be empty", "[]"));
    }
    structure(def, &mut found);
    reject_any(found)
}

/// Checks a definition that comes with a start: the same rules, but it may be empty.
///
/// # Errors
/// [`Rejection::Violations`] with every broken rule.
pub fn inline_workflow_def(def: &WorkflowDef) -> Result<(), Rejection> {
    let mut found = Vec::new();
    structure(def, &mut found);
    reject_any(found)
}

fn reject_any(found: Vec<Violation>) -> Result<(), Rejection> {
    if found.is_empty() { Ok(()) } else { Err(Rejection::Violations(found)) }
}

fn structure(def: &WorkflowDef, found: &mut Vec<Violation>) {
    if def.schema_version != 2 {
        found.push(Violation::new("schemaVersion", "only 2 is supported", def.schema_version));
    }
    if def.version < 1 {
        found.push(Violation::new("version", "must be at least 1", def.version));
    }
    if def.timeout_seconds < Seconds(0) {
        found.push(Violation::new(
            "timeoutSeconds",
            "must be at least 0 seconds",
            in_seconds(def.timeout_seconds),
        ));
    }
    if let Some(name) = &def.failure_workflow {
        if name.trim().is_empty() {
            found.push(Violation::new("failureWorkflow", "must be a name, or be left out", name));
        }
        parameter("failureWorkflow".into(), &Value::from(name.as_str()), &|_| true, found);
    }
    let mut names = BTreeSet::new();
    list(&def.tasks, "tasks", 0, &mut names, found);
    expressions(def, &names, found);
}

fn not_yet(path: impl Into<String>, value: impl ToString) -> Violation {
    Violation::new(path, "this engine does not support it yet and will not pretend to", value)
}

fn list(
    tasks: &[WorkflowTask],
    path: &str,
    depth: usize,
    names: &mut BTreeSet<String>,
    found: &mut Vec<Violation>,
) {
    for (position, task) in tasks.iter().enumerate() {
        let here = format!("{path}[{position}]");
        one(task, &here, names, found);
        joins_only_what_came(task, &here, names, found);
        names.insert(task.task_reference_name.clone());
        match task.kind() {
            Some(Kind::Fork) if depth >= MAX_FORK_DEPTH => {
                let message = format!("forks are nested deeper than {MAX_FORK_DEPTH} levels");
                found.push(Violation::new(&here, message, &task.task_reference_name));
            }
            Some(Kind::Fork) => {
                let joined = tasks.get(position + 1).and_then(WorkflowTask::kind) == Some(Kind::Join);
                if !joined {
                    let message = "a FORK_JOIN must be followed by a JOIN";
                    found.push(Violation::new(&here, message, &task.task_reference_name));
                }
                if task.fork_tasks.is_empty() {
                    found.push(Violation::new(format!("{here}.forkTasks"), "must hold a branch", "[]"));
                }
                for (branch, tasks) in task.fork_tasks.iter().enumerate() {
                    list(tasks, &format!("{here}.forkTasks[{branch}]"), depth + 1, names, found);
                }
            }
            Some(Kind::Simple | Kind::Join | Kind::Wait | Kind::SubWorkflow)
                if !task.fork_tasks.is_empty() =>
            {
                let message = "only a FORK_JOIN has branches";
                found.push(Violation::new(format!("{here}.forkTasks"), message, &task.kind));
            }
            Some(Kind::Wait) => wait_for(task, &here, found),
            Some(Kind::SubWorkflow) => sub_workflow(task, &here, found),
            Some(Kind::Simple | Kind::Join) => {}
            None => {
                let message = "is not a type that this engine runs; it runs SIMPLE, FORK_JOIN, JOIN, WAIT and SUB_WORKFLOW";
                found.push(Violation::new(format!("{here}.type"), message, &task.kind));
            }
        }
    }
}

fn one(task: &WorkflowTask, here: &str, names: &BTreeSet<String>, found: &mut Vec<Violation>) {
    if task.name.trim().is_empty() {
        found.push(Violation::new(format!("{here}.name"), "WorkflowTask name cannot be empty", &task.name));
    }
    let reference = &task.task_reference_name;
    if reference.trim().is_empty() {
        let message = "WorkflowTask taskReferenceName cannot be empty";
        found.push(Violation::new(format!("{here}.taskReferenceName"), message, reference));
    } else if names.contains(reference) {
        let message =
            format!("taskReferenceName: {reference} should be unique across tasks for a given workflow");
        found.push(Violation::new(format!("{here}.taskReferenceName"), message, reference));
    }
    if task.retry_count.is_some_and(|count| count < 0) {
        let count = task.retry_count.unwrap_or_default();
        found.push(Violation::new(format!("{here}.retryCount"), "must be at least 0", count));
    }
    if task.start_delay < Seconds(0) {
        let delay = in_seconds(task.start_delay);
        found.push(Violation::new(format!("{here}.startDelay"), "must be at least 0 seconds", delay));
    }
    if let Some(def) = &task.task_definition {
        let named = TaskDef { name: task.name.clone(), ..(**def).clone() };
        if let Err(Rejection::Violations(inner)) = task_def(&named) {
            let prefix = |v: Violation| Violation { path: format!("{here}.taskDefinition.{}", v.path), ..v };
            found.extend(inner.into_iter().map(prefix));
        }
        if def.concurrency().is_some() || def.rate().is_some() {
            let message = "a limit counts for all tasks of a type: register the definition to set it";
            found.push(Violation::new(format!("{here}.taskDefinition"), message, &task.name));
        }
    }
}

/// What a WAIT waits for, as far as it can be told before it is there.
fn wait_for(task: &WorkflowTask, here: &str, found: &mut Vec<Violation>) {
    let literal = |value: &&Value| !value.as_str().is_some_and(|text| text.contains("${"));
    let mut input = task.input_parameters.clone();
    input.retain(|_, value| literal(&&*value));
    let at = format!("{here}.inputParameters");
    if let Err(why) = wait::read(&input) {
        found.push(Violation::new(at, why, Value::Object(input)));
    }
}

fn sub_workflow(task: &WorkflowTask, here: &str, found: &mut Vec<Violation>) {
    let at = format!("{here}.subWorkflowParam");
    let Some(param) = task.sub_workflow_param.as_deref() else {
        found.push(Violation::new(at, "a SUB_WORKFLOW needs the workflow that does it", "null"));
        return;
    };
    let definition = param.workflow_definition.as_ref().filter(|given| !given.is_null());
    if definition.is_none() && param.name.as_deref().is_none_or(|name| name.trim().is_empty()) {
        let message = "must be given, or else workflowDefinition";
        found.push(Violation::new(format!("{at}.name"), message, "null"));
    }
    for name in ["idempotencyKey", "idempotencyStrategy"] {
        if let Some(given) = param.rest.get(name).filter(|given| !given.is_null()) {
            found.push(not_yet(format!("{at}.{name}"), given));
        }
    }
    let texts = [param.name.clone().map(Value::from), param.priority.clone()];
    for value in texts.into_iter().flatten().chain(definition.filter(|given| given.is_string()).cloned()) {
        parameter(at.clone(), &value, &|_| true, found);
    }
    if let Some(given) = definition.filter(|given| given.is_object()) {
        let parsed = serde_json::from_value::<WorkflowDef>(given.clone());
        let checked = parsed
            .map_err(|error| error.to_string())
            .and_then(|def| inline_workflow_def(&def).map_err(|refusal| refusal.to_string()));
        if let Err(why) = checked {
            found.push(Violation::new(format!("{at}.workflowDefinition"), why, ""));
        }
    }
}

/// A join may wait for what stands before it; anything else could never be there when it is looked for.
fn joins_only_what_came(
    task: &WorkflowTask,
    here: &str,
    before: &BTreeSet<String>,
    found: &mut Vec<Violation>,
) {
    for name in task.join_on.iter().filter(|name| !before.contains(*name)) {
        let message = format!("'{name}' is not a taskReferenceName that stands before this join");
        found.push(Violation::new(format!("{here}.joinOn"), message, name));
    }
}

/// Inputs may refer to the workflow and to its tasks.
fn expressions(def: &WorkflowDef, names: &BTreeSet<String>, found: &mut Vec<Violation>) {
    let known = |root: &str| root == "workflow" || root == "CPEWF_TASK_ID" || names.contains(root);
    for (key, value) in &def.output_parameters {
        // A name that is nobody's gives null there, as in Conductor.
        parameter(format!("outputParameters.{key}"), value, &|_| true, found);
    }
    each_task(&def.tasks, &mut |task| {
        for (key, value) in &task.input_parameters {
            let at = format!("{}.inputParameters.{key}", task.task_reference_name);
            parameter(at, value, &known, found);
        }
    });
}

fn parameter(at: String, value: &Value, known: &impl Fn(&str) -> bool, found: &mut Vec<Violation>) {
    if !bounds::within_depth(value, MAX_PARAMETER_DEPTH) {
        let message = format!("is nested deeper than {MAX_PARAMETER_DEPTH} levels");
        found.push(Violation::new(at, message, ""));
        return;
    }
    let paths = match expression::paths(value) {
        Ok(paths) => paths,
        Err(problem) => {
            found.push(Violation::new(at, problem.to_string(), ""));
            return;
        }
    };
    for path in paths {
        match expression::root(&path) {
            Err(problem) => found.push(Violation::new(&at, problem.to_string(), &path)),
            Ok(root) if !known(&root) => {
                let message = format!("'{root}' is neither 'workflow' nor a taskReferenceName");
                found.push(Violation::new(&at, message, &path));
            }
            Ok(_) => {}
        }
    }
}

fn each_task(tasks: &[WorkflowTask], visit: &mut impl FnMut(&WorkflowTask)) {
    for task in tasks {
        visit(task);
        for branch in &task.fork_tasks {
            each_task(branch, visit);
        }
    }
}
