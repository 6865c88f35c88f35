//! A primary and its standby: brought up, connected, and what is done to either of them. Decides nothing.

use super::binaries::{self, Binaries};
use super::cluster::{Cluster, Kitchen, NodeNames};
use super::config::Changing;
use super::links::Links;
use super::place::{self, Home};
use super::settings::Settings;
use super::sql::{Door, Session};
use super::vault::Vault;
use super::{DatabaseError, Side, sql};
use crate::clock;
use crate::proxy::client::Control;
use crate::role::{Role, Seat};
use crate::substrate::link::block_on;
use crate::substrate::local::Local;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a statement of ours may take where nothing is hurt.
pub const STATEMENT_WITHIN: Duration = Duration::from_secs(5);
/// How long a database may take to come up at the beginning.
const UP_WITHIN: Duration = Duration::from_secs(60);
/// The table of the probing writes: a row for those of the primary alone, one for those that wait for the standby, and
/// what a fenced one is made to refuse.
const PROBES: &str = "CREATE TABLE shakedown_probe (kind text PRIMARY KEY, n bigint NOT NULL);
    INSERT INTO shakedown_probe VALUES ('alone', 0), ('both', 0);
    CREATE TABLE shakedown_late (n bigint NOT NULL)";

/// Two databases, their links and their files.
pub struct Pair {
    /// What it goes by.
    pub settings: Settings,
    /// The programs that it uses.
    pub binaries: Binaries,
    local: Arc<Local>,
    clusters: [Cluster; 2],
    links: Option<Links>,
    primary: Mutex<Side>,
    /// Its backups and the archive of its log, where a backup is planned.
    pub vault: Option<Vault>,
    password: String,
    home: Home,
}

impl Pair {
    /// Brings up a pair: nodes `db-1`, the primary, and `db-2`, its standby, with their files in `folder` where the
    /// databases' user can reach it. Nothing is left of it when that fails. Blocks.
    ///
    /// # Errors
    /// This machine can't ([`DatabaseError::NotRun`]), or it did not come up.
    pub fn start(local: Arc<Local>, folder: &Path, settings: Settings) -> Result<Self, DatabaseError> {
        settings.check()?;
        let binaries = binaries::locate()?;
        let user = place::user()?;
        let at = |source| DatabaseError::file("make", folder, source);
        let home = Home::choose(folder, &std::env::temp_dir(), user.as_ref()).map_err(at)?;
        let password = secret().map_err(at)?;
        let vault = Vault::wanted(&local).then(|| Vault::make(&home, user.as_ref())).transpose()?;
        let archive = vault.as_ref().map(|vault| vault.archive(settings.archive_timeout_s));
        let kitchen = Arc::new(Kitchen {
            binaries: binaries.clone(),
            user,
            logs: std::path::absolute(folder).map_err(at)?,
            password: password.clone(),
            archive,
            more: settings.config.clone(),
        });
        let attempt = || {
            let first = prepare(&local, &kitchen, &home, Side::First)?;
            let second = prepare(&local, &kitchen, &home, Side::Second)?;
            Ok::<_, DatabaseError>([first, second])
        };
        let clusters = attempt().inspect_err(|_| retire(&local, Duration::ZERO))?;
        let primary = Mutex::new(Side::First);
        let links = None;
        let mut pair = Self { settings, binaries, local, clusters, links, primary, vault, password, home };
        pair.bring_up().inspect_err(|_| pair.stop(Duration::ZERO))?;
        Ok(pair)
    }

    fn bring_up(&mut self) -> Result<(), DatabaseError> {
        let (first, second) = (self.cluster(Side::First), self.cluster(Side::Second));
        first.init()?;
        first.configure(&Changing::default())?;
        first.start(UP_WITHIN)?;
        block_on(self.furnish(&first.door()))?;
        second.copy_from(&first.door())?;
        if self.settings.links {
            self.links = Some(self.link()?);
        }
        let (first, second) = (self.cluster(Side::First), self.cluster(Side::Second));
        second.configure(&self.as_standby(Side::Second))?;
        second.start(UP_WITHIN)?;
        let door = first.door();
        block_on(async {
            let session = Session::open(&door, STATEMENT_WITHIN).await?;
            self.await_stream(&session, Side::Second, "streaming", UP_WITHIN).await?;
            if self.settings.is_synchronous() {
                self.wait_for(&session, Some(Side::Second)).await?;
            }
            Ok(())
        })
    }

    /// The clients' database with its owner, and the table of the probes.
    async fn furnish(&self, door: &Door) -> Result<(), DatabaseError> {
        let (name, password) = (&self.settings.database, &self.password);
        let session = Session::open(door, STATEMENT_WITHIN).await?;
        // Names were checked, and the password is hexadecimal: nothing to be quoted.
        let owner = format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'");
        let named = |error: sql::SqlError| match error {
            sql::SqlError::Failed { source, .. } => {
                sql::SqlError::Failed { what: format!("create the role {name}"), source }
            }
            late => late,
        };
        session.run(&owner, STATEMENT_WITHIN).await.map_err(named)?;
        session.run(&format!("CREATE DATABASE {name} OWNER {name}"), UP_WITHIN).await?;
        session.run(PROBES, STATEMENT_WITHIN).await?;
        Ok(())
    }

    fn link(&self) -> Result<Links, DatabaseError> {
        let address = self.local.proxy_control().ok_or_else(|| {
            DatabaseError::State(
                "links = true, and the local substrate has no proxy server; start it first".to_owned(),
            )
        })?;
        let server = |side: Side| SocketAddr::from(([127, 0, 0, 1], self.cluster(side).port));
        let client = |name: &str, side: Side| self.local.add_postgres_link(name, server(side));
        // What streams there has no commits that could be answered.
        let standby = |side: Side| self.local.add_link(&replication_link(side), server(side), None);
        let control = Control::new(&address).map_err(crate::substrate::link::LinkError::from)?;
        let (first, second) = (Side::First, Side::Second);
        let clients = [client(&client_link(first), first)?, client(&client_link(second), second)?];
        let replication = [standby(first)?, standby(second)?];
        let moving = client(MOVING_LINK, first)?;
        Ok(Links { control, clients, replication, moving, cuts: Mutex::default() })
    }

    /// One of the two.
    #[must_use]
    pub fn cluster(&self, side: Side) -> &Cluster {
        &self.clusters[side.index()]
    }

    /// Who is the primary, as far as clients are led.
    #[must_use]
    pub fn primary(&self) -> Side {
        *self.primary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where clients get at one of the two.
    #[must_use]
    pub fn client_port(&self, side: Side) -> u16 {
        self.links.as_ref().map_or(self.cluster(side).port, |links| links.clients[side.index()].port())
    }

    /// What a client needs to get at whoever is the primary: both hosts, and that it must be writable.
    #[must_use]
    pub fn url(&self) -> String {
        let (name, password) = (&self.settings.database, &self.password);
        let hosts = [Side::First, Side::Second].map(|side| format!("127.0.0.1:{}", self.client_port(side)));
        format!("postgres://{name}:{password}@{}/{name}?target_session_attrs=read-write", hosts.join(","))
    }

    /// The same through the one address that is led to whoever is the primary; `None` without links.
    #[must_use]
    pub fn moving_url(&self) -> Option<String> {
        let (name, password) = (&self.settings.database, &self.password);
        let links = self.links.as_ref()?;
        Some(format!("postgres://{name}:{password}@{}/{name}", links.moving))
    }

    /// How clients get into one of the two, past its link.
    #[must_use]
    pub fn client_door(&self, side: Side) -> Door {
        Door { database: self.settings.database.clone(), ..self.cluster(side).door() }
    }

    /// The settings of a database that follows the other one.
    #[must_use]
    pub fn as_standby(&self, side: Side) -> Changing {
        let other = side.other();
        let port = self
            .links
            .as_ref()
            .map_or(self.cluster(other).port, |links| links.replication[other.index()].port());
        Changing { upstream: Some(self.cluster(side).conninfo(port)), ..Changing::default() }
    }

    /// Makes commits on the primary of `session` wait for a standby (and returns when they do), or for nobody.
    ///
    /// # Errors
    /// The primary doesn't do so in time.
    pub async fn wait_for(&self, session: &Session, standby: Option<Side>) -> Result<(), DatabaseError> {
        let names =
            standby.map(|side| super::config::waits_for(&self.cluster(side).name)).unwrap_or_default();
        session
            .run(&format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"), STATEMENT_WITHIN)
            .await?;
        session.run("SELECT pg_reload_conf()", STATEMENT_WITHIN).await?;
        match standby {
            Some(side) => self.await_stream(session, side, "sync", STATEMENT_WITHIN).await,
            None => Ok(()),
        }
    }

    /// Waits until the primary of `session` says that a standby streams (`streaming`), or that commits wait for it
    /// (`sync`).
    ///
    /// # Errors
    /// It doesn't within `limit`.
    pub async fn await_stream(
        &self,
        session: &Session,
        side: Side,
        wanted: &str,
        limit: Duration,
    ) -> Result<(), DatabaseError> {
        const ASK: &str = "SELECT 1 FROM pg_stat_replication WHERE application_name = $1 AND (state = $2 OR sync_state = $2)";
        let name = &self.cluster(side).name;
        let deadline = clock::after(limit);
        loop {
            if !session.ask(ASK, &[name, &wanted], STATEMENT_WITHIN).await?.is_empty() {
                return Ok(());
            }
            if clock::until(deadline).is_zero() {
                return Err(DatabaseError::State(format!(
                    "{name} is not {wanted} within {limit:?}; see its log"
                )));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Cuts (or heals) the links to one of the two: clients' and standby's. What is on its way is lost.
    ///
    /// # Errors
    /// The proxy doesn't do so.
    pub async fn cut(&self, side: Side, is_cut: bool) -> Result<(), DatabaseError> {
        self.cut_replication(side, is_cut).await?;
        if self.primary() == side {
            self.switch(MOVING_LINK, is_cut).await?;
        }
        self.switch(&client_link(side), is_cut).await
    }

    /// Cuts (or heals) the link by which the other one replicates from this one.
    ///
    /// # Errors
    /// The proxy doesn't do so.
    pub async fn cut_replication(&self, side: Side, is_cut: bool) -> Result<(), DatabaseError> {
        self.switch(&replication_link(side), is_cut).await
    }

    async fn switch(&self, link: &str, is_cut: bool) -> Result<(), DatabaseError> {
        match &self.links {
            None => Ok(()),
            Some(links) if is_cut => links.cut(link).await,
            Some(links) => links.heal(link).await,
        }
    }

    /// Leads clients to the primary `side`, and faults on `db.primary` too.
    ///
    /// # Errors
    /// The proxy doesn't do so.
    pub async fn repoint(&self, side: Side) -> Result<(), DatabaseError> {
        *self.primary.lock().unwrap_or_else(PoisonError::into_inner) = side;
        if let Some(links) = &self.links {
            let upstream = format!("127.0.0.1:{}", self.cluster(side).port);
            links.control.set_upstream(MOVING_LINK, &upstream).await.map_err(DatabaseError::proxy)?;
        }
        self.switch(MOVING_LINK, false).await
    }

    /// Who or what a role of the pair is now.
    #[must_use]
    pub fn cast(&self, role: &Role) -> Option<Role> {
        let primary = self.primary();
        match role {
            Role::Database(Seat::Primary) => Some(Role::Node(self.cluster(primary).name.clone())),
            Role::Database(Seat::Standby) => Some(Role::Node(self.cluster(primary.other()).name.clone())),
            Role::Link(name) => match name.as_str() {
                "db.primary" => Some(Role::Link(client_link(primary))),
                "db.standby" => Some(Role::Link(client_link(primary.other()))),
                "db.replication" => Some(Role::Link(replication_link(primary))),
                _ => None,
            },
            _ => None,
        }
    }

    /// Ends both, the standby first: in order within `grace`, else at once. Its links end with the proxy server. Blocks.
    pub fn stop(&self, grace: Duration) {
        retire(&self.local, grace);
    }

    /// The folder of its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.home.folder
    }
}

/// The link of clients that is led to whoever is the primary.
pub const MOVING_LINK: &str = "db";

/// The link of clients to one of the two.
#[must_use]
pub fn client_link(side: Side) -> String {
    side.name().to_owned()
}

/// The link by which the other one replicates from this one.
#[must_use]
pub fn replication_link(side: Side) -> String {
    format!("{}.replication", side.name())
}

fn prepare(local: &Local, kitchen: &Arc<Kitchen>, home: &Home, side: Side) -> Result<Cluster, DatabaseError> {
    let name = side.name();
    let made = home.room(name, kitchen.user.as_ref());
    let data = made.map_err(|source| DatabaseError::file("make", &home.folder.join(name), source))?;
    // Either may come to have either role: what faults need of them is made ready on both.
    let roles = [Seat::Primary, Seat::Standby].map(Role::Database).to_vec();
    let names = NodeNames { name: name.to_owned(), roles, log: kitchen.logs.join(format!("{name}.log")) };
    Cluster::prepare(local, Arc::clone(kitchen), data, names)
}

fn retire(local: &Local, grace: Duration) {
    let ours = |name: &str| [Side::First, Side::Second].iter().any(|side| side.name() == name);
    for left in local.retire(&ours, grace) {
        tracing::warn!("{left}");
    }
}

/// A password that nobody can guess: databases listen on loopback, which is everybody's.
fn secret() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
