//! One database: made, copied, rewound, started, stopped, fenced. Its process is a node of the local substrate, so that
//! faults hurt it like any other. Verbs block.

use super::DatabaseError;
use super::binaries::Binaries;
use super::config::{self, Archive, Changing, Fixed};
use super::place::{self, User};
use super::ports;
use super::sql::{self, Door};
use crate::inject::disk_full;
use crate::process::Identity;
use crate::substrate::local::{Local, NodeSpec, Ready, Spec, Supervised, Supervision};
use crate::substrate::{Cage, errand, files};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How PostgreSQL says that it is ready, as primary and as standby. It says so on standard error.
const READY: &str = "LOG:  database system is ready to accept ";
/// How long a database may take to start: it may have a lot to replay.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a tool may take: `pg_basebackup` copies everything.
const TOOL_WITHIN: Duration = Duration::from_secs(120);
/// Executes a program of PostgreSQL's where its user can be, with what it says in one stream; what the environment
/// says of other databases is not for this one. `exec`: the process is PostgreSQL's own, not a shell's.
const SHELL: &str = "cd / && unset PGDATA PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGSERVICE PGOPTIONS PGSSLMODE \
                     PGPASSFILE PGTZ LANGUAGE && export LC_ALL=C && exec \"$0\" \"$@\" 2>&1";
/// Less than two files of the log: nothing can be begun with that.
const ROOM_BYTES: u64 = 32 << 20;

/// What the databases of a pair share.
#[derive(Debug)]
pub struct Kitchen {
    /// PostgreSQL's programs.
    pub binaries: Binaries,
    /// As whom they run; `None`: as we are.
    pub user: Option<User>,
    /// The folder of logs.
    pub logs: PathBuf,
    /// The password of all users.
    pub password: String,
    /// Where the log is archived, if it is.
    pub archive: Option<Archive>,
    /// The user's own settings.
    pub more: Vec<(String, String)>,
}

/// One database.
pub struct Cluster {
    /// Its name, as a node and as a standby.
    pub name: String,
    /// Its port on loopback.
    pub port: u16,
    /// Its files.
    pub data: PathBuf,
    /// Its process.
    pub node: Arc<Supervised>,
    kitchen: Arc<Kitchen>,
    _claim: UnixListener,
}

impl Cluster {
    /// Prepares one; nothing is in its folder yet, and nothing runs.
    ///
    /// # Errors
    /// The local substrate has one of its name.
    pub fn prepare(
        local: &Local,
        kitchen: Arc<Kitchen>,
        room: PathBuf,
        spec: NodeNames,
    ) -> Result<Self, DatabaseError> {
        let NodeNames { name, roles, log } = spec;
        // One below: what faults put into a node's folder is not the database's.
        let data = room.join("data");
        // SAFETY: no arguments, no effect.
        let own_processes = unsafe { libc::geteuid() } == 0;
        let server = kitchen.binaries.program("postgres");
        let node = NodeSpec {
            spec: Spec {
                name: name.clone(),
                program: "/bin/sh".into(),
                args: ["-c".into(), SHELL.into(), server.into(), "-D".into(), data.clone().into()].to_vec(),
                env: Vec::new(),
                log,
                ready: Some(Ready { prefix: READY.to_owned(), within: READY_WITHIN }),
            },
            roles,
            supervision: Supervision::Manager,
            data: Some(room),
            backup: None,
            own_processes,
            user: kitchen.user.as_ref().map(|user| (user.id, user.group)),
            // To PostgreSQL SIGTERM means: wait until every client has gone by itself.
            stop_signal: libc::SIGINT,
        };
        let node = local.prepare_node(node)?;
        // Only now: a disk of its own may have been mounted above it.
        let user = kitchen.user.as_ref();
        let made = place::own_folder(&data, user);
        made.map_err(|source| DatabaseError::file("make", &data, source))?;
        let (port, claim) = ports::free()?;
        Ok(Self { name, port, data, node, kitchen, _claim: claim })
    }

    /// Fills its folder with a new, empty database with checksums (which `pg_rewind` needs too).
    ///
    /// # Errors
    /// `initdb` fails.
    pub fn init(&self) -> Result<(), DatabaseError> {
        let secret = self.data.with_file_name("secret");
        self.write(&secret, &self.kitchen.password)?;
        let words =
            ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "-k", "-N"];
        let mut args: Vec<OsString> = words.into_iter().map(Into::into).collect();
        args.push(format!("--pwfile={}", secret.display()).into());
        if self.kitchen.archive.is_some() {
            // Every second another piece is archived, however little is in it.
            args.push("--wal-segsize=1".into());
        }
        args.extend(["-D".into(), self.data.clone().into()]);
        let made = self.tool("initdb", args);
        let _ = fs::remove_file(&secret);
        made
    }

    /// Throws its files away and copies those of the database at `door`.
    ///
    /// # Errors
    /// `pg_basebackup` fails; the folder is of no use then.
    pub fn copy_from(&self, door: &Door) -> Result<(), DatabaseError> {
        self.has_room()?;
        self.empty()?;
        self.copy_into(&self.data, door, true)
    }

    /// Copies the files of the database at `door` into a folder, with the log that was written meanwhile; `hasty`: they
    /// need not outlive the machine.
    ///
    /// # Errors
    /// `pg_basebackup` fails; the folder is of no use then.
    pub fn copy_into(&self, folder: &Path, door: &Door, hasty: bool) -> Result<(), DatabaseError> {
        let port = door.port.to_string();
        let words = ["-h", "127.0.0.1", "-U", "postgres", "-X", "stream", "-c", "fast", "-p", &port];
        let mut args: Vec<OsString> =
            words.into_iter().chain(hasty.then_some("-N")).map(Into::into).collect();
        args.extend(["-D".into(), folder.into()]);
        self.tool("pg_basebackup", args)
    }

    /// Throws its files away and makes it a backup that gets the log since then from the archive when it starts. It must
    /// not run.
    ///
    /// # Errors
    /// There is no archive, or the files can't be copied.
    pub fn become_backup(&self, base: &Path) -> Result<(), DatabaseError> {
        let archive = self.kitchen.archive.as_ref();
        let archive =
            archive.ok_or_else(|| DatabaseError::State("there is no archive of the log".to_owned()))?;
        self.empty()?;
        self.has_room()?;
        let args = vec!["-Rp".into(), base.join(".").into(), self.data.clone().into()];
        self.run("cp", "cp".into(), args)?;
        let restore_command = Some(archive.restore_command());
        self.configure(&Changing { restore_command, ..Changing::default() })?;
        self.write(&self.data.join("recovery.signal"), "")
    }

    /// Takes back what it wrote after it parted from the database at `door`. It must not run.
    ///
    /// # Errors
    /// `pg_rewind` fails: the log back to where they parted is no longer there, or files are damaged.
    pub fn rewind_to(&self, door: &Door) -> Result<(), DatabaseError> {
        self.has_room()?;
        // If it was killed, its recovery comes first, which a standby can't do; and it left its lock, whose process id, 1
        // of its own namespace, is somebody else's out here. It is known to be gone: its supervisor reaped it.
        self.remove("standby.signal")?;
        self.remove("postmaster.pid")?;
        let source =
            format!("--source-server=host=127.0.0.1 port={} user=postgres dbname=postgres", door.port);
        let target = format!("--target-pgdata={}", self.data.display());
        self.tool("pg_rewind", vec![source.into(), target.into()])
    }

    /// Where its log ended when it was stopped in order: a standby that has this has everything.
    ///
    /// # Errors
    /// `pg_controldata` fails.
    pub fn last_checkpoint(&self) -> Result<u64, DatabaseError> {
        // Of what is said only the end is kept, and this line is not there.
        let script = "\"$0\" -D \"$1\" | grep '^Latest checkpoint location:'".to_owned();
        let program = self.kitchen.binaries.program("pg_controldata").display().to_string();
        let words = ["/bin/sh".to_owned(), "-c".to_owned(), script, program, self.data.display().to_string()];
        let env = [("LC_ALL".to_owned(), "C".to_owned())];
        let failed = |why: String| DatabaseError::Tool { tool: "pg_controldata", on: self.name.clone(), why };
        let told =
            crate::command::run(&words, &env, TOOL_WITHIN).map_err(|error| failed(error.to_string()))?;
        let line = told.stdout.lines().find_map(|line| line.strip_prefix("Latest checkpoint location:"));
        line.and_then(|text| sql::position(text.trim())).ok_or_else(|| failed(told.to_string()))
    }

    /// Writes its settings: as a standby if it is to follow somebody, else as a primary.
    ///
    /// # Errors
    /// The system refuses.
    pub fn configure(&self, changing: &Changing) -> Result<(), DatabaseError> {
        let fixed = Fixed {
            name: &self.name,
            port: self.port,
            archive: self.kitchen.archive.as_ref(),
            more: &self.kitchen.more,
        };
        self.write(&self.data.join("postgresql.conf"), &config::postgresql_conf(&fixed))?;
        self.write(&self.data.join("pg_hba.conf"), config::pg_hba())?;
        self.write(&self.data.join("postgresql.auto.conf"), &config::auto_conf(changing))?;
        match &changing.upstream {
            Some(_) => self.write(&self.data.join("standby.signal"), ""),
            None => self.remove("standby.signal"),
        }
    }

    /// Removes a file of its folder, if it is there.
    fn remove(&self, name: &str) -> Result<(), DatabaseError> {
        let path = self.data.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DatabaseError::file("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// Makes it refuse writes though it may hang: the setting is in its files, and every process of it has a SIGHUP to
    /// take before it takes another statement, which a stopped one does as soon as it goes on.
    ///
    /// # Errors
    /// The system refuses.
    pub fn forbid_writes(&self, changing: &Changing) -> Result<Vec<Identity>, DatabaseError> {
        self.write(&self.data.join("postgresql.auto.conf"), &config::auto_conf(changing))?;
        let Some(server) = self.node.running() else { return Ok(Vec::new()) };
        let told = |one: &Identity| one.signal(libc::SIGHUP).unwrap_or(false);
        Ok(server.tree().into_iter().filter(told).collect())
    }

    /// How to get in as the superuser, past all links.
    #[must_use]
    pub fn door(&self) -> Door {
        let (user, database) = ("postgres", "postgres".to_owned());
        Door { port: self.port, user, password: self.kitchen.password.clone(), database }
    }

    /// How a standby gets its log through `port`.
    #[must_use]
    pub fn conninfo(&self, port: u16) -> String {
        config::conninfo(port, &self.kitchen.password, &self.name)
    }

    /// A full disk is nothing that another way would help against: what is there is kept until there is room.
    fn has_room(&self) -> Result<(), DatabaseError> {
        let path = self.data.clone();
        match disk_full::free(&path).map_err(|source| DatabaseError::file("look at", &path, source))? {
            free @ ..ROOM_BYTES => Err(DatabaseError::NoRoom { free, path }),
            _ => Ok(()),
        }
    }

    /// Removes what is in its folder; returns what there was.
    ///
    /// # Errors
    /// Something is still there.
    pub(super) fn empty(&self) -> Result<files::Contents, DatabaseError> {
        files::empty(&self.data).map_err(|source| DatabaseError::file("empty", &self.data, source))
    }

    /// Replaces a file whole, as the user's own, on disk when this returns.
    fn write(&self, path: &Path, text: &str) -> Result<(), DatabaseError> {
        let attempt = || {
            let next = path.with_extension("next");
            let mut file =
                OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&next)?;
            file.write_all(text.as_bytes())?;
            if let Some(user) = &self.kitchen.user {
                chown(&next, Some(user.id), Some(user.group))?;
            }
            file.sync_all()?;
            fs::rename(&next, path)?;
            path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        attempt().map_err(|source| DatabaseError::file("write", path, source))
    }

    /// Runs one of PostgreSQL's tools to its end, as the databases' user.
    fn tool(&self, tool: &'static str, args: Vec<OsString>) -> Result<(), DatabaseError> {
        self.run(tool, self.kitchen.binaries.program(tool), args)
    }

    fn run(&self, tool: &'static str, program: PathBuf, args: Vec<OsString>) -> Result<(), DatabaseError> {
        let spec = Spec {
            name: format!("{tool} for {}", self.name),
            program: "/bin/sh".into(),
            args: ["-c".into(), SHELL.into(), program.into()].into_iter().chain(args).collect(),
            env: vec![("PGPASSWORD".into(), self.kitchen.password.clone().into())],
            log: self.kitchen.logs.join(format!("{}-{tool}.log", self.name)),
            ready: None,
        };
        let user = self.kitchen.user.as_ref().map(|user| (user.id, user.group));
        let own_processes = self.node.spec().own_processes;
        let cage = Cage { user, own_processes, ..Cage::default() };
        match errand::run(&spec, &cage, TOOL_WITHIN) {
            Ok(_) => Ok(()),
            Err(errand::ErrandError::Node(error)) => Err(error.into()),
            Err(errand::ErrandError::Failed(why)) => {
                Err(DatabaseError::Tool { tool, on: self.name.clone(), why })
            }
        }
    }
}

/// What a database is called, what it is to faults, and where its log is.
pub struct NodeNames {
    /// Its name.
    pub name: String,
    /// Its roles.
    pub roles: Vec<crate::role::Role>,
    /// Its log.
    pub log: PathBuf,
}
