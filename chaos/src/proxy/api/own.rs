//! What is ours, under `/x`: proxies created with everything at once, connects refused or hanging, live connections
//! cut, toxics of our own, and what passes while it does.

use super::decode::{self, Scope};
use super::problem::Problem;
use super::standard::find;
use super::view::{FullProxy, FullToxic, Server};
use super::{Answer, Reply};
use crate::proxy::collection::Collection;
use crate::proxy::toxic::End;
use hyper::Method;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a path under `/x` can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'a> {
    Server,
    Proxies,
    Proxy(&'a str),
    Connect(&'a str),
    Cut(&'a str),
    Toxics(&'a str),
    Toxic(&'a str, &'a str),
}

impl<'a> Route<'a> {
    pub fn of(path: &[&'a str]) -> Option<Self> {
        Some(match *path {
            [] => Self::Server,
            ["proxies"] => Self::Proxies,
            ["proxies", proxy] => Self::Proxy(proxy),
            ["proxies", proxy, "connect"] => Self::Connect(proxy),
            ["proxies", proxy, "cut"] => Self::Cut(proxy),
            ["proxies", proxy, "toxics"] => Self::Toxics(proxy),
            ["proxies", proxy, "toxics", toxic] => Self::Toxic(proxy, toxic),
            _ => return None,
        })
    }

    pub fn methods(self) -> &'static [Method] {
        match self {
            Self::Server | Self::Proxy(_) => &[Method::GET],
            Self::Proxies => &[Method::GET, Method::POST],
            Self::Connect(_) => &[Method::PUT],
            Self::Cut(_) | Self::Toxics(_) => &[Method::POST],
            Self::Toxic(..) => &[Method::GET, Method::PATCH, Method::DELETE],
        }
    }
}

#[derive(Serialize)]
struct Ended {
    ended: usize,
}

/// Answers a request under `/x`.
pub async fn answer(collection: &Collection, method: &Method, route: Route<'_>, body: &[u8]) -> Answer {
    if route == Route::Server {
        let version = env!("CARGO_PKG_VERSION");
        return Reply::json(200, &Server { server: "shakedown", version, seed: collection.seed() });
    }
    let mut proxies = collection.lock().await;
    match (route, method) {
        (Route::Server, _) => Err(Problem::no_proxy()),
        (Route::Proxies, &Method::GET) => {
            let shown: BTreeMap<_, _> =
                proxies.iter().map(|(name, one)| (name, FullProxy::of(one))).collect();
            Reply::json(200, &shown)
        }
        (Route::Proxies, _) => {
            let plan = decode::full_plan(&decode::object(body)?, "")?;
            collection.create(&mut proxies, &plan).await?;
            Reply::json(201, &FullProxy::of(find(&mut proxies, &plan.name)?))
        }
        (Route::Proxy(proxy), _) => Reply::json(200, &FullProxy::of(find(&mut proxies, proxy)?)),
        (Route::Connect(proxy), _) => {
            let instance = find(&mut proxies, proxy)?;
            instance.set_connect(decode::connect(&decode::value(body)?)?).await?;
            Reply::json(200, &FullProxy::of(instance))
        }
        (Route::Cut(proxy), _) => {
            let ended = find(&mut proxies, proxy)?.cut(how(&decode::value(body)?)?).await?;
            Reply::json(200, &Ended { ended })
        }
        (Route::Toxics(proxy), _) => {
            let instance = find(&mut proxies, proxy)?;
            let is_taken = |name: &str| instance.toxic(name).is_some();
            let order = decode::order(&decode::object(body)?, Scope::Own, is_taken)?;
            decode::check_protocol(&order, instance.postgres.is_some())?;
            let setting = instance.add_toxic(order)?;
            instance.followed().await;
            Reply::json(200, &FullToxic::of(&setting))
        }
        (Route::Toxic(proxy, toxic), &Method::PATCH) => {
            let instance = find(&mut proxies, proxy)?;
            let setting = instance.toxic(toxic).ok_or_else(Problem::no_toxic)?;
            let order = decode::changed_order(&decode::object(body)?, &setting)?;
            let setting = instance.change_toxic(order)?;
            instance.followed().await;
            Reply::json(200, &FullToxic::of(&setting))
        }
        (Route::Toxic(proxy, toxic), &Method::DELETE) => {
            let instance = find(&mut proxies, proxy)?;
            instance.remove_toxic(toxic)?;
            instance.followed().await;
            Ok(Reply::empty(204))
        }
        (Route::Toxic(proxy, toxic), _) => {
            let setting = find(&mut proxies, proxy)?.toxic(toxic).ok_or_else(Problem::no_toxic)?;
            Reply::json(200, &FullToxic::of(&setting))
        }
    }
}

/// How connections are to be cut.
fn how(value: &Value) -> Result<End, Problem> {
    match value.get("how").and_then(Value::as_str) {
        Some("reset") => Ok(End::Reset),
        Some("close") => Ok(End::Close),
        _ => Err(Problem::bad_body("say how to cut: {\"how\": \"reset\"} or {\"how\": \"close\"}")),
    }
}
