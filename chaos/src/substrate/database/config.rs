//! What stands in the files of a database: pure text.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Its own settings, which a copy of another database must not have: they are written anew before each start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed<'a> {
    /// Its name, which it also bears as a standby.
    pub name: &'a str,
    /// Its port on loopback.
    pub port: u16,
    /// Where its log is archived, if it is.
    pub archive: Option<&'a Archive>,
    /// More settings, which win over ours.
    pub more: &'a [(String, String)],
}

/// Where the log is archived, a copy of each piece of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The folder.
    pub folder: PathBuf,
    /// A piece that is not full is archived after so many seconds.
    pub timeout_s: u32,
}

impl Archive {
    /// Copies a piece for the database of that name, and fails when it did not. One that is there is never written over, and
    /// is no failure when it is the same: both databases archive, and each may ask twice.
    fn archive_command(&self, name: &str) -> String {
        let to = |end: &str| format!("{}/%f{end}", shell_word(&self.folder));
        let (whole, part) = (to(""), to(&format!(".{name}.part")));
        // A link, as that takes no other one's place: both may be at the same piece.
        format!(
            "if test -f {whole}; then cmp -s %p {whole}; \
             else cp %p {part} && {{ ln {part} {whole} || cmp -s {part} {whole}; }} && rm {part}; fi"
        )
    }

    /// Brings a piece back.
    #[must_use]
    pub fn restore_command(&self) -> String {
        format!("cp {}/%f %p", shell_word(&self.folder))
    }
}

/// A path as a shell and PostgreSQL's placeholders take it.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    format!("'{}'", text.replace('\'', r"'\''").replace('%', "%%"))
}

/// What changes while a pair lives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changing {
    /// From where it replicates, when it is a standby.
    pub upstream: Option<String>,
    /// The name of the standby that its commits wait for; `None`: for nobody.
    pub waits_for: Option<String>,
    /// It refuses to write: it is fenced.
    pub read_only: bool,
    /// It begins as a backup, and gets the log since then by this command.
    pub restore_command: Option<String>,
}

/// How soon a standby tries again to get at its primary's log. PostgreSQL's own default is 5 s, and then a promotion
/// may last as long.
pub const RETRIEVE_RETRY_MS: u32 = 100;
/// After how long a silent peer of a replication connection is given up (PostgreSQL's own default is 60 s).
pub const PEER_TIMEOUT_MS: u32 = 5_000;

/// `postgresql.conf`.
#[must_use]
pub fn postgresql_conf(fixed: &Fixed<'_>) -> String {
    let port = fixed.port.to_string();
    let retry = format!("{RETRIEVE_RETRY_MS}ms");
    let peer = format!("{PEER_TIMEOUT_MS}ms");
    let settings = [
        ("listen_addresses", "127.0.0.1"),
        ("port", &port),
        ("unix_socket_directories", ""),
        ("cluster_name", fixed.name),
        ("max_connections", "200"),
        ("shared_buffers", "64MB"),
        // Shared memory in files of the data folder: nothing of it outlives a SIGKILL.
        ("dynamic_shared_memory_type", "mmap"),
        ("wal_level", "replica"),
        ("hot_standby", "on"),
        ("max_wal_senders", "8"),
        // A standby that was away for a while finds what it missed, without a copy.
        ("wal_keep_size", "256MB"),
        ("wal_retrieve_retry_interval", &retry),
        ("wal_sender_timeout", &peer),
        ("wal_receiver_timeout", &peer),
        ("password_encryption", "scram-sha-256"),
        // Its supervisor reads when it is ready.
        ("lc_messages", "C"),
        ("log_line_prefix", ""),
        ("logging_collector", "off"),
    ];
    let archived =
        fixed.archive.map(|archive| (archive.archive_command(fixed.name), format!("{}s", archive.timeout_s)));
    // A standby too: what its primary had not archived when it died would be in no archive.
    let archiving = archived.iter().flat_map(|(command, timeout)| {
        [("archive_mode", "always"), ("archive_command", command), ("archive_timeout", timeout)]
    });
    let more = fixed.more.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    lines(settings.into_iter().chain(archiving).chain(more))
}

/// `postgresql.auto.conf`, which PostgreSQL reads last, and rewrites for ALTER SYSTEM.
#[must_use]
pub fn auto_conf(changing: &Changing) -> String {
    let waits_for = changing.waits_for.as_deref().map(waits_for).unwrap_or_default();
    let mut settings = vec![("synchronous_standby_names", waits_for)];
    if let Some(upstream) = &changing.upstream {
        settings.push(("primary_conninfo", upstream.clone()));
    }
    if changing.read_only {
        settings.push(("default_transaction_read_only", "on".to_owned()));
    }
    if let Some(command) = &changing.restore_command {
        settings.push(("restore_command", command.clone()));
    }
    lines(settings.iter().map(|(name, value)| (*name, value.as_str())))
}

/// The value of `synchronous_standby_names` that waits for one standby.
#[must_use]
pub fn waits_for(standby: &str) -> String {
    format!("FIRST 1 (\"{standby}\")")
}

/// `pg_hba.conf`: loopback only, and never without the password.
#[must_use]
pub fn pg_hba() -> &'static str {
    "host all all 127.0.0.1/32 scram-sha-256\nhost replication all 127.0.0.1/32 scram-sha-256\n"
}

/// The connection of a standby.
#[must_use]
pub fn conninfo(port: u16, password: &str, name: &str) -> String {
    format!(
        "host=127.0.0.1 port={port} user=postgres password={password} application_name={name} connect_timeout=2"
    )
}

fn lines<'a>(settings: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::from("# Written by shakedown before each start; changes are lost.\n");
    for (name, value) in settings {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{name} = {}", quoted(value));
    }
    text
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_and_the_users_own_come_last() {
        let more = [("application".to_owned(), r"it's a \n".to_owned())];
        let text = postgresql_conf(&Fixed { name: "db-1", port: 5433, archive: None, more: &more });
        assert!(text.contains("port = '5433'\n") && text.contains("cluster_name = 'db-1'\n"), "{text}");
        assert!(text.ends_with("application = 'it''s a \\\\n'\n"), "{text}");
    }

    #[test]
    fn an_archive_gets_copies_that_are_never_written_over() {
        let home = tempfile::tempdir().unwrap();
        let archive = Archive { folder: home.path().join("a 'b' 5%"), timeout_s: 1 };
        std::fs::create_dir(&archive.folder).unwrap();
        // As PostgreSQL has it carried out.
        let bring = |name: &str, text: &str| {
            let piece = home.path().join(name);
            std::fs::write(&piece, text).unwrap();
            let command = archive.archive_command(name).replace("%p", piece.to_str().unwrap());
            let command = command.replace("%f", "0001").replace("%%", "%");
            std::process::Command::new("sh").args(["-c", &command]).status().unwrap().success()
        };
        let kept = || std::fs::read_to_string(archive.folder.join("0001")).unwrap();
        assert!(bring("db-1", "log") && kept() == "log");
        assert!(bring("db-1", "log") && bring("db-2", "log"), "the same piece is there, and that is well");
        assert!(!bring("db-2", "other") && kept() == "log", "another one of its name is refused");
        assert_eq!(std::fs::read_dir(&archive.folder).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn an_archive_is_filled_by_both_and_quoted_for_the_shell_and_once_more_for_the_file() {
        let archive = Archive { folder: PathBuf::from("/a 'b' 5%"), timeout_s: 1 };
        let text = postgresql_conf(&Fixed { name: "db-1", port: 1, archive: Some(&archive), more: &[] });
        let folder = r"''/a ''\\''''b''\\'''' 5%%''";
        assert!(
            text.contains(&format!("if test -f {folder}/%f; then cmp -s %p {folder}/%f; else")),
            "{text}"
        );
        assert!(
            text.contains("archive_mode = 'always'\n") && text.contains("archive_timeout = '1s'\n"),
            "{text}"
        );
        let restored = Changing { restore_command: Some(archive.restore_command()), ..Changing::default() };
        assert!(auto_conf(&restored).contains("restore_command = 'cp "), "{}", auto_conf(&restored));
    }

    #[test]
    fn a_standby_follows_a_primary_waits_and_a_fenced_one_refuses() {
        let standby = Changing { upstream: Some(conninfo(1, "p", "db-2")), ..Changing::default() };
        let text = auto_conf(&standby);
        assert!(text.contains("synchronous_standby_names = ''\n"), "a standby's own list is empty: {text}");
        assert!(text.contains("primary_conninfo = 'host=127.0.0.1 port=1 user=postgres"), "{text}");
        let primary = Changing { waits_for: Some("db-2".to_owned()), ..Changing::default() };
        assert!(auto_conf(&primary).contains("= 'FIRST 1 (\"db-2\")'\n"));
        let fenced = Changing { read_only: true, ..primary };
        assert!(auto_conf(&fenced).contains("default_transaction_read_only = 'on'\n"));
    }
}
