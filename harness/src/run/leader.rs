//! Which of several nodes leads, asked at the instant at which a fault is due.

use crate::clock;
use crate::scenario::target::LEADER;
use crate::target::conductor::{Conductor, json};
use serde::Deserialize;
use shakedown_chaos::role::Role;
use std::time::Duration;

/// A database that was just made answers within seconds.
const CHOSEN_WITHIN: Duration = Duration::from_secs(30);
/// From one look at the nodes to the next.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a node says of itself.
#[derive(Debug, Deserialize)]
struct Health {
    #[serde(default)]
    role: String,
}

/// Who `node:leader` is now among `nodes` (name and URL); `None` for other roles, and while nobody leads. Blocks.
pub fn cast(role: &Role, nodes: &[(String, String)]) -> Option<Role> {
    if !matches!(role, Role::Node(name) if name == LEADER) {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let leader = nodes.iter().find(|(_, url)| runtime.block_on(leads(url)))?;
    Some(Role::Node(leader.0.clone()))
}

/// Returns when one of the nodes leads, and so takes requests.
///
/// # Errors
/// None does in time.
pub async fn chosen(nodes: &[(String, String)]) -> anyhow::Result<()> {
    let give_up_ns = clock::now_ns() + clock::nanos(CHOSEN_WITHIN);
    while clock::now_ns() < give_up_ns {
        for (_, url) in nodes {
            if leads(url).await {
                return Ok(());
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    anyhow::bail!(
        "none of the {} engine nodes leads after {CHOSEN_WITHIN:?}; their logs say why",
        nodes.len()
    )
}

async fn leads(url: &str) -> bool {
    let Ok(node) = Conductor::new(url) else { return false };
    json::<Health>(&node.health().await).is_some_and(|told| told.role == "leader")
}
