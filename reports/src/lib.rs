//! The run record's format, the checks, the statistics, the gates and the renderers.
//!
//! Everything here is a function from the files of a run directory to a verdict and documents: no clock,
//! no network, no process. A run that was judged once can be judged again, anywhere, with the same result.

pub mod definition;
pub mod durations;
pub mod gate;
pub mod history;
pub mod measure;
pub mod plan;
