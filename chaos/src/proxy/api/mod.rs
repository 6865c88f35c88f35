//! The HTTP API: one table of routes, Toxiproxy's and ours under `/x`. Handlers change values and never wait for data.

pub mod decode;
mod own;
pub mod problem;
mod standard;
mod view;

use super::collection::Collection;
use axum::body::Body;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION, USER_AGENT, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};
use problem::Problem;
use serde::Serialize;
use std::sync::Arc;

/// Longest body that is read: thousands of proxies are smaller.
const LONGEST_BODY: usize = 16 << 20;

/// An answer before it is HTTP.
#[derive(Debug)]
pub struct Reply {
    status: u16,
    content_type: &'static str,
    body: String,
}

type Answer = Result<Reply, Problem>;

impl Reply {
    fn empty(status: u16) -> Self {
        Self { status, content_type: "", body: String::new() }
    }

    /// JSON as Go writes it: what HTML would take for markup is escaped.
    fn json(status: u16, value: &impl Serialize) -> Answer {
        let body = serde_json::to_string(value);
        let body = body.map_err(|error| Problem::new(500, format!("cannot write the answer: {error}")))?;
        let body = body.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        Ok(Self { status, content_type: "application/json", body })
    }

    fn problem(problem: &Problem) -> Self {
        let status = problem.status;
        let json = Self::json(status, problem).unwrap_or_else(|_| Self::empty(500));
        Self { status, content_type: TEXT, body: json.body + "\n" }
    }

    fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: TEXT, body: format!("{body}\n") }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

/// What a path can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route<'a> {
    Version,
    Reset,
    Populate,
    Proxies,
    Proxy(&'a str),
    Toxics(&'a str),
    Toxic(&'a str, &'a str),
    Own(own::Route<'a>),
}

impl<'a> Route<'a> {
    fn of(path: &'a [&'a str]) -> Option<Self> {
        Some(match path {
            ["version"] => Self::Version,
            ["reset"] => Self::Reset,
            ["populate"] => Self::Populate,
            ["proxies"] => Self::Proxies,
            ["proxies", proxy] => Self::Proxy(proxy),
            ["proxies", proxy, "toxics"] => Self::Toxics(proxy),
            ["proxies", proxy, "toxics", toxic] => Self::Toxic(proxy, toxic),
            ["x", rest @ ..] => Self::Own(own::Route::of(rest)?),
            _ => return None,
        })
    }

    fn methods(self) -> &'static [Method] {
        match self {
            Self::Version => &[Method::GET],
            Self::Reset | Self::Populate => &[Method::POST],
            Self::Proxies | Self::Toxics(_) => &[Method::GET, Method::POST],
            Self::Proxy(_) | Self::Toxic(..) => &[Method::GET, Method::POST, Method::PATCH, Method::DELETE],
            Self::Own(route) => route.methods(),
        }
    }
}

/// Answers one request.
pub async fn answer(collection: Arc<Collection>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = decoded(parts.uri.path());
    if let Some(cleaned) = cleaned(&path) {
        let location = parts.uri.query().map_or(cleaned.clone(), |query| format!("{cleaned}?{query}"));
        return with(http(Reply::empty(301)), LOCATION, &location);
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    if segments.iter().any(|segment| segment.is_empty()) {
        return http(Reply::text(404, "404 page not found"));
    }
    let Some(route) = Route::of(&segments) else { return http(Reply::text(404, "404 page not found")) };
    if !route.methods().contains(&parts.method) {
        let allowed: Vec<_> = route.methods().iter().map(Method::as_str).collect();
        return with(http(Reply::empty(405)), ALLOW, &allowed.join(", "));
    }
    let agent = parts.headers.get(USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    let reply = if agent.starts_with(b"Mozilla/") {
        Reply::text(403, "User agent not allowed")
    } else {
        match axum::body::to_bytes(body, LONGEST_BODY).await {
            Ok(body) => dispatch(&collection, &parts.method, route, &body).await,
            Err(error) => Reply::problem(&Problem::bad_body(error)),
        }
    };
    with(http(reply), hyper::header::HeaderName::from_static("x-toxiproxy-request-id"), &request_id())
}

async fn dispatch(collection: &Collection, method: &Method, route: Route<'_>, body: &Bytes) -> Reply {
    let changes = method == Method::POST || method == Method::PATCH;
    let answer = match (route, method) {
        (Route::Version, _) => Ok(standard::version()),
        (Route::Reset, _) => standard::reset(collection).await,
        (Route::Populate, _) => return standard::populate(collection, body).await,
        (Route::Proxies, &Method::GET) => standard::proxies(collection).await,
        (Route::Proxies, _) => standard::create(collection, body).await,
        (Route::Proxy(proxy), _) if changes => standard::update(collection, proxy, body).await,
        (Route::Proxy(proxy), &Method::DELETE) => standard::delete(collection, proxy).await,
        (Route::Proxy(proxy), _) => standard::show(collection, proxy).await,
        (Route::Toxics(proxy), &Method::GET) => standard::toxics(collection, proxy).await,
        (Route::Toxics(proxy), _) => standard::add_toxic(collection, proxy, body).await,
        (Route::Toxic(proxy, toxic), _) if changes => {
            standard::change_toxic(collection, (proxy, toxic), body).await
        }
        (Route::Toxic(proxy, toxic), &Method::DELETE) => {
            standard::remove_toxic(collection, (proxy, toxic)).await
        }
        (Route::Toxic(proxy, toxic), _) => standard::show_toxic(collection, (proxy, toxic)).await,
        (Route::Own(route), _) => own::answer(collection, method, route, body).await,
    };
    answer.unwrap_or_else(|problem| Reply::problem(&problem))
}

fn http(reply: Reply) -> Response<Body> {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if !reply.content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    }
    if reply.content_type == TEXT {
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

fn with(mut response: Response<Body>, name: hyper::header::HeaderName, value: &str) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// A path with its percent signs resolved; one that is no text stays as it is.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |at: usize| tail.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| path.to_owned())
}

/// The path without double slashes and dots, when it has some: the client is sent there.
fn cleaned(path: &str) -> Option<String> {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let slash = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    let cleaned = format!("/{}{slash}", kept.join("/"));
    (cleaned != path).then_some(cleaned)
}

/// Unlike any other: from the system's hasher keys and a counter.
fn request_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}{:04x}", RandomState::new().hash_one(count), count & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        assert_eq!(cleaned("/proxies"), None);
        assert_eq!(cleaned("/proxies/"), None);
        assert_eq!(cleaned("/"), None);
        assert_eq!(cleaned("//proxies").as_deref(), Some("/proxies"));
        assert_eq!(cleaned("/a/../proxies//b/").as_deref(), Some("/proxies/b/"));
        assert_eq!(decoded("/proxies/my%20db%zz"), "/proxies/my db%zz");
    }
}
