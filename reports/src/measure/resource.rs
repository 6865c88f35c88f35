//! What the processes took of the machine's memory over the whole run.

use super::{Measure, Scale};
use crate::history::History;
use std::collections::BTreeMap;

/// Bytes in a mebibyte.
const MIB: f64 = 1_048_576.0;

pub(super) fn measure(history: &History, out: &mut Vec<Measure>) {
    let mut peaks: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for sample in &history.resources {
        let (peak, n) = peaks.entry(&sample.process).or_default();
        (*peak, *n) = ((*peak).max(sample.resident_bytes), *n + 1);
    }
    for (process, (peak, n)) in peaks {
        let name = format!("memory_peak_mib.{process}");
        out.push(Measure::plain(name, Some(peak as f64 / MIB), n, "largest of n samples", Scale::MIB));
    }
}
