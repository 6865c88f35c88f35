//! Documents for people and machines, each a function of the summary (and, for samples, of the history).

pub mod bundle;
pub mod csv;
pub mod hlog;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
mod recovery;
pub mod suite;
mod table;
pub mod terminal;
pub mod units;
mod words;

pub(crate) use recovery::worst as worst_recovery;
