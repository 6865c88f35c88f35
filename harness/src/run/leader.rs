//! Which of several nodes leads, asked at the instant at which a fault is due.

use crate::clock;
use crate::target::conductor::{Conductor, json};
use serde::Deserialize;
use shakedown_chaos::role::{LEADER, Role, part_of_link};
use std::time::Duration;

/// A database that was just made answers within seconds.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// From one look at the nodes to the next.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a leader says that it is.
pub const LEADS: &str = "leader";

/// What a node says of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `leader`, `follower` or `starting`.
    pub role: String,
    /// The epoch of the lead, as far as it knows.
    pub epoch: u64,
    /// How many frames of the journal it has read; a leader, when it took the lead.
    pub position: u64,
}

/// Who `node:leader`, or which part of a link `link:NAME.leader`, is now among `nodes` (name and URL); `None` for other roles,
/// and while nobody leads. Blocks.
pub fn cast(role: &Role, nodes: &[(String, String)]) -> Option<Role> {
    let link = match role {
        Role::Node(name) if name == LEADER => None,
        Role::Link(name) => Some(part_of_link(name).filter(|(_, part)| *part == LEADER)?.0),
        _ => return None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let at = nodes.iter().position(|(_, url)| runtime.block_on(leads(url)))?;
    Some(match link {
        Some(link) => Role::Link(format!("{link}.{}", at + 1)),
        None => Role::Node(nodes[at].0.clone()),
    })
}

/// Returns when one of the nodes leads and all others follow it: a request may go to any of them.
///
/// # Errors
/// They don't in time.
pub async fn settled(nodes: &[(String, String)]) -> anyhow::Result<()> {
    let give_up_ns = clock::now_ns() + clock::nanos(SETTLED_WITHIN);
    loop {
        let mut open = Vec::new();
        for (name, url) in nodes {
            if health(&Conductor::new(url)?).await.is_none() {
                open.push(name.as_str());
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        anyhow::ensure!(
            clock::now_ns() < give_up_ns,
            "{} of the {} engine nodes neither lead nor follow after {SETTLED_WITHIN:?}: {}; their logs say why",
            open.len(),
            nodes.len(),
            open.join(", ")
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn leads(url: &str) -> bool {
    let Ok(node) = Conductor::new(url) else { return false };
    health(&node).await.is_some_and(|told| told.role == LEADS)
}

/// What a node says of itself, when it is well.
pub async fn health(node: &Conductor) -> Option<Health> {
    json(&node.health().await)
}

/// One look at whether a node is well: it leads, or follows one that does. Blocks.
///
/// # Errors
/// What it says instead.
pub fn is_healthy(url: &str) -> Result<(), String> {
    let node = Conductor::new(url).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let told = runtime.map_err(|error| error.to_string())?.block_on(node.health());
    told.error().map_or(Ok(()), |why| Err(format!("GET {url}/health: {why}")))
}
