//! Faults, links and databases, by subject. One program, because linking is most of what a build of tests costs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod backups;
mod blue_green;
mod command_faults;
mod database_drills;
mod database_pair;
mod healing;
mod left_behind;
mod link_faults;
mod local_nodes;
mod overlapping_faults;
mod pairs;
mod peers;
mod process_faults;
mod proxy_api;
mod proxy_client;
mod proxy_data;
mod proxy_postgres;
mod resource_faults;
mod schedule_laws;
mod stage;
