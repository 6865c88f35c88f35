//! Answers that are lost between the database and the engine: what is there is told as done, and what is not as not.

use crate::cluster::{address, shared};
use shakedown_engine::store::{AppendError, Postgres, Store};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const PASS: u8 = 0;
const SWALLOW_REQUESTS: u8 = 1;
const SWALLOW_ANSWERS: u8 = 2;

/// A line to a server that can lose what goes one way.
struct Line {
    port: u16,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    mode: AtomicU8,
    swallowed: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl Line {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, inner) = (listener.local_addr().unwrap().port(), Arc::<Inner>::default());
        let shared = Arc::clone(&inner);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let copy = |stream: &TcpStream| stream.try_clone().unwrap();
                shared.open.lock().unwrap().extend([copy(&client), copy(&server)]);
                let ways =
                    [(copy(&client), copy(&server), SWALLOW_REQUESTS), (server, client, SWALLOW_ANSWERS)];
                for (from, to, swallowing) in ways {
                    let inner = Arc::clone(&shared);
                    thread::spawn(move || inner.carry(from, to, swallowing));
                }
            }
        });
        Self { port, inner }
    }

    fn lose(&self, mode: u8) {
        self.inner.swallowed.store(0, Ordering::SeqCst);
        self.inner.mode.store(mode, Ordering::SeqCst);
    }

    /// Cuts every connection; new ones pass.
    fn cut(&self) {
        self.inner.mode.store(PASS, Ordering::SeqCst);
        for stream in self.inner.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn swallowed(&self) -> usize {
        self.inner.swallowed.load(Ordering::SeqCst)
    }
}

impl Inner {
    fn carry(&self, mut from: TcpStream, mut to: TcpStream, swallowing: u8) {
        let mut bytes = [0; 65536];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            if self.mode.load(Ordering::SeqCst) == swallowing {
                self.swallowed.fetch_add(read, Ordering::SeqCst);
            } else if to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
    }
}

/// A frame that is appended while one way of the line is lost, which is cut when `is_due`.
fn append(
    (store, line): (&mut Postgres, &Line),
    position: u64,
    mode: u8,
    is_due: impl Fn() -> bool,
) -> Result<(), AppendError> {
    line.lose(mode);
    thread::scope(|scope| {
        let append = scope.spawn(|| store.append(position, b"[]"));
        until("the loss", is_due);
        line.cut();
        append.join().unwrap()
    })
}

#[test]
fn an_append_whose_answer_is_lost_is_done_and_one_that_is_lost_itself_is_not() {
    let Some((cluster, schema)) = shared() else { return };
    let line = Line::to(cluster.port);
    let mut store = Postgres::open(&address(&[line.port], &schema), &schema).unwrap().0;
    let frames = || cluster.sql(&format!("SELECT count(*) FROM {schema}.frame"));
    for next in (0..15).step_by(3) {
        // The statement is known to the server from here on: what is lost next is the append itself, or its answer.
        store.append(next, b"[]").unwrap();
        let there = (next + 2).to_string();
        append((&mut store, &line), next + 1, SWALLOW_ANSWERS, || frames() == there).unwrap();
        let lost = append((&mut store, &line), next + 2, SWALLOW_REQUESTS, || line.swallowed() > 0);
        assert!(matches!(lost, Err(AppendError::RolledBack(_))), "{lost:?}");
        assert_eq!(frames(), there, "what was told not to be there is not there");
        store.append(next + 2, b"[]").unwrap();
    }
    assert_eq!(store.replay(&mut |_, _| Ok(())).unwrap(), 15);
}

#[test]
fn an_answer_that_is_late_is_not_waited_for_without_end() {
    let Some((cluster, schema)) = shared() else { return };
    let line = Line::to(cluster.port);
    let mut store = Postgres::open(&address(&[line.port], &schema), &schema).unwrap().0;
    store.append(0, b"[]").unwrap();
    line.lose(SWALLOW_ANSWERS);
    let begun = Instant::now();
    let refused = store.append(1, b"[]").unwrap_err();
    // New connections get no answer either: nobody can tell, and that is what is said.
    assert!(matches!(refused, AppendError::Broken(_)), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    line.cut();
    let mut store = Postgres::open(&address(&[line.port], &schema), &schema).unwrap().0;
    assert_eq!(store.replay(&mut |_, _| Ok(())).unwrap(), 2);
}
