//! A node: a journal on disk, memory, CPU and a clock, asked for line by line over TCP.
#![allow(clippy::disallowed_methods, reason = "the wall clock of this node is what is skewed")]

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A record of the journal: sixty bytes of one letter.
const RECORD: usize = 60;

pub fn serve(data: &Path) {
    let path = data.join("journal");
    check(&path);
    let journal = OpenOptions::new().create(true).append(true).open(&path).expect("the journal opens");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    println!("listening on {}", listener.local_addr().expect("it is bound"));
    for client in listener.incoming().flatten() {
        let journal = journal.try_clone().expect("the journal is open");
        std::thread::spawn(move || answer(&client, journal));
    }
}

/// Refuses a journal with a byte that nobody wrote.
fn check(path: &Path) {
    let bytes = std::fs::read(path).unwrap_or_default();
    if let Some(at) = bytes.iter().position(|byte| !b"ox\n".contains(byte)) {
        eprintln!("refused: the journal is damaged at byte {at}");
        std::process::exit(3);
    }
}

fn answer(client: &TcpStream, mut journal: File) {
    let mut held: Vec<Vec<u8>> = Vec::new();
    for line in BufReader::new(client).lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words[..] {
            ["time"] => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
                format!("{}", since.as_secs_f64())
            }
            ["write", records] => append(&mut journal, records.parse().expect("a number")),
            ["take", mib] => {
                let bytes: usize = mib.parse().expect("a number");
                held.push((0..bytes << 20).map(|index| u8::try_from(index % 251).unwrap_or(0)).collect());
                format!("holds {}", held.iter().map(Vec::len).sum::<usize>() >> 20)
            }
            ["spin", ms] => {
                let limit = Duration::from_millis(ms.parse().expect("a number"));
                let (begun, mut turns) = (Instant::now(), 0_u64);
                while begun.elapsed() < limit {
                    turns = std::hint::black_box(turns + 1);
                }
                format!("{turns}")
            }
            _ => "?".to_owned(),
        };
        if writeln!(&mut &*client, "{answer}").is_err() {
            return;
        }
    }
}

fn append(journal: &mut File, records: usize) -> String {
    let record = [vec![b'o'; RECORD - 1], vec![b'\n']].concat();
    for _ in 0..records {
        if let Err(error) = journal.write_all(&record).and_then(|()| journal.sync_data()) {
            return format!("error {}", error.raw_os_error().unwrap_or(0));
        }
    }
    "ok".to_owned()
}
