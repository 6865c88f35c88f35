//! Where the database is: a URL with a list of hosts, and the secrets that are never shown.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// The PostgreSQL schema that the tables are in, when the URL names none.
const SCHEMA: &str = "shakedown";
/// Port of PostgreSQL.
const PORT: u16 = 5432;
/// What an address looks like, for errors.
const SHAPE: &str = "write postgres://USER@HOST:PORT,HOST:PORT/DATABASE[?schema=NAME&passfile=PATH], and give the password in PGPASSWORD";

/// Hosts, user and database; `Debug` and `Display` show no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    config: Config,
    schema: String,
    passfile: Option<PathBuf>,
}

/// One host of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (base, options) = text.split_once('?').unwrap_or((text, ""));
        let (mut schema, mut passfile, mut rest) = (SCHEMA.to_owned(), None, Vec::new());
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("schema", name)) => schema = name.to_owned(),
                Some(("passfile", path)) => passfile = Some(PathBuf::from(path)),
                _ => rest.push(option),
            }
        }
        let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        // The error of the library says what is wrong and never shows the text, which may hold a password.
        let config: Config = url
            .parse()
            .map_err(|error| format!("the PostgreSQL URL is wrong: {}; {SHAPE}", chain(&error)))?;
        let address = Self { config, schema, passfile };
        address.check().map(|()| address)
    }
}

impl Address {
    fn check(&self) -> Result<(), String> {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins = self.schema.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        if self.config.get_hosts().is_empty() || self.config.get_dbname().is_none() {
            return Err(format!("the PostgreSQL URL names no host or no database; {SHAPE}"));
        }
        if !begins || !self.schema.chars().all(fine) || self.schema.len() > 60 {
            let why = "use lower-case letters, digits and _, and begin with a letter";
            return Err(format!("'{}' is not a usable schema name; {why}", self.schema));
        }
        if self.config.get_ssl_mode() == SslMode::Require {
            return Err(
                "sslmode=require: this engine does not speak TLS to PostgreSQL; use a private network or \
                        a TLS tunnel, and sslmode=disable"
                    .to_owned(),
            );
        }
        let hosts = self.config.get_hosts().iter();
        if hosts.clone().any(|host| !matches!(host, Host::Tcp(_))) {
            return Err(format!("a host of the PostgreSQL URL is not a name or an address; {SHAPE}"));
        }
        let (hosts, ports) = (hosts.len(), self.config.get_ports().len());
        if ports > 1 && ports != hosts {
            return Err(format!("the PostgreSQL URL has {hosts} hosts and {ports} ports; {SHAPE}"));
        }
        Ok(())
    }

    /// Takes a password for a URL that has none, as from the environment's `PGPASSWORD`.
    #[must_use]
    pub fn or_password(mut self, password: Option<String>) -> Self {
        if let Some(password) = password.filter(|_| self.config.get_password().is_none()) {
            self.config.password(password);
        }
        self
    }

    /// The same database through other hosts or another schema, as the tests need it.
    #[must_use]
    pub fn with_schema(mut self, schema: &str) -> Self {
        schema.clone_into(&mut self.schema);
        self
    }

    /// The schema of the tables.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    pub(crate) fn servers(&self) -> Vec<Server> {
        let ports = self.config.get_ports();
        let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(PORT);
        let hosts = self.config.get_hosts().iter().enumerate();
        let server = |(index, host): (usize, &Host)| match host {
            Host::Tcp(name) => Some(Server { host: name.clone(), port: port(index) }),
            #[allow(unreachable_patterns, reason = "there are more kinds of hosts on some systems")]
            _ => None,
        };
        hosts.filter_map(server).collect()
    }

    /// What one host is connected to with: every wait of the connection has an end.
    ///
    /// # Errors
    /// The file with the passwords can't be read.
    pub(crate) fn config_of(
        &self,
        server: &Server,
        deadline: Duration,
        name: &str,
    ) -> Result<Config, String> {
        let mut config = Config::new();
        config.host(&server.host).port(server.port);
        config.dbname(self.config.get_dbname().unwrap_or_default());
        config.user(self.config.get_user().unwrap_or("postgres"));
        if let Some(password) = self.config.get_password() {
            config.password(password);
        } else if let Some(path) = &self.passfile {
            config.password(self.passfile_password(path, server)?);
        }
        let own = self.config.get_options().unwrap_or_default();
        let ms = deadline.as_millis();
        config.options(format!(
            "{own} -c search_path={} -c statement_timeout={ms} -c lock_timeout={ms} -c jit=off \
             -c idle_in_transaction_session_timeout={ms} -c default_transaction_isolation=read\\ committed",
            self.schema
        ));
        config.application_name(name).connect_timeout(deadline).tcp_user_timeout(deadline);
        config.keepalives(true).keepalives_idle(Duration::from_secs(1));
        config.keepalives_interval(Duration::from_secs(1)).keepalives_retries(3);
        Ok(config)
    }

    fn passfile_password(&self, path: &Path, server: &Server) -> Result<String, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("the passfile {} can't be read: {error}", path.display()))?;
        let wanted = [
            server.host.clone(),
            server.port.to_string(),
            self.config.get_dbname().unwrap_or_default().to_owned(),
            self.config.get_user().unwrap_or("postgres").to_owned(),
        ];
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .find_map(|line| password(line, &wanted))
            .ok_or_else(|| {
                format!(
                    "the passfile {} has no line for {}; a line is host:port:database:user:password",
                    path.display(),
                    wanted.join(":")
                )
            })
    }
}

/// The password of a line of a passfile, when it is for this host, port, database and user.
fn password(line: &str, wanted: &[String; 4]) -> Option<String> {
    let (mut fields, mut escaped) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            ':' if !escaped && fields.len() < 5 => fields.push(String::new()),
            _ => fields.last_mut()?.push(c),
        }
        escaped = false;
    }
    let password = fields.pop().filter(|_| fields.len() == 4)?;
    let fits = fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
    fits.then_some(password)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hosts = String::new();
        for server in self.servers() {
            let _ = write!(hosts, "{}{server}", if hosts.is_empty() { "" } else { "," });
        }
        let user = self.config.get_user().unwrap_or("postgres");
        let schema = if self.schema == SCHEMA { String::new() } else { format!("?schema={}", self.schema) };
        write!(f, "postgres://{user}@{hosts}/{}{schema}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// An error and what is behind it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let behind = std::iter::successors(Some(error), |error| error.source());
    behind.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_its_hosts_and_no_password() {
        let address: Address =
            "postgres://me:s3cret@one:1,two:2/db?schema=x&connect_timeout=2".parse().unwrap();
        assert_eq!(address.to_string(), "postgres://me@one:1,two:2/db?schema=x");
        assert!(!format!("{address:?}").contains("s3cret"));
        assert_eq!(address.servers().len(), 2);
        let config = address.config_of(&address.servers()[1], Duration::from_secs(1), "n").unwrap();
        assert_eq!((config.get_ports(), config.get_password()), (&[2][..], Some(&b"s3cret"[..])));
    }

    #[test]
    fn the_password_of_the_environment_is_for_urls_without_one() {
        let own: Address = "postgres://me:own@one/db".parse().unwrap();
        assert_eq!(own.clone().or_password(Some("other".into())), own);
        let without: Address = "postgres://me@one/db".parse().unwrap();
        assert_eq!(without.or_password(Some("own".into())).config.get_password(), Some(&b"own"[..]));
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        for (url, part) in [
            ("postgres://me:s3cret@one/db?colour=red", "colour"),
            ("postgres://me:s3cret@one:x/db", "port"),
            ("postgres://me:s3cret@one", "no database"),
            ("postgres://me:s3cret@one/db?schema=Robert;DROP", "not a usable schema"),
            ("postgres://me:s3cret@one/db?sslmode=require", "TLS"),
        ] {
            let refused = url.parse::<Address>().unwrap_err();
            assert!(refused.contains(part) && !refused.contains("s3cret"), "{url}: {refused}");
        }
    }

    #[test]
    fn a_passfile_has_wildcards_and_escapes() {
        let wanted = ["h".to_owned(), "1".into(), "d".into(), "u".into()];
        assert_eq!(password("h:1:d:u:pa\\:ss", &wanted).as_deref(), Some("pa:ss"));
        assert_eq!(password("*:*:*:u:x", &wanted).as_deref(), Some("x"));
        assert_eq!(password("h:2:d:u:x", &wanted), None);
        assert_eq!(password("h:1:d:u", &wanted), None);
    }
}
