//! SQL with a deadline on every call: a database that hangs takes connections, and then says nothing for ever.

use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row};

/// How to get into a database.
#[derive(Debug, Clone)]
pub struct Door {
    /// Its port on loopback.
    pub port: u16,
    /// As whom.
    pub user: &'static str,
    /// With which password.
    pub password: String,
    /// Into which database.
    pub database: String,
}

/// Why a statement was not carried out, as far as anybody can say.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// There was no answer in time.
    #[error("{what}: no answer within {within:?}")]
    Late {
        /// What was tried.
        what: String,
        /// How long it had.
        within: Duration,
    },
    /// The database refused, or the connection failed.
    #[error("{what}: {}", told(source))]
    Failed {
        /// What was tried.
        what: String,
        /// What was said.
        source: tokio_postgres::Error,
    },
}

/// PostgreSQL's own words, where it has any: the library's are "db error".
fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => {
            let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
            causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
        }
    }
}

fn is_no_connection(error: &tokio_postgres::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::ConnectionRefused)
}

impl SqlError {
    /// True when nothing can have happened: the database said no, or took no connection.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        let Self::Failed { source, .. } = self else { return false };
        match source.code() {
            // A commit that only waits for its standby is in the log already when its backend is told to go.
            Some(code) => *code != SqlState::ADMIN_SHUTDOWN && *code != SqlState::CRASH_SHUTDOWN,
            None => is_no_connection(source),
        }
    }

    /// True when that is what keeps writes out: the database only reads, or is not there. One that is full, starting or out
    /// of connections says no as well, and may say yes in a moment.
    #[must_use]
    pub fn is_fenced_off(&self) -> bool {
        let Self::Failed { source, .. } = self else { return false };
        match source.code() {
            Some(code) => *code == SqlState::READ_ONLY_SQL_TRANSACTION,
            None => is_no_connection(source),
        }
    }
}

/// A connection. Dropping it closes it.
pub struct Session {
    client: Client,
    carrier: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

/// Returns what `call` gives, or an error after `within`.
async fn in_time<T>(
    what: &str,
    within: Duration,
    call: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, SqlError> {
    match tokio::time::timeout(within, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(SqlError::Failed { what: what.to_owned(), source }),
        Err(_) => Err(SqlError::Late { what: what.to_owned(), within }),
    }
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// Nobody answers in time, or the database refuses.
    pub async fn open(door: &Door, within: Duration) -> Result<Self, SqlError> {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(door.port)
            .user(door.user)
            .password(&door.password)
            .dbname(&door.database);
        let what = format!("connect to 127.0.0.1:{}", door.port);
        let (client, connection) = in_time(&what, within, config.connect(NoTls)).await?;
        let carrier = tokio::spawn(async move {
            // How it ended is what the calls on it are told.
            let _ = connection.await;
        });
        Ok(Self { client, carrier })
    }

    /// Carries out statements that return nothing.
    ///
    /// # Errors
    /// No answer in time, or an error.
    pub async fn run(&self, sql: &str, within: Duration) -> Result<(), SqlError> {
        in_time(sql, within, self.client.batch_execute(sql)).await
    }

    /// Asks for rows.
    ///
    /// # Errors
    /// No answer in time, or an error.
    pub async fn ask(
        &self,
        sql: &str,
        args: &[&(dyn ToSql + Sync)],
        within: Duration,
    ) -> Result<Vec<Row>, SqlError> {
        in_time(sql, within, self.client.query(sql, args)).await
    }

    /// Asks for one value.
    ///
    /// # Errors
    /// No answer in time, an error, or not one row.
    pub async fn value<T>(&self, sql: &str, within: Duration) -> Result<T, SqlError>
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        let row = in_time(sql, within, self.client.query_one(sql, &[])).await?;
        row.try_get(0).map_err(|source| SqlError::Failed { what: sql.to_owned(), source })
    }
}

/// A position in the log, `0/3000028`, as a number of bytes.
#[must_use]
pub fn position(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    Some(u64::from_str_radix(high, 16).ok()? << 32 | u64::from_str_radix(low, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_numbers_of_bytes() {
        assert_eq!(position("0/3000028"), Some(0x300_0028));
        assert_eq!(position("2/A"), Some((2 << 32) + 10));
        assert_eq!(position("none"), None);
    }
}
