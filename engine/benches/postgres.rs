//! What a durable append to PostgreSQL costs beside a bare commit of the same size on the same server, and the look-up of a
//! batch's keys beside as many single ones, in one run.
//!
//! Run with `cargo bench -p shakedown-engine --bench postgres`. The server is a throw-away one of this machine with fsync
//! on; where its programs are not installed, that is said and nothing is measured.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should stop where it is")]
#![allow(missing_docs, reason = "criterion's macros make functions without them")]
#![allow(dead_code, reason = "the cluster is that of the tests")]

#[path = "../tests/postgres/cluster.rs"]
mod cluster;

use cluster::Cluster;
use criterion::{Criterion, criterion_group, criterion_main};
use shakedown_engine::archive::Archive;
use shakedown_engine::store::{Postgres, Store};

/// The least that a durable write to PostgreSQL can be: one prepared INSERT, committed by itself.
fn raw(criterion: &mut Criterion, cluster: &Cluster, row: &[u8]) {
    cluster.sql("CREATE TABLE raw (id bigint PRIMARY KEY, body bytea NOT NULL)");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("host=127.0.0.1 port={} user=postgres password=s3cret dbname=postgres", cluster.port);
    let client = runtime.block_on(async {
        let (client, wire) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(wire);
        client
    });
    let insert = runtime.block_on(client.prepare("INSERT INTO raw VALUES ($1, $2)")).unwrap();
    let mut id = 0_i64;
    criterion.bench_function("insert a row of 1 kB into PostgreSQL, committed", |bencher| {
        bencher.iter(|| {
            runtime.block_on(client.execute(&insert, &[&id, &row])).unwrap();
            id += 1;
        });
    });
}

fn append(criterion: &mut Criterion, cluster: &Cluster, frame: &[u8]) {
    let (mut store, _archive) = Postgres::open(&cluster.address("bench"), "bench").unwrap();
    let mut position = 0;
    criterion.bench_function("append a frame of 1 kB to the journal in PostgreSQL", |bencher| {
        bencher.iter(|| {
            store.append(position, frame).unwrap();
            position += 1;
            store.forget(position);
        });
    });
}

/// Keys that nobody has, as those of new starts are.
fn keys(criterion: &mut Criterion, cluster: &Cluster) {
    let (_store, archive) = Postgres::open(&cluster.address("keys"), "bench").unwrap();
    let keys: Vec<String> = (0..100).map(|n| format!("key {n}")).collect();
    let asked: Vec<(&str, &str)> = keys.iter().map(|key| ("w", key.as_str())).collect();
    criterion.bench_function("look up 100 idempotency keys in PostgreSQL, one by one", |bencher| {
        bencher.iter(|| asked.iter().for_each(|one| drop(archive.keyed(&[*one]).unwrap())));
    });
    criterion.bench_function("look up 100 idempotency keys in PostgreSQL, in one go", |bencher| {
        bencher.iter(|| archive.keyed(&asked).unwrap());
    });
}

fn postgres(criterion: &mut Criterion) {
    let Some(cluster) = Cluster::start("") else { return };
    let body = vec![b' '; 1000];
    raw(criterion, &cluster, &body);
    append(criterion, &cluster, &body);
    keys(criterion, &cluster);
}

criterion_group!(benches, postgres);
criterion_main!(benches);
