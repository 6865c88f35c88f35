//! The way to the one server that takes writes: all hosts of the list are asked at once, and the first that is fit
//! is taken. Why each of the others was not is told.

use super::address::{Address, Server, chain};
use super::session::{Session, Warnings, connect, drive};
use crate::clock;
use std::fmt::Write;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// The oldest server that the statements of this engine are written for.
const OLDEST: i32 = 130_000;
/// So far apart may this machine's clock and the server's be.
const MAX_SKEW: Duration = Duration::from_secs(60);

/// Who connects, and how patient it is.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub address: Address,
    /// Name of the node, shown in `pg_stat_activity`.
    pub node: String,
    /// How long a statement, and each step of connecting, may take.
    pub deadline: Duration,
}

/// No server could be used.
#[derive(Debug, Clone)]
pub(crate) struct Unreachable {
    /// The address, then each host with the reason.
    pub why: String,
    /// Another try may find what this one did not: a server is down, or starting, or not promoted yet.
    pub may_pass: bool,
}

/// A server that answered.
struct Answered {
    client: Client,
    warnings: Warnings,
    host: String,
    facts: Facts,
}

struct Facts {
    version: i32,
    standby: bool,
    read_only: bool,
    now_ms: i64,
    backend: (i32, String),
    /// What tells one cluster from another: its standbys have it too. `None` when the user may not ask.
    cluster: Option<String>,
}

/// Why a host was not taken, and whether that may pass.
struct Unfit(String, bool);

/// Connects to the server that takes writes.
pub(crate) fn to_primary(caller: &Caller) -> Result<Session, Unreachable> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Unreachable {
        why: format!("no runtime for a connection to the database: {error}"),
        may_pass: true,
    })?;
    let found = match runtime.block_on(race(caller)) {
        Ok(found) => found,
        Err(unreachable) => {
            // Dropping it would wait for names that are still being looked up, however long a resolver takes.
            runtime.shutdown_background();
            return Err(unreachable);
        }
    };
    let place = (found.host, found.facts.backend);
    Ok(Session::new(runtime, found.client, found.warnings, place, caller.deadline))
}

async fn race(caller: &Caller) -> Result<Answered, Unreachable> {
    let mut asked = JoinSet::new();
    for server in caller.address.servers() {
        let caller = caller.clone();
        asked.spawn(async move {
            let answered = ask(&caller, &server).await.and_then(fit);
            answered.map_err(|unfit| (server, unfit))
        });
    }
    let mut refused = Vec::new();
    while let Some(answered) = asked.join_next().await {
        match answered {
            Ok(Ok(answered)) => return Ok(answered),
            Ok(Err(unfit)) => refused.push(unfit),
            Err(_) => {}
        }
    }
    Err(unreachable(&caller.address, &refused))
}

fn unreachable(address: &Address, refused: &[(Server, Unfit)]) -> Unreachable {
    let mut why = format!("no host of {address} can be written to");
    for (server, Unfit(reason, _)) in refused {
        let _ = write!(why, "; {server}: {reason}");
    }
    // One that is down may be the one; one that is there and refuses for good settles it when all do.
    Unreachable { why, may_pass: refused.iter().any(|(_, Unfit(_, may_pass))| *may_pass) }
}

/// What a host is.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    /// The cluster's identifier, as far as it may be asked.
    pub cluster: Option<String>,
    /// It follows another, and takes no writes.
    pub standby: bool,
}

/// A host, and what it is or why it did not answer.
pub(crate) type Surveyed = (String, Result<Kind, String>);

/// What every host of the list is, asked at once; in the order of the list.
pub(crate) fn survey(caller: &Caller) -> Result<Vec<Surveyed>, Unreachable> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Unreachable { why: error.to_string(), may_pass: true })?;
    let seen = runtime.block_on(async {
        let mut asked = JoinSet::new();
        for (index, server) in caller.address.servers().into_iter().enumerate() {
            let caller = caller.clone();
            asked.spawn(async move {
                let answer = ask(&caller, &server).await.map_err(|Unfit(why, _)| why);
                let kind = |Facts { cluster, standby, .. }| Kind { cluster, standby };
                (index, (server.to_string(), answer.map(|answered| kind(answered.facts))))
            });
        }
        let mut seen = asked.join_all().await;
        seen.sort_by_key(|(index, _)| *index);
        seen.into_iter().map(|(_, host)| host).collect()
    });
    runtime.shutdown_background();
    Ok(seen)
}

async fn ask(caller: &Caller, server: &Server) -> Result<Answered, Unfit> {
    let name = format!("shakedown {}", caller.node);
    let config = caller.address.config_of(server, caller.deadline, &name).map_err(|why| Unfit(why, false))?;
    let late = |_| Unfit(format!("no answer within {} ms", caller.deadline.as_millis()), true);
    let connected = tokio::time::timeout(caller.deadline, connect(&config)).await.map_err(late)?;
    let (client, wire) = connected.map_err(|error| unfit(&error))?;
    let warnings = Warnings::default();
    tokio::spawn(drive(wire, std::sync::Arc::clone(&warnings)));
    let facts = tokio::time::timeout(caller.deadline, facts(&client)).await.map_err(late)?;
    let facts = facts.map_err(|error| unfit(&error))?;
    Ok(Answered { client, warnings, host: server.to_string(), facts })
}

async fn facts(client: &Client) -> Result<Facts, tokio_postgres::Error> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::int, pg_is_in_recovery(),
                 current_setting('transaction_read_only') = 'on',
                 (extract(epoch FROM clock_timestamp()) * 1000)::bigint, pg_backend_pid(),
                 (SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()),
                 current_setting('synchronous_commit')",
            &[],
        )
        .await?;
    let waits: String = row.get(6);
    // Whatever the server's default is: an acknowledged frame survives the loss of this server's memory, and of
    // the server where it has synchronous standbys.
    if waits != "on" && waits != "remote_apply" {
        client.batch_execute("SET synchronous_commit = on").await?;
    }
    let cluster = client.query_one("SELECT system_identifier::text FROM pg_control_system()", &[]).await;
    Ok(Facts {
        version: row.get(0),
        standby: row.get(1),
        read_only: row.get(2),
        now_ms: row.get(3),
        backend: (row.get(4), row.get::<_, Option<String>>(5).unwrap_or_default()),
        cluster: cluster.ok().map(|row| row.get(0)),
    })
}

/// Why a host did not let us in, and whether that may pass.
fn unfit(error: &tokio_postgres::Error) -> Unfit {
    let for_good = [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INVALID_CATALOG_NAME,
        SqlState::UNDEFINED_OBJECT,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ];
    match error.as_db_error() {
        Some(refused) => {
            let hint = match refused.code() {
                code if *code == SqlState::INVALID_PASSWORD => "; give the right password in PGPASSWORD",
                code if *code == SqlState::INVALID_CATALOG_NAME => "; create the database, or name another",
                _ => "",
            };
            Unfit(format!("{}{hint}", refused.message()), !for_good.contains(refused.code()))
        }
        // A password that is missing is noticed here, not there.
        None => {
            let why = chain(error);
            let missing = why.contains("password missing");
            let hint = if missing { "; give it in PGPASSWORD or a passfile" } else { "" };
            Unfit(format!("{why}{hint}"), !missing)
        }
    }
}

/// The host, when the engine can work with it.
fn fit(answered: Answered) -> Result<Answered, Unfit> {
    check(&answered.facts, clock::now_ms()).map(|()| answered)
}

fn check(facts: &Facts, here_ms: u64) -> Result<(), Unfit> {
    let Facts { version, standby, read_only, now_ms, .. } = facts;
    if *version < OLDEST {
        let why = format!("PostgreSQL {} is too old; 13 and later are supported", version / 10_000);
        return Err(Unfit(why, false));
    }
    if *standby {
        return Err(Unfit("it is a standby, which takes no writes until it is promoted".to_owned(), true));
    }
    if *read_only {
        let why = "it takes no writes: default_transaction_read_only is on; turn it off for this user";
        return Err(Unfit(why.to_owned(), true));
    }
    let off_ms = i128::from(here_ms) - i128::from(*now_ms);
    if off_ms.unsigned_abs() > MAX_SKEW.as_millis() {
        let (by, way) = (off_ms.unsigned_abs() / 1000, if off_ms > 0 { "ahead of" } else { "behind" });
        let why = format!(
            "this machine's clock is {by} s {way} the server's, and timers would fire at the wrong time; \
             set both by NTP (at most {} s are accepted)",
            MAX_SKEW.as_secs()
        );
        return Err(Unfit(why, false));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_the_engine_cannot_work_with_is_told_why() {
        let facts = |change: fn(&mut Facts)| {
            let backend = (1, String::new());
            let mut facts = Facts {
                version: 150_004,
                standby: false,
                read_only: false,
                now_ms: 1_000_000,
                backend,
                cluster: None,
            };
            change(&mut facts);
            check(&facts, 1_000_000).err().map(|Unfit(why, may_pass)| (why, may_pass))
        };
        assert_eq!(facts(|_| {}), None);
        assert_eq!(facts(|facts| facts.version = 130_000), None);
        assert_eq!(facts(|facts| facts.now_ms += 59_000), None);
        for (change, part, passes) in [
            (
                (|facts| facts.version = 120_017) as fn(&mut Facts),
                "PostgreSQL 12 is too old; 13 and later",
                false,
            ),
            (
                |facts| facts.standby = true,
                "it is a standby, which takes no writes until it is promoted",
                true,
            ),
            (|facts| facts.read_only = true, "default_transaction_read_only is on; turn it off", true),
            (|facts| facts.now_ms += 120_000, "this machine's clock is 120 s behind the server's", false),
            (|facts| facts.now_ms -= 120_000, "this machine's clock is 120 s ahead of the server's", false),
        ] {
            let (why, may_pass) = facts(change).unwrap();
            assert!(why.contains(part) && may_pass == passes, "{why}");
        }
    }
}
