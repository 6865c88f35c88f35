//! What a pair and its manager go by, and the timers that follow from it.

use super::DatabaseError;
use super::config;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a pair replicates, and how its manager looks after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether a commit waits until the standby has it on disk.
    pub replication: Replication,
    /// Milliseconds from one probing write to the next.
    pub interval_ms: u64,
    /// Milliseconds that a probing write has; at most the interval.
    pub deadline_ms: u64,
    /// Probing writes in a row that fail before the primary counts as lost.
    pub attempts: u32,
    /// How a lost primary is kept from writing.
    pub fence: Fence,
    /// How it becomes a standby.
    pub rejoin: Rejoin,
    /// Milliseconds that commits wait for a silent standby before they go on without it.
    pub standby_timeout_ms: u64,
    /// Milliseconds that a standby may take to become the primary.
    pub promote_within_ms: u64,
    /// Milliseconds that a database has to stream again before another way is tried.
    pub rejoin_within_ms: u64,
    /// Seconds after which what was written is in the archive of the log at the latest, as long as anything is written:
    /// that much a restore loses. There is an archive where a backup is planned.
    pub archive_timeout_s: u32,
    /// Clients and replication go through links, which faults can hurt, and which fencing cuts.
    pub links: bool,
    /// The replication link is cut at the instant at which a fault kills the primary: what a proxy still holds would
    /// reach the standby, as no wire of a dead machine does, and the loss would look too small.
    pub cut_at_kill: bool,
    /// A query with one column of text, asked of the old primary before it is rewound and of the new one: what only the old
    /// one has is what the failover lost by the databases' own word. Without it neither is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare: Option<String>,
    /// The name of the clients' database and of its owner.
    pub database: String,
    /// Lines of `postgresql.conf`, which win over ours.
    pub config: Vec<(String, String)>,
}

/// Whether a commit waits for the standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Replication {
    /// It waits until the standby has it on disk: a failover loses nothing that was acknowledged.
    #[default]
    Synchronous,
    /// It doesn't: a failover loses what was not sent yet.
    Asynchronous,
}

/// How a lost primary is kept from writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fence {
    /// Its links are cut and its whole namespace is killed.
    #[default]
    Kill,
    /// Its links are cut, and it is told to refuse writes as soon as it can hear; it goes on being there. For drills of
    /// a hung primary that comes back.
    Link,
}

/// How a lost primary becomes a standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rejoin {
    /// `pg_rewind` takes back what the new primary doesn't know; where that fails, it is copied anew.
    #[default]
    Rewind,
    /// It is copied anew.
    Copy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            replication: Replication::default(),
            interval_ms: 500,
            deadline_ms: 500,
            attempts: 3,
            fence: Fence::default(),
            rejoin: Rejoin::default(),
            standby_timeout_ms: 3_000,
            promote_within_ms: 20_000,
            rejoin_within_ms: 15_000,
            archive_timeout_s: 1,
            links: true,
            cut_at_kill: false,
            compare: None,
            database: "shakedown".to_owned(),
            config: Vec::new(),
        }
    }
}

/// A timer of the configuration: a part of a recovery that is waited for, not worked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    /// What waits.
    pub name: &'static str,
    /// How long, at most.
    pub seconds: f64,
    /// Where that comes from.
    pub from: String,
}

impl Settings {
    /// Refuses what can't work.
    ///
    /// # Errors
    /// What is wrong, and what would be accepted.
    pub fn check(&self) -> Result<(), DatabaseError> {
        let refuse = |what: &str| Err(DatabaseError::Settings(what.to_owned()));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.attempts == 0 {
            return refuse("attempts = 0 would take every primary for lost; give at least 1");
        }
        if !(1..=self.interval_ms).contains(&self.deadline_ms) {
            return refuse("deadline_ms must be from 1 to interval_ms: one probing write at a time");
        }
        if self.standby_timeout_ms < self.interval_ms {
            return refuse("standby_timeout_ms must be at least interval_ms: nobody looks more often");
        }
        if self.promote_within_ms == 0 || self.rejoin_within_ms == 0 {
            return refuse("promote_within_ms and rejoin_within_ms must be more than 0");
        }
        if !(1..=3_600).contains(&self.archive_timeout_s) {
            return refuse("archive_timeout_s must be from 1 to 3600: PostgreSQL counts in whole seconds");
        }
        if self.cut_at_kill && !self.links {
            return refuse("cut_at_kill needs links = true: there is no link to cut");
        }
        if self.database.is_empty() || !self.database.chars().all(plain) || self.database == "postgres" {
            return refuse(
                "database must be lower-case letters, digits and _, and another one than postgres",
            );
        }
        let ours = [
            "port",
            "listen_addresses",
            "synchronous_standby_names",
            "primary_conninfo",
            "log_line_prefix",
            "archive_mode",
            "archive_command",
            "restore_command",
        ];
        match self
            .config
            .iter()
            .find(|(name, _)| name.is_empty() || !name.chars().all(plain) || ours.contains(&name.as_str()))
        {
            Some((name, _)) => {
                refuse(&format!("config: {name:?} can't be set here; the pair needs it as it is"))
            }
            None => Ok(()),
        }
    }

    /// The timers, those that add up to a failover first.
    #[must_use]
    pub fn timers(&self) -> Vec<Timer> {
        let seconds = |duration: Duration| duration.as_secs_f64();
        let (interval, deadline, attempts) = (self.interval_ms, self.deadline_ms, self.attempts);
        let timer =
            |name, duration, from: &str| Timer { name, seconds: seconds(duration), from: from.to_owned() };
        let ms = |ms: u32| Duration::from_millis(u64::from(ms));
        let from = format!("interval {interval} ms × attempts {attempts} + deadline {deadline} ms");
        vec![
            timer("detect", self.detect_at_most(), &from),
            timer(
                "promote",
                Duration::from_millis(self.promote_within_ms),
                "promote_within_ms: given up after",
            ),
            timer("retrieve", ms(config::RETRIEVE_RETRY_MS), "wal_retrieve_retry_interval of the databases"),
            timer(
                "standby",
                Duration::from_millis(self.standby_timeout_ms),
                "standby_timeout_ms: commits go on after",
            ),
            timer(
                "peer",
                ms(config::PEER_TIMEOUT_MS),
                "wal_sender_timeout, wal_receiver_timeout of the databases",
            ),
            timer(
                "rejoin",
                Duration::from_millis(self.rejoin_within_ms),
                "rejoin_within_ms: another way after",
            ),
            timer(
                "archive",
                Duration::from_secs(self.archive_timeout_s.into()),
                "archive_timeout_s: a restore loses as much, where a backup is planned",
            ),
        ]
    }

    /// From a primary's last breath to the moment at which it counts as lost: a fault may come right after a write
    /// went through, and the last of the failing ones may hang for all of its deadline.
    #[must_use]
    pub fn detect_at_most(&self) -> Duration {
        Duration::from_millis(self.interval_ms * u64::from(self.attempts) + self.deadline_ms)
    }

    pub(super) fn is_synchronous(&self) -> bool {
        self.replication == Replication::Synchronous
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_and_the_rest_is_summed_up() {
        let settings = Settings::default();
        settings.check().unwrap();
        let detect = &settings.timers()[0];
        assert!(
            (detect.seconds - 2.0).abs() < 1e-9 && detect.from.contains("500 ms × attempts 3"),
            "{detect:?}"
        );
        let refused = |change: &dyn Fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check().unwrap_err().to_string()
        };
        assert!(refused(&|settings| settings.attempts = 0).contains("at least 1"));
        assert!(refused(&|settings| settings.deadline_ms = 501).contains("1 to interval_ms"));
        assert!(refused(&|settings| settings.standby_timeout_ms = 10).contains("at least interval_ms"));
        assert!(refused(&|settings| settings.archive_timeout_s = 0).contains("1 to 3600"));
        assert!(refused(&|settings| settings.database = "x; drop".to_owned()).contains("lower-case"));
        let port = vec![("port".to_owned(), "1".to_owned())];
        assert!(refused(&|settings| settings.config.clone_from(&port)).contains("port"));
    }
}
