//! Is there a Conductor server, and is it well? Asked before any load, so that a wrong port isn't taken for a fault.

use super::conductor::Conductor;
use super::http::{Exchange, Trouble};
use serde_json::Value;
use std::time::Duration;

/// Why a target can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Nobody listens there.
    #[error("cannot reach the target {url}: {why}; is it running, and is that its address?")]
    Unreachable {
        /// Where.
        url: String,
        /// What the system said.
        why: String,
    },
    /// Somebody listens and does not answer.
    #[error(
        "the target {url} accepts the connection and does not answer: {why}; is it hanging, or another kind of server?"
    )]
    Mute {
        /// Where.
        url: String,
        /// How long it had.
        why: String,
    },
    /// Somebody answers, who isn't Conductor.
    #[error(
        "{url} answers, but not like a Conductor server: {what}; expected JSON of Conductor's REST API: is that the right port?"
    )]
    Foreign {
        /// What was asked.
        url: String,
        /// Status, content type and the first bytes of the answer.
        what: String,
    },
    /// It is Conductor, and says that it isn't well.
    #[error("the target {url} says that it is not healthy: {what}; bring it up before loading it")]
    Unhealthy {
        /// What was asked.
        url: String,
        /// What it said.
        what: String,
    },
}

/// Returns when the target answers like a healthy Conductor server.
///
/// # Errors
/// It doesn't; the error says which of the many ways of not doing so it is.
pub async fn verify(target: &Conductor) -> Result<(), TargetError> {
    let url = format!("{} (GET /health)", target.base());
    let health = target.health().await;
    answered(&url, &health)?;
    if let Some(false) = told_health(&health) {
        return Err(TargetError::Unhealthy { url, what: shown(&health) });
    }
    // /health is not the same everywhere; an empty poll is, and it is what workers live on.
    let url = format!("{} (GET /tasks/poll/batch)", target.base());
    let (poll, tasks) = target.poll("shakedown_preflight", "preflight", 1, Duration::from_millis(1)).await;
    answered(&url, &poll)?;
    match (tasks, poll.status) {
        (Some(_), _) => Ok(()),
        (None, Some(500..=599)) if json_body(&poll).is_some() => {
            Err(TargetError::Unhealthy { url, what: shown(&poll) })
        }
        (None, _) => Err(TargetError::Foreign { url, what: shown(&poll) }),
    }
}

fn answered(url: &str, exchange: &Exchange) -> Result<(), TargetError> {
    let url = url.to_owned();
    match &exchange.trouble {
        None => Ok(()),
        Some(Trouble::Connect(why)) => Err(TargetError::Unreachable { url, why: why.clone() }),
        Some(Trouble::Late(limit)) => {
            Err(TargetError::Mute { url, why: format!("nothing within {limit:?}") })
        }
        Some(Trouble::Broken(why)) => {
            Err(TargetError::Foreign { url, what: format!("it does not speak HTTP ({why})") })
        }
    }
}

fn json_body(exchange: &Exchange) -> Option<Value> {
    serde_json::from_slice(&exchange.body).ok()
}

/// What a health answer says: well, not well, or nothing that we understand.
fn told_health(exchange: &Exchange) -> Option<bool> {
    let told = json_body(exchange)?.get("healthy")?.as_bool();
    match exchange.status {
        Some(200..=299) => told,
        _ => Some(false),
    }
}

fn shown(exchange: &Exchange) -> String {
    let kind = if exchange.content_type.is_empty() { "no content type" } else { &exchange.content_type };
    format!("HTTP {}, {kind}, {:?}", exchange.status.unwrap_or(0), exchange.beginning())
}
