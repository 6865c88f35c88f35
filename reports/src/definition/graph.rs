//! From the JSON of a definition to a graph whose edges all point backwards.

use super::{DefinitionError, reads};
use serde_json::Value;
use std::collections::BTreeSet;

/// A definition, read. Nodes stand in definition order, so that every edge points to a smaller index.
pub(super) struct Graph<'a> {
    /// Name of the definition.
    pub(super) name: &'a str,
    nodes: Vec<Node<'a>>,
}

#[derive(PartialEq)]
enum Kind {
    Worker,
    Fork,
    Join,
}

struct Node<'a> {
    kind: Kind,
    reference: &'a str,
    name: &'a str,
    json: &'a Value,
    after: Vec<usize>,
}

/// A worker task of the graph.
pub(super) struct WorkerTask<'a> {
    pub(super) reference: &'a str,
    pub(super) name: &'a str,
    pub(super) inputs: &'a Value,
    /// Worker tasks that it waits for directly, in definition order.
    pub(super) after: Vec<&'a str>,
}

impl<'a> Graph<'a> {
    pub(super) fn read(definition: &'a Value) -> Result<Self, DefinitionError> {
        let place = || "the workflow definition".to_owned();
        let name = text(definition, "name")
            .ok_or_else(|| DefinitionError::Missing { place: place(), what: "`name`" })?;
        let tasks = list(definition, "tasks").filter(|t| !t.is_empty());
        let tasks = tasks
            .ok_or_else(|| DefinitionError::Missing { place: place(), what: "non-empty list `tasks`" })?;
        let mut graph = Self { name, nodes: Vec::new() };
        graph.walk(tasks, Vec::new())?;
        graph.resolve_joins()?;
        graph.check_reads(definition)?;
        Ok(graph)
    }

    /// Reads one list of tasks, of which the first waits for `entry`.
    fn walk(&mut self, tasks: &'a [Value], mut entry: Vec<usize>) -> Result<(), DefinitionError> {
        let mut forked: Option<&str> = None;
        for json in tasks {
            let (reference, kind) = self.identify(json)?;
            match (forked.take(), &kind) {
                (None, Kind::Join) => return Err(DefinitionError::JoinWithoutFork(reference.to_owned())),
                (Some(fork), Kind::Worker | Kind::Fork) => {
                    return Err(DefinitionError::ForkWithoutJoin(fork.to_owned()));
                }
                _ => {}
            }
            // A join's own predecessors are known when all names are.
            let after = if kind == Kind::Join { Vec::new() } else { entry };
            let name = text(json, "name").unwrap_or(reference);
            if kind == Kind::Join {
                self.nodes.push(Node { kind, reference, name, json, after });
            } else if kind == Kind::Fork {
                forked = Some(reference);
                self.nodes.push(Node { kind, reference, name, json, after });
                self.walk_branches(json, reference)?;
            } else {
                self.nodes.push(Node { kind, reference, name, json, after });
            }
            entry = vec![self.nodes.len() - 1];
        }
        match forked {
            Some(fork) => Err(DefinitionError::ForkWithoutJoin(fork.to_owned())),
            None => Ok(()),
        }
    }

    fn walk_branches(&mut self, json: &'a Value, reference: &str) -> Result<(), DefinitionError> {
        let fork = self.nodes.len() - 1;
        let empty = || DefinitionError::EmptyBranch(reference.to_owned());
        for branch in list(json, "forkTasks").filter(|b| !b.is_empty()).ok_or_else(empty)? {
            let tasks = branch.as_array().filter(|t| !t.is_empty()).ok_or_else(empty)?;
            self.walk(tasks, vec![fork])?;
        }
        Ok(())
    }

    fn identify(&self, json: &'a Value) -> Result<(&'a str, Kind), DefinitionError> {
        let named = text(json, "name").unwrap_or("without a name");
        let reference = text(json, "taskReferenceName").ok_or_else(|| DefinitionError::Missing {
            place: format!("task `{named}`"),
            what: "`taskReferenceName`",
        })?;
        if self.nodes.iter().any(|n| n.reference == reference) {
            return Err(DefinitionError::DuplicateReference(reference.to_owned()));
        }
        let kind = match text(json, "type").unwrap_or("SIMPLE") {
            "SIMPLE" => Kind::Worker,
            "FORK_JOIN" => Kind::Fork,
            "JOIN" => Kind::Join,
            other => {
                return Err(DefinitionError::UnknownType {
                    reference: reference.to_owned(),
                    kind: other.to_owned(),
                });
            }
        };
        if kind == Kind::Worker && text(json, "name").is_none() {
            let place = format!("task `{reference}`");
            return Err(DefinitionError::Missing { place, what: "`name` (its task type)" });
        }
        Ok((reference, kind))
    }

    fn resolve_joins(&mut self) -> Result<(), DefinitionError> {
        for i in 0..self.nodes.len() {
            if self.nodes[i].kind != Kind::Join {
                continue;
            }
            let join = self.nodes[i].reference;
            let names = list(self.nodes[i].json, "joinOn").unwrap_or(&[]);
            if names.is_empty() {
                return Err(DefinitionError::JoinsNothing(join.to_owned()));
            }
            let mut after = Vec::new();
            for name in names.iter().map(|n| n.as_str().unwrap_or("")) {
                let (join, name) = (join.to_owned(), name.to_owned());
                match self.index(&name) {
                    None => return Err(DefinitionError::JoinsUnknown { join, name }),
                    Some(j) if j == i => {
                        return Err(DefinitionError::JoinsLater { join, name, why: "is itself" });
                    }
                    Some(j) if j > i => {
                        return Err(DefinitionError::JoinsLater { join, name, why: "comes after it" });
                    }
                    Some(j) => after.push(j),
                }
            }
            self.nodes[i].after = after;
        }
        Ok(())
    }

    fn check_reads(&self, definition: &Value) -> Result<(), DefinitionError> {
        for (i, node) in self.nodes.iter().enumerate() {
            let before = self.before(i);
            for read in reads::expressions(&node.json["inputParameters"]) {
                let Some(j) = self.read_index(&read, &format!("task `{}`", node.reference))? else {
                    continue;
                };
                let why = match () {
                    () if before.contains(&j) => continue,
                    () if j == i => "is the task itself",
                    () if self.before(j).contains(&i) => "comes after it (a cycle)",
                    () => "runs beside it (a race)",
                };
                return Err(DefinitionError::ReadsTooEarly {
                    task: node.reference.to_owned(),
                    expression: read.expression,
                    name: read.name,
                    why,
                });
            }
        }
        for read in reads::expressions(&definition["outputParameters"]) {
            self.read_index(&read, "outputParameters of the workflow")?;
        }
        Ok(())
    }

    fn read_index(&self, read: &reads::Read, place: &str) -> Result<Option<usize>, DefinitionError> {
        match self.index(&read.name) {
            None if read.must_be_a_task => Err(DefinitionError::ReadsUnknown {
                task: place.to_owned(),
                expression: read.expression.clone(),
                name: read.name.clone(),
            }),
            found => Ok(found),
        }
    }

    fn index(&self, reference: &str) -> Option<usize> {
        self.nodes.iter().position(|n| n.reference == reference)
    }

    fn before(&self, node: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open = self.nodes[node].after.clone();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(&self.nodes[next].after);
            }
        }
        found
    }

    /// The worker tasks in definition order, with forks and joins taken out of their order.
    pub(super) fn worker_tasks(&self) -> impl Iterator<Item = WorkerTask<'a>> + '_ {
        self.nodes.iter().enumerate().filter(|(_, n)| n.kind == Kind::Worker).map(|(i, node)| WorkerTask {
            reference: node.reference,
            name: node.name,
            inputs: &node.json["inputParameters"],
            after: self.workers_before(i).into_iter().map(|j| self.nodes[j].reference).collect(),
        })
    }

    fn workers_before(&self, node: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open = self.nodes[node].after.clone();
        while let Some(next) = open.pop() {
            if self.nodes[next].kind == Kind::Worker {
                found.insert(next);
            } else {
                open.extend(&self.nodes[next].after);
            }
        }
        found
    }
}

fn text<'a>(json: &'a Value, key: &str) -> Option<&'a str> {
    json.get(key).and_then(Value::as_str).filter(|s| !s.is_empty())
}

fn list<'a>(json: &'a Value, key: &str) -> Option<&'a [Value]> {
    json.get(key).and_then(Value::as_array).map(Vec::as_slice)
}
