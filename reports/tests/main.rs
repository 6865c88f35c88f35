//! Reading, judging and telling a run, by subject. One program, because linking is most of what a build of tests costs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod checks;
mod definitions;
mod documents;
mod html;
mod judging;
mod loss;
mod made;
mod measures;
mod open_load;
mod reading;
mod recovery;
mod recovery_documents;
mod recovery_more;
mod resources;
mod suite_page;
mod suites;
mod takeover;
