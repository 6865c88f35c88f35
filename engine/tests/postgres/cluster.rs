//! Throw-away PostgreSQL clusters: they listen on a free port of 127.0.0.1 only, keep fsync on, and end with the test
//! process. Where the server's programs are not installed, tests say so and are not run.

use shakedown_engine::postgres::Address;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};

/// Variables of a server's environment.
type Env = Vec<(&'static str, String)>;

/// A cluster that runs.
pub struct Cluster {
    pub port: u16,
    data: PathBuf,
    env: Env,
    server: Child,
    _folder: tempfile::TempDir,
}

/// Where the newest server's programs are.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut bins: Vec<_> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
    bins.retain(|bin| bin.join("postgres").exists());
    bins.sort();
    bins.pop()
}

/// The library that moves a program's clock.
fn faketime() -> Option<PathBuf> {
    let machines = std::fs::read_dir("/usr/lib").ok()?;
    let libraries = machines.flatten().map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    libraries.into_iter().find(|library| library.exists())
}

/// Runs a program as a user that is not root, which the server insists on.
fn command(program: &str) -> Command {
    let mut command = Command::new(programs().unwrap().join(program));
    command.env_clear().env("HOME", "/tmp").env("LC_ALL", "C.UTF-8").current_dir("/tmp");
    if is_root() {
        let (uid, gid) = user();
        command.uid(uid).gid(gid);
    }
    command
}

fn is_root() -> bool {
    // SAFETY: reads an id.
    unsafe { libc::geteuid() == 0 }
}

/// `postgres`, where Debian's package made it, or `nobody`.
fn user() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2).map(|field| field.parse().unwrap());
        Some((fields.next()?, fields.next()?))
    };
    ids("postgres").or_else(|| ids("nobody")).unwrap()
}

fn run(mut command: Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Cluster {
    /// A cluster of its own; `settings` are lines of `postgresql.conf`. `None` = not installed, and said so.
    pub fn start(settings: &str) -> Option<Self> {
        Self::start_with(settings, Vec::new())
    }

    /// One whose wall clock is so many seconds ahead of this machine's. `None` = libfaketime is not installed, and said so.
    pub fn ahead(offset_s: i32) -> Option<Self> {
        let Some(library) = faketime() else {
            println!("NOT RUN: libfaketime is not installed (/usr/lib/*/faketime/libfaketimeMT.so.1)");
            return None;
        };
        let clock = ("FAKETIME", format!("{offset_s:+}s"));
        let monotonic = ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned());
        Self::start_with("", vec![("LD_PRELOAD", library.display().to_string()), clock, monotonic])
    }

    fn start_with(settings: &str, env: Env) -> Option<Self> {
        if programs().is_none() {
            println!("NOT RUN: PostgreSQL's server is not installed (/usr/lib/postgresql/*/bin)");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("shakedown-pg").tempdir_in("/tmp").unwrap();
        own(folder.path());
        let data = folder.path().join("data");
        let mut initdb = command("initdb");
        initdb.args(["-N", "-k", "-A", "scram-sha-256", "-U", "postgres", "-E", "UTF8"]);
        let password = folder.path().join("password");
        std::fs::write(&password, "s3cret").unwrap();
        own(&password);
        initdb.arg("--pwfile").arg(&password).arg("-D").arg(&data);
        run(initdb);
        Some(Self::serve(data, settings, env, folder))
    }

    /// A streaming copy of this one, that follows it under a name.
    pub fn standby(&self, name: &str, settings: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("shakedown-pg").tempdir_in("/tmp").unwrap();
        own(folder.path());
        let data = folder.path().join("data");
        let mut copy = command("pg_basebackup");
        let from = format!(
            "host=127.0.0.1 port={} user=postgres password=s3cret application_name={name}",
            self.port
        );
        copy.args(["-X", "stream", "-c", "fast", "-R", "-N", "-d", &from]).arg("-D").arg(&data);
        run(copy);
        let conf = data.join("postgresql.auto.conf");
        let text = std::fs::read_to_string(&conf).unwrap();
        assert!(text.contains("primary_conninfo"), "{text}");
        let again = format!("{text}\nprimary_conninfo = '{from}'\n");
        std::fs::write(&conf, again).unwrap();
        Self::serve(data, settings, Vec::new(), folder)
    }

    fn serve(data: PathBuf, settings: &str, env: Env, folder: tempfile::TempDir) -> Self {
        let port = free_port();
        let conf = data.join("postgresql.conf");
        let text = format!(
            "{}\nport = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n\
             dynamic_shared_memory_type = mmap\nwal_retrieve_retry_interval = 100ms\nshared_buffers = 32MB\n\
             log_destination = stderr\nlogging_collector = off\n{settings}\n",
            std::fs::read_to_string(&conf).unwrap().split("# of the test").next().unwrap(),
        );
        std::fs::write(&conf, text.replace("\nport = ", "\n# of the test\nport = ")).unwrap();
        let server = launch(&data, &env);
        Self { port, data, env, server, _folder: folder }
    }

    /// Starts the server again on the same data.
    pub fn restart(&mut self) {
        self.server = launch(&self.data, &self.env);
    }

    /// As if the machine had crashed, to clients at least.
    pub fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Makes the standby a primary.
    pub fn promote(&self) {
        self.sql("SELECT pg_promote(true, 20)");
    }

    pub fn address(&self, schema: &str) -> Address {
        address(&[self.port], schema)
    }

    /// What one statement answers, its fields joined by bars.
    pub fn sql(&self, sql: &str) -> String {
        let mut psql = command("psql");
        psql.env("PGPASSWORD", "s3cret").args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]);
        psql.args(["-h", "127.0.0.1", "-U", "postgres", "-d", "postgres", "-p", &self.port.to_string()]);
        let done = psql.args(["-c", sql]).output().unwrap();
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }
}

/// An address as an operator writes it.
pub fn address(ports: &[u16], schema: &str) -> Address {
    let hosts: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("postgres://postgres:s3cret@{}/postgres?schema={schema}", hosts.join(",")).parse().unwrap()
}

/// A cluster that the tests of a process share, each with a schema of its own.
pub fn shared() -> Option<(&'static Cluster, String)> {
    static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let cluster = SHARED.get_or_init(|| Cluster::start("max_connections = 60"));
    let schema = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
    cluster.as_ref().map(|cluster| (cluster, schema))
}

/// The server, when it takes connections. A thread that lives as long as the process starts it: the kernel ends a
/// child with the thread that made it.
fn launch(data: &Path, env: &Env) -> Child {
    static LAUNCHER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    type Order = (PathBuf, Env, mpsc::Sender<Child>);
    let launcher = LAUNCHER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (data, env, to) in orders {
                let mut server = command("postgres");
                server.arg("-D").arg(&data).envs(env).stderr(Stdio::piped()).process_group(0);
                // SAFETY: one system call between fork and exec.
                unsafe {
                    server.pre_exec(|| {
                        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                        Ok(())
                    })
                };
                to.send(server.spawn().unwrap()).unwrap();
            }
        });
        sender
    });
    let (to, child) = mpsc::channel();
    launcher.send((data.to_owned(), env.clone(), to)).unwrap();
    let mut child = child.recv().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = Vec::new();
    let ready = log.by_ref().any(|line| {
        said.push(line.clone());
        line.contains("ready to accept")
    });
    assert!(ready, "the server did not start: {said:?}");
    // What it says later is read, or it would wait for somebody to read it.
    std::thread::spawn(move || log.for_each(drop));
    child
}

fn own(path: &Path) {
    if is_root() {
        let (uid, gid) = user();
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
