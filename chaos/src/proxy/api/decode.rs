//! Reads request bodies as Go's decoder does: the first JSON value counts, unknown keys are ignored, null is absent.

use super::problem::Problem;
use crate::proxy::attributes::{Attributes, kind_of};
use crate::proxy::door::Connect;
use crate::proxy::instance::{Instance, Plan};
use crate::proxy::setting::{Order, Setting, Stream};
use crate::proxy::toxic::Kind;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Which toxics a client may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of Toxiproxy.
    Standard,
    /// Ours too.
    Own,
}

type Object = Map<String, Value>;

/// The first JSON value of a body.
pub fn value(body: &[u8]) -> Result<Value, Problem> {
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    match values.next() {
        None => Err(Problem::bad_body("EOF")),
        Some(Err(error)) if error.is_eof() => Err(Problem::bad_body("unexpected EOF")),
        Some(Err(error)) => Err(Problem::bad_body(error)),
        Some(Ok(value)) => Ok(value),
    }
}

/// The first JSON value of a body, which is an object.
pub fn object(body: &[u8]) -> Result<Object, Problem> {
    as_object(value(body)?)
}

fn as_object(value: Value) -> Result<Object, Problem> {
    match value {
        Value::Object(object) => Ok(object),
        Value::Null => Ok(Object::new()),
        other => Err(Problem::bad_body(format!("json: cannot unmarshal {} into an object", kind_of(&other)))),
    }
}

fn field<'a, T>(
    object: &'a Object,
    name: &str,
    read: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<Option<T>, Problem> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value).map(Some).ok_or_else(|| {
            Problem::bad_body(format!("json: cannot unmarshal {} into field {name}", kind_of(value)))
        }),
    }
}

fn text(object: &Object, name: &str) -> Result<Option<String>, Problem> {
    Ok(field(object, name, Value::as_str)?.map(str::to_owned))
}

/// A proxy to create, as Toxiproxy reads it: toxics in it are ignored.
pub fn plan(object: &Object, place: &str) -> Result<Plan, Problem> {
    let plan = Plan {
        name: text(object, "name")?.unwrap_or_default(),
        listen: text(object, "listen")?.unwrap_or_default(),
        upstream: text(object, "upstream")?.unwrap_or_default(),
        enabled: field(object, "enabled", Value::as_bool)?.unwrap_or(true),
        is_postgres: false,
        connect: Connect::Accept,
        toxics: Vec::new(),
    };
    if plan.name.is_empty() {
        return Err(Problem::missing(format!("name{place}")));
    }
    if plan.upstream.is_empty() {
        return Err(Problem::missing(format!("upstream{place}")));
    }
    Ok(plan)
}

/// Proxies to create; where one lacks something, its place is said, counted from 1.
pub fn plans(
    body: &[u8],
    read: impl Fn(&Object, &str) -> Result<Plan, Problem>,
) -> Result<Vec<Plan>, Problem> {
    let list = match value(body)? {
        Value::Array(list) => list,
        Value::Null => Vec::new(),
        other => {
            return Err(Problem::bad_body(format!(
                "json: cannot unmarshal {} into an array",
                kind_of(&other)
            )));
        }
    };
    let numbered = list.into_iter().zip(1..);
    numbered.map(|(one, number)| read(&as_object(one)?, &format!(" at proxy {number}"))).collect()
}

/// A proxy to create with everything that we know: toxics, the protocol, how connects are treated.
pub fn full_plan(object: &Object, place: &str) -> Result<Plan, Problem> {
    let mut plan = plan(object, place)?;
    plan.is_postgres = match field(object, "protocol", Value::as_str)? {
        None => false,
        Some("postgres") => true,
        Some(other) => {
            return Err(Problem::bad_body(format!(
                "protocol {other:?} is not known; leave it out or give \"postgres\""
            )));
        }
    };
    if let Some(mode) = object.get("connect").filter(|mode| !mode.is_null()) {
        plan.connect = connect(mode)?;
    }
    for toxic in field(object, "toxics", Value::as_array)?.into_iter().flatten() {
        let order = order(&as_object(toxic.clone())?, Scope::Own, |name| {
            plan.toxics.iter().any(|order: &Order| order.name == name)
        })?;
        check_protocol(&order, plan.is_postgres)?;
        plan.toxics.push(order);
    }
    Ok(plan)
}

/// How connects are to be treated.
pub fn connect(value: &Value) -> Result<Connect, Problem> {
    Connect::deserialize(value).map_err(|error| {
        Problem::bad_body(format!(
            "connect: {error}; modes are accept, refuse, hang, and delay with delay_ms"
        ))
    })
}

/// A toxic to set; checked in Toxiproxy's order.
pub fn order(object: &Object, scope: Scope, is_taken: impl FnOnce(&str) -> bool) -> Result<Order, Problem> {
    let name = text(object, "name")?;
    let kind = text(object, "type")?.unwrap_or_default();
    let stream_asked = text(object, "stream")?.unwrap_or_else(|| "downstream".to_owned());
    let toxicity = field(object, "toxicity", Value::as_f64)?.unwrap_or(1.0);
    let Some(stream) = Stream::named(&stream_asked) else {
        return Err(Problem::new(400, "stream was invalid, can be either upstream or downstream"));
    };
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("{kind}_{stream_asked}"));
    let kind = Kind::named(&kind).filter(|kind| scope == Scope::Own || !kind.is_own());
    let kind = kind.ok_or_else(|| Problem::new(400, "invalid toxic type"))?;
    if is_taken(&name) {
        return Err(Problem::new(409, "toxic already exists"));
    }
    let defaults = Attributes::of(kind.fields());
    let attributes = defaults.merged(object.get("attributes")).map_err(Problem::bad_body)?;
    finish(Order { name, kind, stream, stream_asked, toxicity: 0.0, attributes }, toxicity)
}

/// A toxic to change: its attributes one by one, and its toxicity; nothing changes when one of them is wrong.
pub fn changed_order(object: &Object, setting: &Setting) -> Result<Order, Problem> {
    let mut order = setting.order.clone();
    let toxicity = field(object, "toxicity", Value::as_f64)?.unwrap_or(f64::from(order.toxicity));
    order.attributes = order.attributes.merged(object.get("attributes")).map_err(Problem::bad_body)?;
    finish(order, toxicity)
}

fn finish(mut order: Order, toxicity: f64) -> Result<Order, Problem> {
    if !(0.0..=1.0).contains(&toxicity) {
        return Err(Problem::bad_body(format!("toxicity {toxicity} is no share; give 0 to 1")));
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "Toxiproxy keeps it in 32 bits too, and gives that back"
    )]
    let toxicity = toxicity as f32;
    order.toxicity = toxicity;
    order.kind.check(&order.attributes).map_err(Problem::bad_body)?;
    Ok(order)
}

/// A toxic that reads the protocol needs a proxy that does, and answers go one way.
pub fn check_protocol(order: &Order, is_postgres: bool) -> Result<(), Problem> {
    if order.kind != Kind::CutAtAnswer {
        return Ok(());
    }
    if !is_postgres {
        return Err(Problem::bad_body(
            "cut_at_answer needs a proxy that reads the protocol: create it under /x/proxies with \"protocol\": \"postgres\"",
        ));
    }
    if order.stream != Stream::Downstream {
        return Err(Problem::bad_body("cut_at_answer works on answers: its stream is downstream"));
    }
    Ok(())
}

/// What an update of a proxy asks for; what it doesn't say stays.
pub fn update(object: &Object, instance: &Instance) -> Result<(String, String, bool), Problem> {
    Ok((
        text(object, "listen")?.unwrap_or_else(|| instance.listen.clone()),
        text(object, "upstream")?.unwrap_or_else(|| instance.upstream.clone()),
        field(object, "enabled", Value::as_bool)?.unwrap_or(instance.is_enabled()),
    ))
}
