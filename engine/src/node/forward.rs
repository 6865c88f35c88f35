//! Every node takes every request: one that does not lead hands it on to the leader, over one hop at most.
//!
//! A request is sent again only when it surely did not get there, or was answered with "did nothing, for want of the
//! lead". What may have got there and was not answered is told as that (504), and never repeated; only what just looks is.

use super::{Leader, Role, View};
use crate::api::problem::{NOT_LEADING, Problem};
use crate::api::query::MAX_BODY;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client, Error, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Names the node that handed a request on, in the request and in its answer.
pub const HOP: HeaderName = HeaderName::from_static("x-shakedown-hop");

/// A leader that does not take a connection within this is not there.
const CONNECT: Duration = Duration::from_millis(1000);
/// The longest that a handed-on request may take, its answer's last byte included: more than the longest wait that can be
/// asked for, 300 s.
const ANSWER: Duration = Duration::from_secs(310);
/// So long may the answer of a leader still come after it lost the lead: what it did before stands.
const LAST_WORD: Duration = Duration::from_millis(250);
/// And so long at most, as long as it is there: it answers all that it was sent, and only one that hangs or is cut off does not.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Within this it says that it is there.
const THERE: Duration = Duration::from_millis(500);
/// Time between two tries to reach a leader that takes no connections.
const AGAIN: Duration = Duration::from_millis(20);

/// What every request needs to find the leader.
#[derive(Clone)]
struct Way {
    view: View,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// What came of an attempt to hand a request on.
enum Sent {
    Answered(Box<Response>),
    /// It surely did not get there.
    Not(String),
    /// It may have got there, and was not answered.
    Unanswered(String),
}

/// Why there is no answer.
enum Lost {
    /// Nobody took the connection.
    Unreached,
    /// It may have got there.
    Away(String),
}

/// The routes of a node of several: they answer when it leads, and are handed on when it follows.
pub fn routed(router: Router, view: View) -> Router {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT));
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let state = Way { view: view.clone(), client };
    router.layer(from_fn_with_state(state, route)).layer(axum::Extension(view))
}

async fn route(State(way): State<Way>, request: Request, next: Next) -> Response {
    let mut response = answer(&way, request, next).await;
    if way.view.is_leaving() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn answer(way: &Way, request: Request, next: Next) -> Response {
    if is_own(request.uri().path()) {
        return next.run(request).await;
    }
    if request.headers().contains_key(HOP) {
        if is_leading(&way.view) {
            return next.run(request).await;
        }
        let name = &way.view.name;
        return refusal(format!("the node {name} does not lead, and hands nothing on a second time"));
    }
    let (parts, body) = request.into_parts();
    let body = match axum::body::to_bytes(body, MAX_BODY).await {
        Ok(body) => body,
        Err(error) => {
            let text = format!("the body can't be read ({error}); it may have {MAX_BODY} bytes");
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text).into_response();
        }
    };
    way.find_leader(parts, body, next).await
}

/// What a node tells of itself.
fn is_own(path: &str) -> bool {
    ["/health", "/api/health", "/metrics", "/actuator/prometheus"].contains(&path)
}

fn is_leading(view: &View) -> bool {
    *view.role.borrow() == Role::Leading
}

/// True for what changes nothing: it may be asked again.
fn only_looks(parts: &Parts) -> bool {
    parts.method == Method::GET && !parts.uri.path().starts_with("/api/tasks/poll")
}

fn refusal(why: String) -> Response {
    let why = format!("{why}; nothing was changed, try again");
    Problem::not_leading(why).into_response()
}

impl Way {
    /// Waits for a leader and hands the request on; should this node lead meanwhile, it answers itself.
    async fn find_leader(&self, parts: Parts, body: Bytes, next: Next) -> Response {
        let until = Instant::now() + self.view.patience;
        let mut role = self.view.role.clone();
        let mut why = "no node leads at the moment".to_owned();
        loop {
            let now = role.borrow_and_update().clone();
            match now {
                Role::Leading => {
                    let request = Request::from_parts(parts.clone(), Body::from(body.clone()));
                    let response = next.clone().run(request).await;
                    if !response.headers().contains_key(NOT_LEADING) {
                        return response;
                    }
                    why = format!("the node {} lost the lead", self.view.name);
                    let _ = tokio::time::timeout(AGAIN, role.changed()).await;
                }
                Role::Following(Some(leader)) if !leader.url.is_empty() => {
                    match self.hand_on(&leader, &parts, &body).await {
                        Sent::Answered(response) => return *response,
                        Sent::Not(reason) => why = reason,
                        Sent::Unanswered(reason) if only_looks(&parts) => why = reason,
                        Sent::Unanswered(reason) => {
                            let text = format!(
                                "{reason}: it may or may not have been carried out; look before you repeat it"
                            );
                            return Problem::new(StatusCode::GATEWAY_TIMEOUT, text).into_response();
                        }
                    }
                    // The same leader may be back in a moment.
                    let _ = tokio::time::timeout(AGAIN, role.changed()).await;
                }
                _ => drop(tokio::time::timeout_at(until, role.changed()).await),
            }
            if Instant::now() >= until {
                return refusal(why);
            }
        }
    }

    /// The whole answer: one that stops in the middle is none.
    async fn ask(&self, request: hyper::Request<Full<Bytes>>) -> Result<hyper::Response<Bytes>, Lost> {
        let sent = self.client.request(request).await;
        let lost =
            |error: Error| if error.is_connect() { Lost::Unreached } else { Lost::Away(error.to_string()) };
        let (parts, body) = sent.map_err(lost)?.into_parts();
        let body = body.collect().await.map_err(|error| Lost::Away(error.to_string()))?;
        Ok(hyper::Response::from_parts(parts, body.to_bytes()))
    }

    async fn hand_on(&self, leader: &Leader, parts: &Parts, body: &Bytes) -> Sent {
        let Leader { node, url, .. } = leader;
        let request = match onward(url, parts, body, &self.view.name) {
            Ok(request) => request,
            Err(why) => {
                return Sent::Not(format!("the leader {node} advertises {url}, which is no URL: {why}"));
            }
        };
        self.view.counts.forwarded.fetch_add(1, Ordering::Relaxed);
        tokio::select! {
            answer = tokio::time::timeout(ANSWER, self.ask(request)) => match answer {
                Ok(Ok(answer)) if answer.headers().contains_key(NOT_LEADING) => {
                    Sent::Not(format!("{node} at {url} does not lead any more"))
                }
                Ok(Ok(answer)) => Sent::Answered(Box::new(marked(answer, &self.view.name))),
                Ok(Err(Lost::Unreached)) => Sent::Not(format!("the leader {node} at {url} takes no connection")),
                Ok(Err(Lost::Away(why))) => {
                    Sent::Unanswered(format!("the leader {node} at {url} did not answer ({why})"))
                }
                Err(_) => Sent::Unanswered(format!("the leader {node} at {url} took too long")),
            },
            () = self.outlived(leader) => Sent::Unanswered(format!("the leader {node} at {url} lost the lead before it answered")),
        }
    }

    /// Returns when a leader is none any more, and nothing is to be expected of it.
    async fn outlived(&self, leader: &Leader) {
        let same = |now: &Role| matches!(now, Role::Following(Some(now)) if is_same(now, leader));
        let _ = self.view.role.clone().wait_for(|now| !same(now)).await;
        let until = Instant::now() + LAST_WORDS;
        tokio::time::sleep(LAST_WORD).await;
        while Instant::now() < until && self.is_there(leader).await {
            tokio::time::sleep(LAST_WORD).await;
        }
    }

    /// Whether a node says anything. A connect that is refused says something too: it ends, and the connection over which its
    /// answer is to come tells the rest.
    async fn is_there(&self, Leader { url, .. }: &Leader) -> bool {
        let url = format!("{}/health", url.trim_end_matches('/'));
        let Ok(question) = hyper::Request::get(url).body(Full::default()) else { return false };
        tokio::time::timeout(THERE, self.client.request(question)).await.is_ok()
    }
}

/// The same lead: making sure of its past gives a leader a new epoch and no other name.
fn is_same(now: &Leader, before: &Leader) -> bool {
    (&now.node, &now.url) == (&before.node, &before.url)
}

fn onward(url: &str, parts: &Parts, body: &Bytes, name: &str) -> Result<hyper::Request<Full<Bytes>>, String> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri: Uri = format!("{}{path}", url.trim_end_matches('/'))
        .parse()
        .map_err(|error: axum::http::uri::InvalidUri| error.to_string())?;
    let mut request = hyper::Request::new(Full::new(body.clone()));
    (*request.method_mut(), *request.uri_mut()) = (parts.method.clone(), uri);
    *request.headers_mut() = parts.headers.clone();
    // Of this connection, not of the next one.
    for name in [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        request.headers_mut().remove(name);
    }
    let name = HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static("unnamed"));
    request.headers_mut().insert(HOP, name);
    Ok(request)
}

fn marked(answer: hyper::Response<Bytes>, name: &str) -> Response {
    let (mut parts, body) = answer.into_parts();
    parts.headers.remove(header::TRANSFER_ENCODING);
    parts.headers.remove(header::CONNECTION);
    let name = HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static("unnamed"));
    parts.headers.insert(HOP, name);
    Response::from_parts(parts, Body::from(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::NodeCounts;
    use axum::routing::{get, post};
    use std::sync::Arc;
    use tokio::net::TcpListener;
    use tokio::sync::{Notify, watch};
    use tower::ServiceExt;

    /// What a client is told of a request that was handed on to `leader` just before another one got the lead.
    async fn told(leader: Router, has_it: Arc<Notify>) -> (StatusCode, Bytes) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(axum::serve(listener, leader).into_future());
        let leads =
            |node: &str| Role::Following(Some(Leader { node: node.to_owned(), url: url.clone(), epoch: 1 }));
        let (now, role) = watch::channel(leads("one"));
        let (counts, leaving) = (Arc::<NodeCounts>::default(), Arc::default());
        let view = View { name: "two".to_owned(), role, counts, patience: LAST_WORDS, leaving };
        let request = Request::post("/api/workflow").body(Body::empty()).unwrap();
        let answer = tokio::spawn(routed(Router::new(), view).oneshot(request));
        has_it.notified().await;
        now.send(leads("three")).unwrap();
        let answer = answer.await.unwrap().unwrap();
        server.abort();
        (answer.status(), answer.into_body().collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn a_leader_of_before_has_its_last_word_as_long_as_it_is_there() {
        let (has_it, asked) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (got, await_asked, ask) = (Arc::clone(&has_it), Arc::clone(&asked), asked);
        // It is slow: it answers when it was asked whether it is there.
        let start = post(async move || {
            got.notify_one();
            await_asked.notified().await;
            "started"
        });
        let health = get(async move || ask.notify_one());
        let leader = Router::new().route("/api/workflow", start).route("/health", health);
        assert_eq!(told(leader, has_it).await, (StatusCode::OK, Bytes::from("started")));
    }

    #[tokio::test]
    async fn a_leader_of_before_that_says_nothing_is_not_waited_for() {
        let has_it = Arc::new(Notify::new());
        let got = Arc::clone(&has_it);
        let start = post(async move || {
            got.notify_one();
            std::future::pending::<()>().await;
        });
        let hangs = get(std::future::pending::<()>);
        let leader = Router::new().route("/api/workflow", start).route("/health", hangs);
        let (status, body) = told(leader, has_it).await;
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
        assert!(String::from_utf8_lossy(&body).contains("lost the lead before it answered"), "{body:?}");
    }
}
