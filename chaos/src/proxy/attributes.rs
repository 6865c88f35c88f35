//! The attributes of a toxic: named numbers and flags in a fixed order, read as strictly as Toxiproxy does.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// One attribute that a kind of toxic has.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it is unless it is given.
    pub default: Setting,
}

impl Field {
    /// A number that is 0 unless it is given, as all of Toxiproxy's are.
    #[must_use]
    pub const fn zero(name: &'static str) -> Self {
        Self { name, default: Setting::Number(0) }
    }
}

/// What an attribute can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// A whole number.
    Number(i64),
    /// True or false.
    Flag(bool),
}

/// Attributes with their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes(Vec<(&'static str, Setting)>);

impl Attributes {
    /// The defaults of these fields.
    #[must_use]
    pub fn of(fields: &[Field]) -> Self {
        Self(fields.iter().map(|field| (field.name, field.default)).collect())
    }

    /// These, with what `given` says; names that aren't known are ignored, as Toxiproxy does.
    ///
    /// # Errors
    /// A value of the wrong kind, or `given` is no object.
    pub fn merged(&self, given: Option<&Value>) -> Result<Self, String> {
        let given = match given {
            None | Some(Value::Null) => return Ok(self.clone()),
            Some(Value::Object(map)) => map,
            Some(other) => return Err(format!("json: cannot unmarshal {} into attributes", kind_of(other))),
        };
        let mut merged = self.clone();
        for (name, setting) in &mut merged.0 {
            let wrong = |value, wants| {
                let kind = kind_of(value);
                Err(format!("json: cannot unmarshal {kind} {value} into attribute {name}, which is {wants}"))
            };
            match (given.get(*name), &*setting) {
                (None | Some(Value::Null), _) => {}
                (Some(value), Setting::Number(_)) => match value.as_i64() {
                    Some(number) => *setting = Setting::Number(number),
                    None => return wrong(value, "a whole number"),
                },
                (Some(value), Setting::Flag(_)) => match value.as_bool() {
                    Some(flag) => *setting = Setting::Flag(flag),
                    None => return wrong(value, "true or false"),
                },
            }
        }
        Ok(merged)
    }

    /// The number of that name; one that isn't there is 0.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        match self.get(name) {
            Some(Setting::Number(number)) => u64::try_from(number).unwrap_or(0),
            _ => 0,
        }
    }

    /// The flag of that name; one that isn't there is false.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some(Setting::Flag(true))
    }

    /// # Errors
    /// A number is below zero: it would mean nothing.
    pub fn check_not_negative(&self) -> Result<(), String> {
        let below =
            self.0.iter().find(|(_, setting)| matches!(setting, Setting::Number(number) if *number < 0));
        below.map_or(Ok(()), |(name, _)| Err(format!("attribute {name} is negative; give 0 or more")))
    }

    fn get(&self, name: &str) -> Option<Setting> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, setting)| *setting)
    }

    #[cfg(test)]
    pub(super) fn set_number(&mut self, name: &str, value: i64) {
        let place = self.0.iter_mut().find(|(known, _)| *known == name).expect("a known attribute");
        place.1 = match place.1 {
            Setting::Number(_) => Setting::Number(value),
            Setting::Flag(_) => Setting::Flag(value != 0),
        };
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, setting) in &self.0 {
            match setting {
                Setting::Number(number) => map.serialize_entry(name, number)?,
                Setting::Flag(flag) => map.serialize_entry(name, flag)?,
            }
        }
        map.end()
    }
}

/// What Go's decoder calls a value.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
