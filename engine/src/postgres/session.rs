//! A connection to the database, driven by whoever uses it: a statement is sent, its answer waited for, and both
//! have a deadline. What came of a statement is one of three things, and the type says which.

use super::address::chain;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls, Row, Socket, Statement};

/// The runtimes of sessions have one thread, that of whoever waits.
pub(crate) type Wire = Connection<Socket, tokio_postgres::tls::NoTlsStream>;

/// Statements that a session keeps prepared.
const PREPARED: usize = 64;

/// Parameters of a statement.
pub(crate) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Why a statement has no result.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// The server refused it: it was rolled back, and the session is as it was.
    Refused { code: SqlState, why: String },
    /// Nobody knows whether it was carried out: the connection broke, the deadline passed, or the server said that
    /// it had not waited for a standby. The session is of no more use.
    Doubt(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { code, why } => write!(f, "{why} (SQLSTATE {})", code.code()),
            Self::Doubt(why) => f.write_str(why),
        }
    }
}

impl Trouble {
    /// True when the server had no space for it.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == SqlState::DISK_FULL)
    }
}

/// Warnings that the server sent and nobody looked at yet.
pub(crate) type Warnings = Arc<Mutex<Option<String>>>;

pub(crate) struct Session {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    client: Client,
    warnings: Warnings,
    statements: HashMap<String, Statement>,
    /// Host and port, for errors.
    pub host: String,
    /// The server's process for this session, and when it began.
    pub backend: (i32, String),
    deadline: Duration,
}

impl Session {
    pub fn new(
        runtime: Runtime,
        client: Client,
        warnings: Warnings,
        (host, backend): (String, (i32, String)),
        deadline: Duration,
    ) -> Self {
        let statements = HashMap::new();
        Self { runtime: Some(runtime), client, warnings, statements, host, backend, deadline }
    }

    /// Carries out one statement, a transaction of its own, and answers its rows when it is committed for certain.
    pub fn query(&mut self, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, Trouble> {
        let statement = self.prepared(sql)?;
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).take();
        let client = &self.client;
        let rows = within(self.runtime.as_ref(), self.deadline, client.query(&statement, parameters))?;
        self.certain(rows)
    }

    /// The same, and answers how many rows it changed.
    pub fn execute(&mut self, sql: &str, parameters: Parameters<'_>) -> Result<u64, Trouble> {
        let statement = self.prepared(sql)?;
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).take();
        let client = &self.client;
        let changed = within(self.runtime.as_ref(), self.deadline, client.execute(&statement, parameters))?;
        self.certain(changed)
    }

    /// Carries out several statements without parameters.
    pub fn batch(&mut self, sql: &str) -> Result<(), Trouble> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).take();
        within(self.runtime.as_ref(), self.deadline, self.client.batch_execute(sql))?;
        self.certain(())
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, Trouble> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = within(self.runtime.as_ref(), self.deadline, self.client.prepare(sql))?;
        if self.statements.len() >= PREPARED {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// A commit that returned with a warning may not have waited for the standby: its rows can be read, and vanish
    /// with the next failover.
    fn certain<T>(&self, answer: T) -> Result<T, Trouble> {
        match self.warnings.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(answer),
            Some(warning) => Err(Trouble::Doubt(format!("the server warned: {warning}"))),
        }
    }

    /// False when the connection is known to be gone.
    pub fn is_open(&self) -> bool {
        !self.client.is_closed()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Waits for nothing, so it may be dropped anywhere, in an async task too.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits for an answer of the server, for so long at most.
fn within<T>(
    runtime: Option<&Runtime>,
    deadline: Duration,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Trouble> {
    let Some(runtime) = runtime else { return Err(Trouble::Doubt("the session has ended".to_owned())) };
    match runtime.block_on(async { tokio::time::timeout(deadline, answer).await }) {
        Ok(answer) => answer.map_err(|error| trouble(&error)),
        Err(_) => {
            Err(Trouble::Doubt(format!("the server did not answer within {} ms", deadline.as_millis())))
        }
    }
}

/// What an error says of the statement.
pub(crate) fn trouble(error: &tokio_postgres::Error) -> Trouble {
    match error.as_db_error() {
        // FATAL and PANIC end the session, perhaps in the middle of a commit.
        Some(refused) if is_error(refused) => {
            Trouble::Refused { code: refused.code().clone(), why: refused.message().to_owned() }
        }
        _ => Trouble::Doubt(chain(error)),
    }
}

/// The severity's name may be in the server's language; newer protocols send the English one too.
fn is_error(refused: &DbError) -> bool {
    refused.parsed_severity().map_or(refused.severity() == "ERROR", |severity| severity == Severity::Error)
}

/// Drives a connection, and keeps what the server warns of.
pub(crate) async fn drive(mut wire: Wire, warnings: Warnings) {
    while let Some(message) = std::future::poll_fn(|context| wire.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) => {
                if is_warning(&notice) {
                    let text = format!("{}: {}", notice.severity(), notice.message());
                    tracing::warn!(text, "the database warns");
                    *warnings.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(error = chain(&error), "a connection to the database ended");
                return;
            }
        }
    }
}

fn is_warning(notice: &DbError) -> bool {
    match notice.parsed_severity() {
        Some(severity) => severity == Severity::Warning,
        None => notice.severity() == "WARNING",
    }
}

/// Connects to one host.
pub(crate) async fn connect(
    config: &tokio_postgres::Config,
) -> Result<(Client, Wire), tokio_postgres::Error> {
    config.connect(NoTls).await
}
