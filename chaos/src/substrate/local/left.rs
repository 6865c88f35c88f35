//! What could not be taken away with a node.

/// Something of a node that is still there though the node was ended: its process, a mount, a control group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The node.
    pub node: String,
    /// What was tried, and what was seen instead.
    pub evidence: String,
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "of {} is left: {}", self.node, self.evidence)
    }
}
