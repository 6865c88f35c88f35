//! One HTTP exchange with a deadline, its instants and its outcome. HTTP/1.1, keep-alive, no Nagle delay.
//!
//! Every failure is carried as a value: an exchange that failed is evidence of a run, not an error of the tool.

use super::outcome;
use crate::clock;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use shakedown_reports::history::Outcome;
use std::error::Error;
use std::time::Duration;

/// How long a connection may take: a peer on this machine or in this data centre answers in far less.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Idle connections are dropped before a server's usual 30 s, so that none is reused while it is being closed.
const IDLE_FOR: Duration = Duration::from_secs(20);

/// Bytes of an answer: a workflow of thousands of tasks is far smaller, and a server that never ends is cut off.
const LONGEST_BODY: usize = 64 << 20;

/// Why no answer was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// No connection: nothing was sent.
    Connect(String),
    /// No answer in time.
    Late(Duration),
    /// The connection broke, or what came back isn't HTTP.
    Broken(String),
}

/// A request and what became of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// When it was sent.
    pub sent_ns: u64,
    /// When its answer was read, or given up.
    pub done_ns: u64,
    /// HTTP status, when there was one.
    pub status: Option<u16>,
    /// `Content-Type` of the answer.
    pub content_type: String,
    /// Body of the answer.
    pub body: Bytes,
    /// Why there is no answer.
    pub trouble: Option<Trouble>,
}

impl Exchange {
    /// What became of the operation.
    pub fn outcome(&self) -> Outcome {
        match (&self.trouble, self.status) {
            (Some(Trouble::Connect(_)), _) => Outcome::Failed,
            (Some(_), _) | (None, None) => Outcome::Unknown,
            (None, Some(status)) => outcome::of_status(status),
        }
    }

    /// Why it isn't ok, with the first part of the body; `None` when it is.
    pub fn error(&self) -> Option<String> {
        match (&self.trouble, self.status) {
            (Some(Trouble::Connect(text)), _) => Some(format!("cannot connect: {text}")),
            (Some(Trouble::Late(limit)), _) => Some(format!("no answer within {limit:?}")),
            (Some(Trouble::Broken(text)), _) => Some(format!("the connection broke: {text}")),
            (None, Some(200..=299)) => None,
            (None, status) => Some(format!("HTTP {}: {}", status.unwrap_or(0), self.beginning())),
        }
    }

    /// The first bytes of the body, printable.
    pub fn beginning(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(200)]);
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
    }
}

/// A pool of connections to one server.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Http {
    /// A new pool; nothing is connected yet.
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .build(connector);
        Self { client }
    }

    /// Sends one request and reads the whole answer, or gives up after `within`.
    pub async fn send(&self, method: Method, url: &str, body: Option<Vec<u8>>, within: Duration) -> Exchange {
        let mut exchange = Exchange {
            sent_ns: clock::now_ns(),
            done_ns: 0,
            status: None,
            content_type: String::new(),
            body: Bytes::new(),
            trouble: None,
        };
        match tokio::time::timeout(within, self.fill(&mut exchange, method, url, body)).await {
            Ok(Ok(())) => {}
            Ok(Err(trouble)) => exchange.trouble = Some(trouble),
            Err(_) => exchange.trouble = Some(Trouble::Late(within)),
        }
        exchange.done_ns = clock::now_ns();
        exchange
    }

    async fn fill(
        &self,
        exchange: &mut Exchange,
        method: Method,
        url: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(), Trouble> {
        let uri: Uri = url.parse().map_err(|error| Trouble::Connect(format!("{url:?}: {error}")))?;
        let mut request = Request::builder().method(method).uri(uri).header("accept", "*/*");
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| Trouble::Connect(error.to_string()))?;
        let response = self.client.request(request).await.map_err(|error| {
            if error.is_connect() { Trouble::Connect(chain(&error)) } else { Trouble::Broken(chain(&error)) }
        })?;
        exchange.status = Some(response.status().as_u16());
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        exchange.content_type = content_type.unwrap_or_default().to_owned();
        let body = Limited::new(response.into_body(), LONGEST_BODY).collect().await;
        exchange.body = body.map_err(|error| Trouble::Broken(chain(error.as_ref())))?.to_bytes();
        Ok(())
    }
}

/// An error with its causes: hyper says "client error (Connect)" and keeps the reason below it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
