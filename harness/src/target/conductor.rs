//! The calls of Conductor's REST API that the harness makes.

use super::http::{Exchange, Http, Trouble};
use super::wire::{PolledTask, StoredWorkflow, TaskResult};
use crate::clock;
use hyper::{Method, Uri};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Deadline of a call that a server answers from what it has.
pub const CALL_WITHIN: Duration = Duration::from_secs(10);

/// A URL that isn't one of a Conductor server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It can't be parsed.
    #[error("{0:?} is not a URL; accepted is http://HOST:PORT or http://HOST:PORT/api")]
    Malformed(String),
    /// It holds credentials or a query; not shown, as it may hold a password.
    #[error(
        "the target's URL holds credentials or a query; accepted is http://HOST:PORT or http://HOST:PORT/api"
    )]
    Extra,
    /// It isn't plain HTTP.
    #[error(
        "{url:?} asks for {scheme}; only plain http is spoken: put a local TLS-terminating proxy before it"
    )]
    Scheme {
        /// The URL.
        url: String,
        /// What it asks for.
        scheme: String,
    },
}

/// A client of one Conductor server, which may have several nodes that all take every request.
#[derive(Debug, Clone)]
pub struct Conductor {
    http: Http,
    nodes: Arc<Nodes>,
    base: String,
    /// The server has no `update-v2`.
    plain_updates: Arc<AtomicBool>,
}

/// The nodes of a server, and the one that is asked.
#[derive(Debug)]
struct Nodes {
    /// Their URLs, without `/api`.
    roots: Vec<String>,
    asked: AtomicUsize,
}

impl Conductor {
    /// A client for the server at `url`, with or without the `/api` at the end; several nodes of it are separated by
    /// commas. Nothing is connected yet.
    ///
    /// # Errors
    /// `url` isn't a plain HTTP URL.
    pub fn new(url: &str) -> Result<Self, UrlError> {
        let roots = url.split(',').map(root).collect::<Result<Vec<_>, _>>()?;
        let base = roots.iter().map(|root| format!("{root}/api")).collect::<Vec<_>>().join(",");
        let nodes = Arc::new(Nodes { roots, asked: AtomicUsize::new(0) });
        Ok(Self { http: Http::new(), nodes, base, plain_updates: Arc::default() })
    }

    /// Base URL of the REST API; of several nodes all of them, separated by commas.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same server as seen through proxies: one before each of its nodes, or one before the first.
    pub fn base_at(&self, addresses: &[SocketAddr]) -> String {
        let bases: Vec<String> = addresses
            .iter()
            .zip(self.places())
            .map(|(address, (_, path))| format!("http://{address}{path}/api"))
            .collect();
        bases.join(",")
    }

    /// Of each node host and port, and what stands before `/api` and `/health` in paths: `/conductor` of
    /// `http://host/conductor/api`.
    pub fn places(&self) -> impl Iterator<Item = (String, &str)> {
        self.nodes.roots.iter().map(|root| {
            let rest = root.trim_start_matches("http://");
            (authority(root), rest.find('/').map_or("", |slash| &rest[slash..]))
        })
    }

    /// The URL of each node, without `/api`.
    pub fn roots(&self) -> &[String] {
        &self.nodes.roots
    }

    /// `GET /health`, which Conductor has beside the API.
    pub async fn health(&self) -> Exchange {
        self.send(Method::GET, "/health", None, CALL_WITHIN).await
    }

    /// `GET /metrics`, as Prometheus reads it.
    pub async fn metrics(&self) -> Exchange {
        self.send(Method::GET, "/metrics", None, CALL_WITHIN).await
    }

    /// Creates or replaces task definitions.
    pub async fn put_task_definitions(&self, definitions: &[Value]) -> Exchange {
        self.post("/metadata/taskdefs", &definitions).await
    }

    /// Reads a task definition; 404 when there is none.
    pub async fn task_definition(&self, name: &str) -> Exchange {
        self.get(&format!("/metadata/taskdefs/{}", encode(name))).await
    }

    /// Creates a workflow definition; 409 when there is one and it isn't to be overwritten.
    pub async fn post_workflow_definition(&self, definition: &Value, overwrite: bool) -> Exchange {
        self.post(&format!("/metadata/workflow?overwrite={overwrite}"), definition).await
    }

    /// Reads a workflow definition.
    pub async fn workflow_definition(&self, name: &str, version: u64) -> Exchange {
        self.get(&format!("/metadata/workflow/{}?version={version}", encode(name))).await
    }

    /// Starts a workflow; the answer is its id.
    pub async fn start(&self, request: &Value) -> Exchange {
        self.start_within(request, CALL_WITHIN).await
    }

    /// Starts a workflow, with a deadline of one's own.
    pub async fn start_within(&self, request: &Value, within: Duration) -> Exchange {
        self.post_within("/workflow", request, within).await
    }

    /// Reads the status of a workflow.
    pub async fn status(&self, workflow_id: &str) -> Exchange {
        self.get(&format!("/workflow/{}/status", encode(workflow_id))).await
    }

    /// Reads a workflow with its tasks.
    pub async fn workflow(&self, workflow_id: &str) -> (Exchange, Option<StoredWorkflow>) {
        let exchange = self.get(&format!("/workflow/{}?includeTasks=true", encode(workflow_id))).await;
        let workflow = json(&exchange);
        (exchange, workflow)
    }

    /// Finds the workflows that carry a correlation id.
    pub async fn correlated(
        &self,
        name: &str,
        correlation_id: &str,
    ) -> (Exchange, Option<Vec<StoredWorkflow>>) {
        let path = format!(
            "/workflow/{}/correlated/{}?includeClosed=true&includeTasks=true",
            encode(name),
            encode(correlation_id)
        );
        let exchange = self.get(&path).await;
        let found = json(&exchange);
        (exchange, found)
    }

    /// Waits for up to `count` tasks of a type, `wait` at most (the server's part of the deadline).
    pub async fn poll(
        &self,
        task_type: &str,
        worker: &str,
        count: usize,
        wait: Duration,
    ) -> (Exchange, Option<Vec<PolledTask>>) {
        let path = format!(
            "/api/tasks/poll/batch/{}?workerid={}&count={count}&timeout={}",
            encode(task_type),
            encode(worker),
            wait.as_millis()
        );
        let exchange = self.send(Method::GET, &path, None, wait + CALL_WITHIN).await;
        let tasks = json(&exchange);
        (exchange, tasks)
    }

    /// Ends a workflow.
    pub async fn terminate(&self, workflow_id: &str, reason: &str) -> Exchange {
        let path = format!("/api/workflow/{}?reason={}", encode(workflow_id), encode(reason));
        self.send(Method::DELETE, &path, None, CALL_WITHIN).await
    }

    /// Tasks that wait in the queue of each type; `None` when the server does not tell.
    pub async fn queue_sizes(&self, task_types: &[String]) -> Option<BTreeMap<String, u64>> {
        let query: Vec<String> = task_types.iter().map(|name| format!("taskType={}", encode(name))).collect();
        json(&self.get(&format!("/tasks/queue/sizes?{}", query.join("&"))).await)
    }

    /// Reports on a task.
    pub async fn update(&self, result: &TaskResult<'_>) -> Exchange {
        self.post("/tasks", result).await
    }

    /// Reports on a task and takes the next of its type, if the server has one at once. A server that does not know
    /// this call is asked in the plain way, now and from now on, as the SDKs do.
    pub async fn update_and_poll(&self, result: &TaskResult<'_>) -> (Exchange, Option<PolledTask>) {
        if !self.plain_updates.load(Ordering::Relaxed) {
            let exchange = self.post("/tasks/update-v2", result).await;
            if !matches!(exchange.status, Some(404 | 405 | 501)) {
                let next = json(&exchange);
                return (exchange, next);
            }
            self.plain_updates.store(true, Ordering::Relaxed);
        }
        (self.update(result).await, None)
    }

    async fn get(&self, path: &str) -> Exchange {
        self.send(Method::GET, &format!("/api{path}"), None, CALL_WITHIN).await
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Exchange {
        self.post_within(path, body, CALL_WITHIN).await
    }

    async fn post_within(&self, path: &str, body: &impl Serialize, within: Duration) -> Exchange {
        let body = serde_json::to_vec(body).expect("plain values with string keys are always JSON");
        self.send(Method::POST, &format!("/api{path}"), Some(body), within).await
    }

    /// Sends a request to the node that is asked. One that could not be connected to got nothing, so the next is asked
    /// at once, each of them once, and the first that is there is asked from then on; after no answer, or none of a server
    /// that works, the next request asks the next node.
    async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>, within: Duration) -> Exchange {
        let Nodes { roots, asked } = &*self.nodes;
        let began_ns = clock::now_ns();
        let first = asked.load(Ordering::Relaxed);
        let mut tries = 1;
        loop {
            // By its own count: what others move meanwhile must not make it pass over one that is there.
            let number = (first + tries - 1) % roots.len();
            let url = format!("{}{path}", roots[number]);
            let left = within.saturating_sub(Duration::from_nanos(clock::now_ns().saturating_sub(began_ns)));
            let mut sent = self.http.send(method.clone(), &url, body.clone(), left).await;
            sent.sent_ns = began_ns.min(sent.sent_ns);
            let is_away = matches!(sent.trouble, Some(Trouble::Connect(_)));
            if sent.trouble.is_some() || sent.status == Some(503) {
                // Of several that fail at once only the first goes on to the next.
                let next = (number + 1) % roots.len();
                let _ = asked.compare_exchange(number, next, Ordering::Relaxed, Ordering::Relaxed);
            } else if tries > 1 {
                asked.store(number, Ordering::Relaxed);
            }
            if !is_away || tries == roots.len() {
                return sent;
            }
            tries += 1;
        }
    }
}

/// Host and port of a URL.
fn authority(root: &str) -> String {
    let rest = root.trim_start_matches("http://");
    let host = rest.split('/').next().unwrap_or(rest);
    // Without brackets only an IPv4 address or a name has no colon.
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    if has_port { host.to_owned() } else { format!("{host}:80") }
}

/// The URL of a node without `/api`.
fn root(url: &str) -> Result<String, UrlError> {
    let url = url.trim();
    let malformed = || UrlError::Malformed(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| malformed())?;
    match uri.scheme_str() {
        Some("http") => {}
        Some(scheme) => {
            return Err(UrlError::Scheme { url: url.to_owned(), scheme: scheme.to_owned() });
        }
        None => return Err(malformed()),
    }
    let named = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if named || uri.query().is_some() {
        return Err(UrlError::Extra);
    }
    let trimmed = url.trim_end_matches('/');
    Ok(trimmed.strip_suffix("/api").unwrap_or(trimmed).to_owned())
}

/// The body as JSON, when the exchange is ok and it is.
pub fn json<T: serde::de::DeserializeOwned>(exchange: &Exchange) -> Option<T> {
    exchange.error().is_none().then(|| serde_json::from_slice(&exchange.body).ok()).flatten()
}

/// The id in the answer to a start: plain text, or the same in quotes.
pub fn started_id(exchange: &Exchange) -> Option<String> {
    if exchange.error().is_some() {
        return None;
    }
    let quoted: Option<String> = json(exchange);
    let id = quoted.unwrap_or_else(|| String::from_utf8_lossy(&exchange.body).trim().to_owned());
    (!id.is_empty()).then_some(id)
}

/// The status in the answer to [`Conductor::status`].
pub fn status_in(exchange: &Exchange) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Told {
        status: String,
    }
    json::<Told>(exchange).map(|told| told.status)
}

/// Percent-encodes one segment of a path or one value of a query; Conductor's own clients encode `/` too.
pub fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_with_and_without_api() {
        for url in ["http://h:1", "http://h:1/", "http://h:1/api", "http://h:1/api/"] {
            assert_eq!(Conductor::new(url).unwrap().base(), "http://h:1/api");
        }
        assert!(matches!(Conductor::new("https://h:1"), Err(UrlError::Scheme { .. })));
        for url in ["http://me:secret@h:1", "http://h:1?x=1"] {
            assert_eq!(Conductor::new(url).unwrap_err(), UrlError::Extra);
        }
        assert!(matches!(Conductor::new("h:1/x y"), Err(UrlError::Malformed(_))));
        assert!(matches!(Conductor::new("localhost"), Err(UrlError::Malformed(_))));
        assert_eq!(
            Conductor::new("http://a:1,http://b:2/api").unwrap().base(),
            "http://a:1/api,http://b:2/api"
        );
    }

    #[test]
    fn each_node_is_met_behind_its_link_under_its_own_path() {
        let target = Conductor::new("http://a:1/x/api,http://b").unwrap();
        let places: Vec<_> = target.places().collect();
        assert_eq!(places, [("a:1".to_owned(), "/x"), ("b:80".to_owned(), "")]);
        let links = [([127, 0, 0, 1], 7).into(), ([127, 0, 0, 1], 8).into()];
        assert_eq!(target.base_at(&links), "http://127.0.0.1:7/x/api,http://127.0.0.1:8/api");
        assert_eq!(target.base_at(&links[..1]), "http://127.0.0.1:7/x/api");
    }

    #[tokio::test]
    async fn a_node_that_is_away_is_passed_over_and_one_that_does_not_answer_is_not_asked_twice() {
        let closed = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{},http://{}", closed(), silent.local_addr().unwrap());
        let target = Conductor::new(&url).unwrap();
        let sent = target.send(Method::GET, "/health", None, Duration::from_millis(50)).await;
        assert!(matches!(sent.trouble, Some(Trouble::Late(_))), "{sent:?}");
        assert_eq!(target.nodes.asked.load(Ordering::Relaxed), 0, "the next request asks the next node");
        let url = format!("http://{},http://{}", closed(), closed());
        let sent = Conductor::new(&url).unwrap().health().await;
        assert!(matches!(sent.trouble, Some(Trouble::Connect(_))), "{sent:?}");
    }

    #[test]
    fn segments_are_encoded() {
        assert_eq!(encode("run/1x/3 ü"), "run%2F1x%2F3%20%C3%BC");
    }
}
