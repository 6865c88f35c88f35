//! Every measure of the run, and how to read them.

use super::{Context, interval, section};
use crate::render::html::markup::Markup;
use crate::render::html::table::Table;
use crate::render::units;

/// Most measures that are listed.
const MOST: usize = 2_000;

const READING: [&str; 5] = [
    "Response time runs from when the plan wanted something (due) to its end, service time from when it was sent. In \
     closed load a workflow is due when its place falls free, so a slow target is also asked less; in open load it is \
     due when it arrives, whatever the target does. A closed figure says less about an overload than an open one.",
    "Workflow time is the workflow's own seconds: real time multiplied with the run's speed. Each figure says its clock.",
    "A percentile is printed only when the samples bound it: p50 needs 5, p95 needs 59, p99 needs 299. The intervals \
     are 95 % order-statistic intervals. Samples of one run are not independent, and the tasks of one workflow least \
     of all, so near saturation they are too narrow; only repeated runs tell.",
    "A gate without evidence is unknown, never passed; of several verdicts the worst wins; nothing in an invalid run \
     passes.",
    "Over time, each point stands for what ended in its stretch of the run; a gap is a stretch with too few samples.",
];

/// Writes the section.
pub(in super::super) fn write(m: &mut Markup, context: &Context<'_>) {
    section(m, "measures", "All measures, and how to read them", |m| {
        m.within("ul", &[("class", &"reading")], |m| {
            READING.iter().for_each(|sentence| m.element("li", &[], sentence));
        });
        let header = ["measure", "value", "95 % interval", "n", "method", "clock", "unit"];
        let mut table = Table::new("Every measure of the run, as summary.json holds it", &header);
        for measure in context.summary.measures.iter().take(MOST + 1) {
            let value = measure.value.map(|v| units::value(v, &measure.unit));
            let missing = || measure.missing.clone().unwrap_or_else(|| "no evidence".to_owned());
            table.row(vec![
                measure.name.as_str().into(),
                value.unwrap_or_else(|| format!("n/a ({})", missing())).into(),
                interval(measure.lo, measure.hi, &measure.unit).into(),
                measure.n.to_string().into(),
                measure.method.as_str().into(),
                units::clock(measure.clock).into(),
                measure.unit.as_str().into(),
            ]);
        }
        let n = context.summary.measures.len();
        table.cut(MOST, "summary.json holds all of them.").write_folded(m, &format!("All {n} measures"));
    });
}
