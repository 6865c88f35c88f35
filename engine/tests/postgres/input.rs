//! What an operator may get wrong: each is told with what was tried, on what, and what to do; no password is shown.

use crate::cluster::{Cluster, address, shared};
use crate::relay::answering;
use shakedown_engine::postgres::Address;
use shakedown_engine::store::{Postgres, Store};
use std::time::{Duration, Instant};

/// What an engine says that is started on it.
fn refusal(address: &Address) -> String {
    let begun = Instant::now();
    let refused = Postgres::open(address, "test").err().expect("it must be refused").to_string();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}: {refused}", begun.elapsed());
    for shown in [&refused, &format!("{address}"), &format!("{address:?}")] {
        assert!(!shown.contains("s3cret") && !shown.contains("wr0ng"), "{shown}");
    }
    refused
}

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}

#[test]
fn wrong_names_and_passwords_are_told_without_them() {
    let Some((cluster, _)) = shared() else { return };
    let url = |user: &str, database: &str| -> Address {
        format!("postgres://{user}@127.0.0.1:{}/{database}", cluster.port).parse().unwrap()
    };
    let host = format!("127.0.0.1:{}", cluster.port);
    let refused = refusal(&url("postgres:wr0ng", "postgres"));
    contains(&refused, &[&host, "password authentication failed", "give the right password in PGPASSWORD"]);
    let refused = refusal(&url("postgres", "postgres"));
    contains(&refused, &[&host, "give it in PGPASSWORD or a passfile"]);
    let refused = refusal(&url("postgres:s3cret", "nowhere"));
    contains(&refused, &["\"nowhere\" does not exist", "create the database, or name another"]);
    cluster.sql("CREATE ROLE guest LOGIN PASSWORD 's3cret'");
    let refused = refusal(&url("guest:s3cret", "postgres"));
    contains(&refused, &["permission denied", "42501"]);
    let given = url("postgres", "postgres").or_password(Some("s3cret".to_owned()));
    Postgres::open(&given.with_schema("given"), "test").unwrap().0.close();
}

#[test]
fn no_server_a_hanging_server_and_a_foreign_one_are_told() {
    let closed = crate::cluster::free_port();
    let refused = refusal(&address(&[closed], "test"));
    contains(&refused, &["can be written to", &format!("127.0.0.1:{closed}"), "refused"]);
    // It takes connections and says nothing, as a machine that hangs.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = refusal(&address(&[silent.local_addr().unwrap().port()], "test"));
    contains(&refused, &["no answer within 3000 ms"]);
    let foreign = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = foreign.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in foreign.incoming() {
            drop(std::io::Write::write_all(&mut stream.unwrap(), b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        }
    });
    let refused = refusal(&address(&[port], "test"));
    contains(&refused, &[&format!("127.0.0.1:{port}: ")]);
}

#[test]
fn a_server_that_takes_no_writes_is_told() {
    let Some(cluster) = Cluster::start("default_transaction_read_only = on") else { return };
    let refused = refusal(&cluster.address("test"));
    contains(&refused, &["takes no writes: default_transaction_read_only is on; turn it off for this user"]);
    let standby = cluster.standby("second", "");
    let refused = refusal(&standby.address("test"));
    contains(&refused, &["it is a standby, which takes no writes until it is promoted"]);
}

#[test]
fn a_server_of_an_old_version_is_told() {
    let Some((cluster, _)) = shared() else { return };
    let found: i32 = cluster.sql("SHOW server_version_num").parse().unwrap();
    // The length of an int4 and the int4, as they stand in a row.
    let field = |version: i32| [4_i32.to_be_bytes(), version.to_be_bytes()].concat();
    let port = answering(cluster.port, field(found), field(120_022));
    let refused = refusal(&address(&[port], "old"));
    contains(
        &refused,
        &[&format!("127.0.0.1:{port}"), "PostgreSQL 12 is too old; 13 and later are supported"],
    );
}

#[test]
fn a_server_whose_clock_is_two_minutes_off_is_told() {
    let Some(cluster) = Cluster::ahead(120) else { return };
    let refused = refusal(&cluster.address("test"));
    contains(&refused, &["s behind the server's", "set both by NTP (at most 60 s are accepted)"]);
    let none = "SELECT count(*) FROM pg_namespace WHERE nspname = 'test'";
    assert_eq!(cluster.sql(none), "0", "nothing was made");
}

#[test]
fn two_clusters_behind_one_list_are_refused_whichever_has_the_store() {
    let Some((mut one, two)) = Cluster::start("").zip(Cluster::start("")) else { return };
    let both = address(&[one.port, two.port], "test");
    contains(&refusal(&both), &["are two clusters (system identifiers", "that replicate one another"]);
    let none = "SELECT count(*) FROM pg_namespace WHERE nspname = 'test'";
    assert_eq!((one.sql(none), two.sql(none)), ("0".to_owned(), "0".to_owned()), "nothing was made");
    for cluster in [&one, &two] {
        Postgres::open(&cluster.address("test"), "test").unwrap().0.close();
        contains(&refusal(&both), &["are two clusters"]);
    }
    // A list of which one host is down does not make a second store on the other.
    one.kill();
    two.sql("DROP SCHEMA test CASCADE");
    contains(&refusal(&both), &["cannot be asked", "the store may be there; bring it up, or take it out"]);
    assert_eq!(two.sql(none), "0");
}

#[test]
fn an_old_primary_beside_the_new_one_is_refused() {
    let Some(old) = Cluster::start("") else { return };
    let new = old.standby("second", "");
    let both = address(&[old.port, new.port], "test");
    Postgres::open(&both, "test").unwrap().0.close();
    let there = "SELECT count(*) FROM pg_namespace WHERE nspname = 'test'";
    let begun = Instant::now();
    while new.sql(there) != "1" {
        assert!(begun.elapsed() < Duration::from_secs(20), "the standby does not follow");
    }
    new.promote();
    contains(&refusal(&both), &["both take writes", "must be stopped, or made a standby of the other"]);
    drop(old);
    Postgres::open(&both, "test").unwrap().0.close();
}
