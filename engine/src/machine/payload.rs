//! A payload: input or output of a workflow or a task, kept as JSON text.
//!
//! Most payloads are stored, journaled and handed out without anybody looking inside, and text is a fraction of the
//! size of a tree of values. Who looks inside parses it.

use super::definition::Object;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// JSON text that parses. Cheap to clone.
#[derive(Clone)]
pub struct Payload(Arc<RawValue>);

impl Payload {
    /// The value, parsed.
    #[must_use]
    pub fn value(&self) -> Value {
        // Every payload was written from a value; what somebody else put into a file reads as null.
        serde_json::from_str(self.text()).unwrap_or_default()
    }

    /// The members, parsed; none when it is not an object.
    #[must_use]
    pub fn object(&self) -> Object {
        match self.value() {
            Value::Object(members) => members,
            _ => Object::new(),
        }
    }

    /// True for `{}`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text() == "{}"
    }

    /// The JSON text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// The JSON text, to be written as it is.
    #[must_use]
    pub fn raw(&self) -> &RawValue {
        &self.0
    }
}

impl Default for Payload {
    /// An empty object; all of them share one text.
    fn default() -> Self {
        static EMPTY: OnceLock<Payload> = OnceLock::new();
        EMPTY.get_or_init(|| Self(raw(&Object::new()))).clone()
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        match &value {
            Value::Object(members) if members.is_empty() => Self::default(),
            other => Self(raw(other)),
        }
    }
}

impl From<Object> for Payload {
    fn from(members: Object) -> Self {
        if members.is_empty() { Self::default() } else { Self(raw(&members)) }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Ok(if text.get() == "{}" { Self::default() } else { Self(text.into()) })
    }
}

fn raw(value: &impl Serialize) -> Arc<RawValue> {
    to_raw_value(value).expect("values and string keys are always JSON").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_payload_is_its_value() {
        let value = json!({"n": 0.1, "text": "a \"b\" \u{1f600}", "list": [1, null, {"deep": -0.0}]});
        let payload = Payload::from(value.clone());
        assert_eq!(payload.value(), value);
        let back: Payload = serde_json::from_str(&serde_json::to_string(&payload).unwrap()).unwrap();
        assert_eq!(back, payload);
        assert_eq!(Payload::from(json!({})), Payload::default());
        assert!(Payload::default().is_empty() && !payload.is_empty());
    }

    #[test]
    fn a_number_that_is_none_reads_as_null() {
        let odd: Payload = serde_json::from_str("{\"n\": 1e999}").unwrap();
        assert_eq!(odd.value(), Value::Null);
        assert!(odd.object().is_empty());
    }
}
