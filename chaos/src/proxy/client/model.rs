//! What is sent to a proxy server and what it shows; keys that aren't known are ignored, as Toxiproxy adds some.

use super::Connect;
use crate::proxy::toxic::Kind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// From the client to the server.
    #[serde(alias = "UPSTREAM", alias = "Upstream")]
    Upstream,
    /// From the server to the client.
    #[serde(alias = "DOWNSTREAM", alias = "Downstream")]
    Downstream,
}

/// A toxic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Toxic {
    /// Its name, unique on its proxy.
    pub name: String,
    /// What it does: `latency`, `bandwidth`, `slow_close`, `timeout`, `reset_peer`, `slicer`, `limit_data`; of ours
    /// only: `swallow`, `cut_after`, `cut_at_answer`.
    #[serde(rename = "type")]
    pub kind: String,
    /// To which direction.
    pub stream: Stream,
    /// The share of connections that it acts on, 0 to 1.
    pub toxicity: f64,
    /// How, by the names of the wire; what is left out is 0.
    pub attributes: Map<String, Value>,
}

impl Toxic {
    /// A toxic on all connections.
    #[must_use]
    pub fn new(name: &str, kind: &str, stream: Stream, attributes: &[(&str, Value)]) -> Self {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Self { name: name.to_owned(), kind: kind.to_owned(), stream, toxicity: 1.0, attributes }
    }

    /// The same on a share of connections.
    #[must_use]
    pub fn with_toxicity(mut self, toxicity: f64) -> Self {
        self.toxicity = toxicity;
        self
    }

    pub(super) fn is_ours(&self) -> bool {
        Kind::named(&self.kind).is_some_and(Kind::is_own)
    }

    pub(super) fn body(&self) -> Value {
        json!({"name": self.name, "type": self.kind, "stream": self.stream, "toxicity": self.toxicity,
               "attributes": self.attributes})
    }

    /// What was asked for is there: the server may show more attributes, and keeps toxicity in 32 bits.
    pub(super) fn is_fulfilled_by(&self, shown: &Self) -> bool {
        let has = |(name, value): (&String, &Value)| shown.attributes.get(name) == Some(value);
        self.kind == shown.kind
            && self.stream == shown.stream
            && (self.toxicity - shown.toxicity).abs() < 1e-6
            && self.attributes.iter().all(has)
    }
}

/// A proxy to create.
#[derive(Debug, Clone, PartialEq)]
pub struct NewProxy {
    /// Its name, unique in the server.
    pub name: String,
    /// Where it listens; port 0 takes a free one, which the answer tells.
    pub listen: String,
    /// Where it leads.
    pub upstream: String,
    /// Whether it listens at once.
    pub enabled: bool,
    /// Its first toxics.
    pub toxics: Vec<Toxic>,
    /// Ours only: reads the PostgreSQL protocol along, for `cut_at_answer`.
    pub is_postgres: bool,
    /// Ours only, unless it is [`Connect::Accept`].
    pub connect: Connect,
}

impl NewProxy {
    /// An enabled proxy that does nothing to connections.
    #[must_use]
    pub fn new(name: &str, listen: &str, upstream: &str) -> Self {
        Self {
            name: name.to_owned(),
            listen: listen.to_owned(),
            upstream: upstream.to_owned(),
            enabled: true,
            toxics: Vec::new(),
            is_postgres: false,
            connect: Connect::Accept,
        }
    }

    pub(super) fn needs_ours(&self) -> bool {
        self.is_postgres || self.connect != Connect::Accept || self.toxics.iter().any(Toxic::is_ours)
    }

    pub(super) fn full_body(&self) -> Value {
        let toxics: Vec<_> = self.toxics.iter().map(Toxic::body).collect();
        json!({"name": self.name, "listen": self.listen, "upstream": self.upstream, "enabled": self.enabled,
               "protocol": self.is_postgres.then_some("postgres"), "connect": self.connect, "toxics": toxics})
    }
}

/// A proxy as Toxiproxy shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Proxy {
    /// Its name.
    pub name: String,
    /// Where it listens, resolved once it was enabled.
    pub listen: String,
    /// Where it leads.
    pub upstream: String,
    /// Whether it listens.
    pub enabled: bool,
    /// Its toxics, without those that only ours has.
    pub toxics: Vec<Toxic>,
}

/// How to end connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// A reset (RST): what was on its way is lost.
    Reset,
    /// A close (FIN).
    Close,
}

/// What one of our servers says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServerInfo {
    /// Always `shakedown`.
    pub server: String,
    /// Its version.
    pub version: String,
    /// What all luck comes from.
    pub seed: u64,
}

/// A proxy with all that one of our servers knows of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FullProxy {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub listen: String,
    /// Where it leads.
    pub upstream: String,
    /// Whether it listens.
    pub enabled: bool,
    /// What becomes of those who connect.
    pub connect: Connect,
    /// Connections.
    pub connections: Connections,
    /// Bytes of both directions, live.
    pub bytes: Directions,
    /// Answers of the PostgreSQL protocol, where it is read along.
    pub answers: Option<Answers>,
    /// All its toxics.
    pub toxics: Vec<FullToxic>,
}

/// Connections of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Connections {
    /// Accepted so far.
    pub accepted: u64,
    /// Of these, open now.
    pub open: u64,
    /// Of these, not taken by the upstream.
    pub dial_failed: u64,
    /// Of these, reset: by a toxic, a cut, or a peer.
    pub reset: u64,
}

/// Bytes by direction.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Directions {
    /// From clients to the upstream.
    pub upstream: Bytes,
    /// From the upstream to clients.
    pub downstream: Bytes,
}

/// Bytes of a direction.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Bytes {
    /// Read from the sender.
    pub received: u64,
    /// Written to the receiver.
    pub sent: u64,
}

/// What was seen of the PostgreSQL protocol.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Answers {
    /// Answers to requests that write.
    pub writes: u64,
    /// Of answers, those that told of a commit.
    pub commits: u64,
    /// Connections that could not be read: encrypted, or another protocol.
    pub unreadable_connections: u64,
}

/// A toxic and what passed it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FullToxic {
    /// The toxic.
    #[serde(flatten)]
    pub toxic: Toxic,
    /// What passed since it was set or changed.
    pub since_set: Passed,
}

/// What passed a toxic since it was set or changed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Passed {
    /// Open connections that run it: all of them, once they have followed.
    pub links: u64,
    /// Of these, those where the toss lets it act.
    pub active_links: u64,
    /// Bytes that came to it.
    pub received_bytes: u64,
    /// Bytes that left it.
    pub sent_bytes: u64,
    /// How long pieces spent in it on average; `None` while none has left it.
    pub mean_delay_ms: Option<f64>,
    /// Connections that it closed or reset.
    pub ended_connections: u64,
}
