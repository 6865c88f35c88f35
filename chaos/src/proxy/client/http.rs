//! One exchange with a proxy server, with a deadline; an answer is a value or a refusal, everything else an error.

use super::error::{ControlError, Outcome, Refusal, late};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::error::Error;
use std::time::Duration;

/// A healthy server answers in milliseconds; Toxiproxy gives up after 25 s itself.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const LONGEST_BODY: usize = 64 << 20;

/// Connections to one server.
#[derive(Debug, Clone)]
pub struct Http {
    address: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Http {
    /// Nothing is connected yet.
    pub fn to(address: &str) -> Result<Self, ControlError> {
        let plain = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
        let wrong = |why: &str| ControlError::Address { address: address.to_owned(), why: why.to_owned() };
        let uri: Uri = format!("http://{plain}/").parse().map_err(|error| wrong(&format!("{error}")))?;
        if uri.path() != "/" || plain.contains("://") {
            return Err(wrong("there is more than a host and a port"));
        }
        if uri.port_u16().is_none() {
            return Err(wrong("the port is missing"));
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        // A connection for each exchange: one that was kept could have been closed by a server that restarted.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { address: plain.to_owned(), client })
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks once. A proxy server is asked to change things, so nothing is asked twice.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Outcome<T>, ControlError> {
        let unclear =
            |why: String| ControlError::NoAnswer { what: what.to_owned(), server: self.address.clone(), why };
        let exchange = tokio::time::timeout(ANSWERS_WITHIN, self.exchange(what, method, path, body));
        let (status, bytes) = exchange.await.map_err(|_| unclear(late(ANSWERS_WITHIN)))??;
        if (200..300).contains(&status) {
            let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
            let value = serde_json::from_slice(text);
            return value.map(Outcome::Done).map_err(|error| {
                let begins = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
                unclear(format!("answered {status} with something else than expected ({error}): {begins}"))
            });
        }
        let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        // Toxiproxy before 2.1 said `title`; a path that it doesn't know is plain text.
        let said = problem["error"].as_str().or_else(|| problem["title"].as_str()).map(str::to_owned);
        let error =
            said.unwrap_or_else(|| String::from_utf8_lossy(&bytes).trim().chars().take(200).collect());
        Ok(Outcome::Refused(Refusal { what: what.to_owned(), server: self.address.clone(), status, error }))
    }

    async fn exchange(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, Bytes), ControlError> {
        let unclear =
            |why: String| ControlError::NoAnswer { what: what.to_owned(), server: self.address.clone(), why };
        let bytes = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .header("user-agent", concat!("shakedown/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(bytes)));
        let request = request.map_err(|error| unclear(format!("could not be asked: {error}")))?;
        let response = self.client.request(request).await.map_err(|error| {
            let why = chain(&error);
            if error.is_connect() {
                ControlError::Unreachable { what: what.to_owned(), server: self.address.clone(), why }
            } else {
                unclear(format!("broke the connection: {why}"))
            }
        })?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LONGEST_BODY).collect().await;
        let body = body.map_err(|error| unclear(format!("broke off its answer: {error}")))?;
        Ok((status, body.to_bytes()))
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
