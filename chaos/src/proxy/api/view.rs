//! What the API shows, key by key in the order of the wire.

use crate::proxy::attributes::Attributes;
use crate::proxy::counts::{self, PassedView, get};
use crate::proxy::door::Connect;
use crate::proxy::instance::Instance;
use crate::proxy::setting::Setting;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// A proxy as Toxiproxy shows it.
#[derive(Debug, Serialize)]
pub struct Proxy {
    name: String,
    listen: String,
    upstream: String,
    enabled: bool,
    toxics: Vec<Toxic>,
}

impl Proxy {
    /// Shows a proxy; toxics of ours are not among what plain clients see.
    pub fn of(instance: &Instance) -> Self {
        Self {
            name: instance.name.clone(),
            listen: instance.listen.clone(),
            upstream: instance.upstream.clone(),
            enabled: instance.is_enabled(),
            toxics: Toxic::all_of(instance),
        }
    }
}

/// A toxic as Toxiproxy shows it.
#[derive(Debug, Serialize)]
pub struct Toxic {
    attributes: Attributes,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    stream: String,
    #[serde(serialize_with = "as_go_writes_it")]
    toxicity: f32,
}

impl Toxic {
    /// Shows a toxic.
    pub fn of(setting: &Setting) -> Self {
        let order = &setting.order;
        Self {
            attributes: order.attributes.clone(),
            name: order.name.clone(),
            kind: order.kind.name(),
            stream: order.stream_asked.clone(),
            toxicity: order.toxicity,
        }
    }

    /// Shows those that plain clients see.
    pub fn all_of(instance: &Instance) -> Vec<Self> {
        let plain = |setting: &Arc<Setting>| !setting.order.kind.is_own();
        instance.toxics().into_iter().filter(plain).map(|setting| Self::of(&setting)).collect()
    }
}

/// 1, not 1.0.
fn as_go_writes_it<S: Serializer>(number: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    #[allow(clippy::cast_possible_truncation, reason = "it has no fraction and is 0 or 1")]
    if number.fract() == 0.0 {
        serializer.serialize_i64(*number as i64)
    } else {
        serializer.serialize_f32(*number)
    }
}

/// A proxy with everything that we know of it.
#[derive(Debug, Serialize)]
pub struct FullProxy {
    name: String,
    listen: String,
    upstream: String,
    enabled: bool,
    protocol: Option<&'static str>,
    connect: Connect,
    connections: Connections,
    bytes: Directions,
    answers: Option<Answers>,
    toxics: Vec<FullToxic>,
}

#[derive(Debug, Serialize)]
struct Connections {
    accepted: u64,
    open: u64,
    dial_failed: u64,
    reset: u64,
}

#[derive(Debug, Serialize)]
struct Directions {
    upstream: Bytes,
    downstream: Bytes,
}

#[derive(Debug, Serialize)]
struct Bytes {
    received: u64,
    sent: u64,
}

#[derive(Debug, Serialize)]
struct Answers {
    writes: u64,
    commits: u64,
    unreadable_connections: u64,
}

/// A toxic with what passed it.
#[derive(Debug, Serialize)]
pub struct FullToxic {
    #[serde(flatten)]
    toxic: Toxic,
    since_set: PassedView,
}

impl FullToxic {
    /// Shows a toxic.
    pub fn of(setting: &Setting) -> Self {
        Self { toxic: Toxic::of(setting), since_set: setting.passed.view() }
    }
}

impl FullProxy {
    /// Shows a proxy.
    pub fn of(instance: &Instance) -> Self {
        let counts = &instance.counts;
        let bytes = |bytes: &counts::Bytes| Bytes { received: get(&bytes.received), sent: get(&bytes.sent) };
        let answers = instance.postgres.as_ref().map(|seen| Answers {
            writes: get(&seen.writes),
            commits: get(&seen.commits),
            unreadable_connections: get(&seen.unreadable),
        });
        Self {
            name: instance.name.clone(),
            listen: instance.listen.clone(),
            upstream: instance.upstream.clone(),
            enabled: instance.is_enabled(),
            protocol: instance.postgres.as_ref().map(|_| "postgres"),
            connect: instance.connect,
            connections: Connections {
                accepted: get(&counts.accepted),
                open: get(&counts.open),
                dial_failed: get(&counts.dial_failed),
                reset: get(&counts.reset),
            },
            bytes: Directions { upstream: bytes(&counts.upstream), downstream: bytes(&counts.downstream) },
            answers,
            toxics: instance.toxics().iter().map(|setting| FullToxic::of(setting)).collect(),
        }
    }
}

/// What `GET /x` says.
#[derive(Debug, Serialize)]
pub struct Server {
    /// Always `shakedown`.
    pub server: &'static str,
    /// The program's version.
    pub version: &'static str,
    /// What all luck comes from.
    pub seed: u64,
}
