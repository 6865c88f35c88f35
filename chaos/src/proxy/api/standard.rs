//! Toxiproxy's own endpoints.

use super::decode::{self, Scope};
use super::problem::Problem;
use super::view::{Proxy, Toxic};
use super::{Answer, Reply};
use crate::proxy::collection::{Collection, Proxies};
use crate::proxy::door::Connect;
use crate::proxy::instance::Instance;
use serde::Serialize;
use std::collections::BTreeMap;

/// The version of Toxiproxy whose API this is.
const SPEAKS: &str = "2.12.0";

pub fn version() -> Reply {
    let body = format!("{{\"version\": \"{SPEAKS}\"}}\n");
    Reply { status: 200, content_type: "application/json;charset=utf-8", body }
}

/// Enables every proxy and takes away what was done to it, ours too. One that can't start keeps nobody else from it.
pub async fn reset(collection: &Collection) -> Answer {
    let mut proxies = collection.lock().await;
    let mut first = None;
    for instance in proxies.values_mut() {
        instance.remove_toxics();
        instance.followed().await;
        let healed = async {
            instance.set_connect(Connect::Accept).await?;
            instance.start().await
        };
        if let Err(refused) = healed.await {
            first.get_or_insert(refused);
        }
    }
    first.map_or(Ok(Reply::empty(204)), |refused| Err(refused.into()))
}

#[derive(Serialize)]
struct Populated {
    #[serde(flatten)]
    problem: Option<Problem>,
    proxies: Option<Vec<Proxy>>,
}

pub async fn populate(collection: &Collection, body: &[u8]) -> Reply {
    let mut shown = Vec::new();
    let result = async {
        let plans = decode::plans(body, decode::plan)?;
        let mut proxies = collection.lock().await;
        for plan in &plans {
            collection.create_or_replace(&mut proxies, plan).await?;
            shown.extend(proxies.get(&plan.name).map(Proxy::of));
        }
        Ok(())
    };
    let problem: Option<Problem> = result.await.err();
    let status = problem.as_ref().map_or(201, |problem| problem.status);
    // Nothing to show is null beside an error, as in Toxiproxy, and a list otherwise: some clients want one.
    let proxies = (problem.is_none() || !shown.is_empty()).then_some(shown);
    Reply::json(status, &Populated { problem, proxies }).unwrap_or_else(|problem| Reply::problem(&problem))
}

pub async fn proxies(collection: &Collection) -> Answer {
    let proxies = collection.lock().await;
    let shown: BTreeMap<_, _> = proxies.iter().map(|(name, instance)| (name, Proxy::of(instance))).collect();
    Reply::json(200, &shown)
}

pub async fn create(collection: &Collection, body: &[u8]) -> Answer {
    let plan = decode::plan(&decode::object(body)?, "")?;
    let mut proxies = collection.lock().await;
    collection.create(&mut proxies, &plan).await?;
    Reply::json(201, &Proxy::of(find(&mut proxies, &plan.name)?))
}

pub async fn show(collection: &Collection, name: &str) -> Answer {
    let mut proxies = collection.lock().await;
    Reply::json(200, &Proxy::of(find(&mut proxies, name)?))
}

pub async fn update(collection: &Collection, name: &str, body: &[u8]) -> Answer {
    let mut proxies = collection.lock().await;
    let instance = find(&mut proxies, name)?;
    let (listen, upstream, enabled) = decode::update(&decode::object(body)?, instance)?;
    instance.change(&listen, &upstream, enabled).await?;
    Reply::json(200, &Proxy::of(instance))
}

pub async fn delete(collection: &Collection, name: &str) -> Answer {
    let mut proxies = collection.lock().await;
    find(&mut proxies, name)?.stop().await;
    proxies.remove(name);
    Ok(Reply::empty(204))
}

pub async fn toxics(collection: &Collection, proxy: &str) -> Answer {
    let mut proxies = collection.lock().await;
    Reply::json(200, &Toxic::all_of(find(&mut proxies, proxy)?))
}

pub async fn add_toxic(collection: &Collection, proxy: &str, body: &[u8]) -> Answer {
    let mut proxies = collection.lock().await;
    let instance = find(&mut proxies, proxy)?;
    let is_taken = |name: &str| instance.toxic(name).is_some();
    let order = decode::order(&decode::object(body)?, Scope::Standard, is_taken)?;
    let setting = instance.add_toxic(order)?;
    instance.followed().await;
    Reply::json(200, &Toxic::of(&setting))
}

pub async fn show_toxic(collection: &Collection, (proxy, toxic): (&str, &str)) -> Answer {
    let mut proxies = collection.lock().await;
    let setting = find(&mut proxies, proxy)?.toxic(toxic).filter(|setting| !setting.order.kind.is_own());
    Reply::json(200, &Toxic::of(&*setting.ok_or_else(Problem::no_toxic)?))
}

pub async fn change_toxic(collection: &Collection, (proxy, toxic): (&str, &str), body: &[u8]) -> Answer {
    let mut proxies = collection.lock().await;
    let instance = find(&mut proxies, proxy)?;
    let setting = instance.toxic(toxic).filter(|setting| !setting.order.kind.is_own());
    let order = decode::changed_order(&decode::object(body)?, &*setting.ok_or_else(Problem::no_toxic)?)?;
    let setting = instance.change_toxic(order)?;
    instance.followed().await;
    Reply::json(200, &Toxic::of(&setting))
}

pub async fn remove_toxic(collection: &Collection, (proxy, toxic): (&str, &str)) -> Answer {
    let mut proxies = collection.lock().await;
    let instance = find(&mut proxies, proxy)?;
    if instance.toxic(toxic).is_some_and(|setting| setting.order.kind.is_own()) {
        return Err(Problem::no_toxic());
    }
    instance.remove_toxic(toxic)?;
    instance.followed().await;
    Ok(Reply::empty(204))
}

/// The proxy of that name.
pub fn find<'a>(proxies: &'a mut Proxies, name: &str) -> Result<&'a mut Instance, Problem> {
    proxies.get_mut(name).ok_or_else(Problem::no_proxy)
}
