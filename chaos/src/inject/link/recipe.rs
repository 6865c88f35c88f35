//! What a fault of a link is made of, and what is then seen by somebody who connects and asks. Pure.

use crate::fault::{Fault, PartitionStyle};
use crate::probe::Seen;
use crate::proxy::client::{Stream, Toxic};
use serde_json::{Value, json};
use std::time::Duration;

/// What is set on a proxy.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// These toxics.
    pub toxics: Vec<Toxic>,
    /// It refuses connects and closes connections.
    pub disable: bool,
    /// Its connects hang. Ours only.
    pub hang: bool,
    /// Connections that are open are reset at once. Ours only.
    pub reset: bool,
    /// What is then seen.
    pub sight: Sight,
}

/// What is to be seen through a link with a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Connects are refused.
    Refused,
    /// Nothing is answered, not even the connect.
    Hung,
    /// The connect succeeds, and nothing is answered.
    Silent,
    /// The answer takes this long at least.
    Slow(Duration),
    /// The connection is reset.
    Reset,
    /// At most so many bytes of the answer come.
    Cut(u64),
    /// There is an answer.
    Answered,
}

impl Sight {
    /// True when this is what was seen.
    pub fn is(self, seen: Seen) -> bool {
        match (self, seen) {
            (Self::Refused, Seen::Refused) | (Self::Hung, Seen::Hung) | (Self::Silent, Seen::Silent) => true,
            (Self::Slow(least), Seen::Answered(after, _)) => after >= least,
            (Self::Reset, Seen::Reset(_)) => true,
            (Self::Cut(most), Seen::Reset(bytes) | Seen::Closed(bytes)) => bytes as u64 <= most,
            // A short answer fits below the cut.
            (Self::Cut(most), Seen::Answered(_, bytes)) => bytes as u64 <= most,
            (Self::Answered, seen) => answers(seen),
            _ => false,
        }
    }
}

/// True when bytes came back.
pub fn answers(seen: Seen) -> bool {
    matches!(seen, Seen::Answered(..) | Seen::Closed(1..))
}

/// What a fault is made of; `name` begins the names of its toxics, `ours` says which server it is. `None`: it is no
/// fault of links, or none that this server can do.
pub fn of(fault: &Fault, name: &str, ours: bool) -> Option<Recipe> {
    let toxic = |kind: &str, stream: Stream, attributes: &[(&str, Value)]| {
        let end = if stream == Stream::Upstream { "up" } else { "down" };
        Toxic::new(&format!("{name}-{end}"), kind, stream, attributes)
    };
    let both = |kind: &str, attributes: &[(&str, Value)]| {
        [Stream::Upstream, Stream::Downstream].map(|stream| toxic(kind, stream, attributes)).to_vec()
    };
    // Toxiproxy's way of swallowing closes the connections in the end, when it is taken away.
    let (hole, how): (&str, &[(&str, Value)]) =
        if ours { ("swallow", &[]) } else { ("timeout", &[("timeout", Value::from(0))]) };
    let plain = Recipe { toxics: vec![], disable: false, hang: false, reset: false, sight: Sight::Answered };
    Some(match fault {
        Fault::Partition { style: PartitionStyle::Reject } => {
            Recipe { disable: true, sight: Sight::Refused, ..plain }
        }
        Fault::Partition { style: PartitionStyle::Drop } => {
            let sight = if ours { Sight::Hung } else { Sight::Silent };
            Recipe { toxics: both(hole, how), hang: ours, sight, ..plain }
        }
        Fault::Partition { style: PartitionStyle::ToServer } => {
            Recipe { toxics: vec![toxic(hole, Stream::Upstream, how)], sight: Sight::Silent, ..plain }
        }
        Fault::Partition { style: PartitionStyle::ToClient } => {
            Recipe { toxics: vec![toxic(hole, Stream::Downstream, how)], sight: Sight::Silent, ..plain }
        }
        Fault::HalfOpen {} => Recipe { toxics: both(hole, how), sight: Sight::Silent, ..plain },
        Fault::Latency { latency_ms, jitter_ms } => {
            let how = [("latency", json!(latency_ms)), ("jitter", json!(jitter_ms))];
            // There and back again; jitter takes away as often as it adds.
            let least = Duration::from_millis(2 * latency_ms.saturating_sub(*jitter_ms));
            Recipe { toxics: both("latency", &how), sight: Sight::Slow(least), ..plain }
        }
        Fault::Bandwidth { kb_per_s } => {
            Recipe { toxics: both("bandwidth", &[("rate", json!(kb_per_s))]), ..plain }
        }
        Fault::Reset { after_ms } => Recipe {
            toxics: vec![toxic("reset_peer", Stream::Downstream, &[("timeout", json!(after_ms))])],
            reset: ours && *after_ms == 0,
            sight: Sight::Reset,
            ..plain
        },
        Fault::Cut { after_bytes } => Recipe {
            toxics: vec![toxic("limit_data", Stream::Downstream, &[("bytes", json!(after_bytes))])],
            sight: Sight::Cut(*after_bytes),
            ..plain
        },
        // What is asked through the link is no commit, and is answered.
        Fault::CutAtCommit { nth } if ours => {
            let how = [("nth", json!(nth)), ("each_connection", json!(true))];
            Recipe { toxics: vec![toxic("cut_at_answer", Stream::Downstream, &how)], ..plain }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_link_has_a_recipe_and_no_other_has() {
        let all = [
            r#"{"fault":"partition"}"#,
            r#"{"fault":"partition","style":"drop"}"#,
            r#"{"fault":"partition","style":"to_server"}"#,
            r#"{"fault":"partition","style":"to_client"}"#,
            r#"{"fault":"latency","latency_ms":5}"#,
            r#"{"fault":"bandwidth","kb_per_s":50}"#,
            r#"{"fault":"reset"}"#,
            r#"{"fault":"cut","after_bytes":7}"#,
            r#"{"fault":"half_open"}"#,
            r#"{"fault":"cut_at_commit"}"#,
            r#"{"fault":"kill"}"#,
            r#"{"fault":"cpu","cores":1}"#,
        ];
        for text in all {
            let fault: Fault = serde_json::from_str(text).unwrap();
            for ours in [true, false] {
                let recipe = of(&fault, "x", ours);
                let can_be = ours || !matches!(fault, Fault::CutAtCommit { .. });
                assert_eq!(recipe.is_some(), fault.is_of_link() && can_be, "{text}");
                let own = ["swallow", "cut_after", "cut_at_answer"];
                let toxics = recipe.map(|recipe| recipe.toxics).unwrap_or_default();
                assert!(ours || toxics.iter().all(|toxic| !own.contains(&toxic.kind.as_str())), "{text}");
            }
        }
    }

    #[test]
    fn what_is_seen_tells_one_fault_from_another() {
        let ms = Duration::from_millis;
        assert!(Sight::Slow(ms(10)).is(Seen::Answered(ms(10), 5)));
        assert!(!Sight::Slow(ms(10)).is(Seen::Answered(ms(9), 5)));
        assert!(!Sight::Silent.is(Seen::Closed(0)), "swallowed is not closed");
        assert!(!Sight::Hung.is(Seen::Refused));
        assert!(Sight::Cut(5).is(Seen::Closed(5)) && !Sight::Cut(5).is(Seen::Answered(ms(1), 6)));
        assert!(answers(Seen::Closed(7)) && !answers(Seen::Closed(0)));
    }
}
