//! A span of time as definitions carry it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time: seconds on the wire (fractions allowed), milliseconds inside. Never negative once validated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub i64);

impl Seconds {
    /// So many whole seconds.
    #[must_use]
    pub const fn whole(seconds: i64) -> Self {
        Self(seconds * 1000)
    }

    /// In milliseconds; a negative span counts as none.
    #[must_use]
    pub fn ms(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    /// In milliseconds, when the span is set (greater than 0).
    #[must_use]
    pub fn set_ms(self) -> Option<u64> {
        (self.0 > 0).then(|| self.ms())
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1000 == 0 {
            serializer.serialize_i64(self.0 / 1000)
        } else {
            serializer.serialize_f64(self.0 as f64 / 1000.0)
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?.unwrap_or(0.0);
        if !seconds.is_finite() || seconds.abs() > 1e12 {
            return Err(serde::de::Error::custom(format!("{seconds} is not a usable number of seconds")));
        }
        Ok(Self((seconds * 1000.0).round() as i64))
    }
}
