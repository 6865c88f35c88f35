//! A snapshot: a workflow definition with its task definitions as they were at a start, flattened for running.
//!
//! Running workflows keep the definitions that they started with. All workflows that started under the same
//! definitions share one snapshot.

use super::definition::{Kind, TaskDef, WorkflowDef, WorkflowTask};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// Position of a task in [`Snapshot::nodes`].
pub type NodeIndex = u32;

/// One task of a definition, with where the flow goes from it.
#[derive(Debug)]
pub struct Node {
    /// The task as defined, without its branches (they are nodes of their own).
    pub task: WorkflowTask,
    /// What the engine does with it.
    pub kind: Kind,
    /// The task definition in force: inline, else registered, else the defaults; none for forks and joins.
    pub def: Option<Arc<TaskDef>>,
    /// Its type's name, shared: that of the queue for workers of no domain.
    pub queue: Arc<str>,
    /// The next task of the same list.
    pub next: Option<NodeIndex>,
    /// The task before it in the same list.
    pub previous: Option<NodeIndex>,
    /// The fork whose branch it is in.
    pub within: Option<NodeIndex>,
    /// First task of each branch of a fork.
    pub branches: Vec<NodeIndex>,
    /// Nodes that a join waits for.
    pub join_on: Vec<NodeIndex>,
    /// The task as JSON, branches included: every task record carries it.
    pub json: Box<RawValue>,
}

/// Definitions as they were at a start.
#[derive(Debug)]
pub struct Snapshot {
    /// The workflow's definition.
    pub def: WorkflowDef,
    /// Definition of each registered task type in it.
    pub task_defs: BTreeMap<String, TaskDef>,
    /// Its tasks, in definition order.
    pub nodes: Vec<Node>,
    /// Those of the outermost list.
    pub top: Vec<NodeIndex>,
    /// True when some of them are done by other workflows.
    pub has_children: bool,
    /// The definition as JSON.
    pub json: Box<RawValue>,
    /// The same for snapshots of equal definitions.
    pub hash: u64,
    by_reference: BTreeMap<String, NodeIndex>,
}

impl Node {
    /// The type as clients read it: a worker's task has its own name, the others have that of their kind.
    #[must_use]
    pub fn task_type(&self) -> &str {
        match self.kind {
            Kind::Simple => &self.task.name,
            Kind::Fork => "FORK",
            Kind::Join => "JOIN",
            Kind::Wait => "WAIT",
            Kind::SubWorkflow => "SUB_WORKFLOW",
        }
    }
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.def == other.def && self.task_defs == other.task_defs
    }
}

impl Snapshot {
    /// Flattens a definition; types without a definition of their own get the defaults.
    #[must_use]
    pub fn new(def: WorkflowDef, task_defs: BTreeMap<String, TaskDef>) -> Self {
        let mut nodes = Vec::new();
        flatten(&def.tasks, None, &mut nodes);
        let by_reference: BTreeMap<String, NodeIndex> = nodes
            .iter()
            .zip(0..)
            .map(|(node, index)| (node.task.task_reference_name.clone(), index))
            .collect();
        for node in &mut nodes {
            node.join_on =
                node.task.join_on.iter().filter_map(|name| by_reference.get(name).copied()).collect();
            let own =
                node.task.task_definition.as_deref().or_else(|| task_defs.get(&node.task.name)).cloned();
            node.def = match node.kind {
                Kind::Fork | Kind::Join => None,
                Kind::Simple => own.or_else(|| Some(TaskDef::ad_hoc(&node.task.name))),
                Kind::Wait | Kind::SubWorkflow => own.or_else(|| Some(TaskDef::system(&node.task.name))),
            }
            .map(Arc::new);
        }
        let json = raw(&def);
        let hash = hash(json.get(), &task_defs);
        let top = nodes.iter().zip(0..).filter(|(node, _)| node.within.is_none()).map(|(_, at)| at).collect();
        let has_children = nodes.iter().any(|node| node.kind == Kind::SubWorkflow);
        Self { def, task_defs, nodes, top, has_children, json, hash, by_reference }
    }

    /// What a workflow has until it is attached to its definitions.
    #[must_use]
    pub fn none() -> Arc<Self> {
        static NONE: OnceLock<Arc<Snapshot>> = OnceLock::new();
        Arc::clone(NONE.get_or_init(|| Arc::new(Self::new(WorkflowDef::default(), BTreeMap::new()))))
    }

    /// The node at `index`.
    #[must_use]
    pub fn node(&self, index: NodeIndex) -> &Node {
        &self.nodes[index as usize]
    }

    /// The node of a reference name.
    #[must_use]
    pub fn find(&self, reference: &str) -> Option<NodeIndex> {
        self.by_reference.get(reference).copied()
    }

    /// Names of the task types in a definition that may be registered.
    pub fn task_names(def: &WorkflowDef) -> Vec<String> {
        let mut nodes = Vec::new();
        flatten(&def.tasks, None, &mut nodes);
        let named = nodes.into_iter().filter(|node| !matches!(node.kind, Kind::Fork | Kind::Join));
        named.map(|node| node.task.name).collect()
    }
}

/// Appends the nodes of a list and of the branches below it; answers the index of the first.
fn flatten(tasks: &[WorkflowTask], within: Option<NodeIndex>, nodes: &mut Vec<Node>) -> Option<NodeIndex> {
    let mut first = None;
    let mut previous: Option<NodeIndex> = None;
    for task in tasks {
        let Some(kind) = task.kind() else { continue };
        let index = nodes.len() as NodeIndex;
        let bare = WorkflowTask { fork_tasks: Vec::new(), ..task.clone() };
        nodes.push(Node {
            task: bare,
            kind,
            def: None,
            queue: task.name.as_str().into(),
            next: None,
            previous,
            within,
            branches: Vec::new(),
            join_on: Vec::new(),
            json: raw(task),
        });
        let branches =
            task.fork_tasks.iter().filter_map(|branch| flatten(branch, Some(index), nodes)).collect();
        nodes[index as usize].branches = branches;
        if let Some(previous) = previous {
            nodes[previous as usize].next = Some(index);
        }
        previous = Some(index);
        first = first.or(Some(index));
    }
    first
}

/// Never stored, so it may differ between versions of the standard library.
fn hash(def: &str, task_defs: &BTreeMap<String, TaskDef>) -> u64 {
    let mut hasher = DefaultHasher::new();
    def.hash(&mut hasher);
    raw(task_defs).get().hash(&mut hasher);
    hasher.finish()
}

fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("definitions came from JSON and hold string keys only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fork_knows_its_branches_and_the_join_after_it() {
        let def: WorkflowDef = serde_json::from_value(json!({"name": "w", "tasks": [
            {"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [
                [{"name": "a", "taskReferenceName": "a"}, {"name": "b", "taskReferenceName": "b"}],
                [{"name": "c", "taskReferenceName": "c"}]]},
            {"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["b", "c"]}]}))
        .unwrap();
        let snapshot = Snapshot::new(def, BTreeMap::new());
        let at = |reference| snapshot.find(reference).unwrap();
        let fork = snapshot.node(at("f"));
        assert_eq!(fork.branches, [at("a"), at("c")]);
        assert_eq!(fork.next, Some(at("j")));
        assert_eq!(snapshot.node(at("a")).next, Some(at("b")));
        assert_eq!(snapshot.node(at("b")).next, None);
        assert_eq!(snapshot.node(at("j")).join_on, [at("b"), at("c")]);
        assert_eq!((fork.within, snapshot.node(at("c")).within), (None, Some(at("f"))));
        assert_eq!(snapshot.node(at("j")).previous, Some(at("f")));
    }
}
