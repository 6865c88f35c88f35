//! The manager's eyes: a probing write on the primary, one that waits for the standby, and a look at the other one.

use super::super::Side;
use super::super::pair::Pair;
use super::super::sql::{Session, SqlError};
use super::machine::{Look, Peer};
use crate::clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Writes on the primary alone, and waits for its disk: whether the standby is there is another question.
const WRITE_ALONE: &str = "SET synchronous_commit = local; \
                           UPDATE shakedown_probe SET n = n + 1 WHERE kind = 'alone'";
/// Writes and waits for whoever commits have to wait for.
const WRITE_BOTH: &str = "SET synchronous_commit = on; \
                          UPDATE shakedown_probe SET n = n + 1 WHERE kind = 'both'";
/// How far the primary's log is on disk, and how far that of a standby of its.
const POSITIONS: &str = "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint, \
                         (SELECT (max(flush_lsn) - '0/0')::bigint FROM pg_stat_replication \
                          WHERE application_name = $1 AND state = 'streaming')";

/// Looks at a pair.
pub struct Watcher {
    pair: Arc<Pair>,
    deadline: Duration,
    session: Option<(Side, Session)>,
    both: Option<(Side, Both)>,
}

impl Watcher {
    /// One that is not connected yet.
    pub fn new(pair: Arc<Pair>) -> Self {
        let deadline = Duration::from_millis(pair.settings.deadline_ms);
        Self { pair, deadline, session: None, both: None }
    }

    /// Writes on the primary, within the deadline, and looks at the other one.
    pub async fn look(&mut self, primary: Side) -> Look {
        let other = primary.other();
        // The deadline is one for all that the probing write takes, connecting too.
        let wrote = tokio::time::timeout(self.deadline, self.write(primary)).await;
        let wrote = wrote.map_err(|_| format!("no answer within {:?}", self.deadline));
        let wrote = wrote.and_then(|wrote| wrote.map_err(|error| error.to_string()));
        let at_ns = clock::now_ns();
        let write = match &wrote {
            Ok((head, _)) => Ok(*head),
            Err(why) => {
                self.session = None;
                Err(why.clone())
            }
        };
        let streams = wrote.ok().and_then(|(_, position)| position);
        let peer = match streams {
            Some(position) => Peer::Streams(position),
            None => self.peer(other, write.is_ok()).await,
        };
        let primary_gone = self.pair.cluster(primary).node.waits_for_release();
        Look { at_ns, write, primary_gone, peer, waits_ns: self.waits_ns(primary) }
    }

    async fn write(&mut self, primary: Side) -> Result<(u64, Option<u64>), SqlError> {
        if self.session.as_ref().is_none_or(|(side, _)| *side != primary) {
            // The one before is closed first.
            self.session = None;
            let door = self.pair.cluster(primary).door();
            self.session = Some((primary, Session::open(&door, self.deadline).await?));
        }
        let Some((_, session)) = &self.session else {
            unreachable!("it was opened just now");
        };
        session.run(WRITE_ALONE, self.deadline).await?;
        let name = &self.pair.cluster(primary.other()).name;
        let rows = session.ask(POSITIONS, &[name], self.deadline).await?;
        let position = |column| {
            let value = rows.first().and_then(|row| row.try_get::<_, Option<i64>>(column).ok().flatten());
            value.map(i64::cast_unsigned)
        };
        Ok((position(0).unwrap_or(0), position(1)))
    }

    /// A database that does not stream from the primary.
    async fn peer(&self, side: Side, asks: bool) -> Peer {
        let cluster = self.pair.cluster(side);
        if cluster.node.waits_for_release() {
            return Peer::Gone;
        }
        if cluster.node.running().is_none() {
            return Peer::Away;
        }
        if !asks {
            // The primary is not writable: nobody waits for a second answer now.
            return Peer::Answers;
        }
        let answers = async {
            let session = Session::open(&cluster.door(), self.deadline).await?;
            session.run("SELECT 1", self.deadline).await
        };
        if answers.await.is_ok() { Peer::Answers } else { Peer::Hung }
    }

    /// For how long a write has been waiting for the standby; it goes on waiting, however long that takes.
    fn waits_ns(&mut self, primary: Side) -> u64 {
        if !self.pair.settings.is_synchronous() {
            return 0;
        }
        if self.both.as_ref().is_none_or(|(side, _)| *side != primary) {
            self.both = Some((primary, Both::start(&self.pair, primary)));
        }
        self.both.as_ref().map_or(0, |(_, both)| both.waits_ns())
    }
}

/// The write that waits for the standby, over and over on a connection of its own. One at a time: those that wait hold
/// a connection each.
struct Both {
    since_ns: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Both {
    fn start(pair: &Pair, primary: Side) -> Self {
        let since_ns = Arc::new(AtomicU64::new(0));
        let door = pair.cluster(primary).door();
        let interval = Duration::from_millis(pair.settings.interval_ms);
        let waiting = Arc::clone(&since_ns);
        let task = tokio::spawn(async move {
            loop {
                if let Ok(session) = Session::open(&door, interval).await {
                    write_on(&session, &waiting, interval).await;
                }
                waiting.store(0, Ordering::Release);
                tokio::time::sleep(interval).await;
            }
        });
        Self { since_ns, task }
    }

    fn waits_ns(&self) -> u64 {
        match self.since_ns.load(Ordering::Acquire) {
            0 => 0,
            since_ns => clock::now_ns().saturating_sub(since_ns),
        }
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Writes until the connection fails.
async fn write_on(session: &Session, since_ns: &AtomicU64, interval: Duration) {
    loop {
        since_ns.store(clock::now_ns(), Ordering::Release);
        // Its wait is what is measured; who gives it up is the machine, by letting commits go on.
        if session.run(WRITE_BOTH, Duration::from_secs(3_600)).await.is_err() {
            return;
        }
        since_ns.store(0, Ordering::Release);
        tokio::time::sleep(interval).await;
    }
}
