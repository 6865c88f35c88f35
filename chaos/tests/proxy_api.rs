//! The API against Toxiproxy's, case by case, from the files in `toxiproxy/`: what is asked, and the exact answer.
//!
//! `==` begins a case on a server of its own. `>` asks (method, path, body), `+` adds a header, `<` is the answer (status,
//! content type, body; `\n` at its end is a newline, `…` stands for any rest, `{PORT}` for any port). `!!` says in which
//! way Toxiproxy differs; docs/proxy.md says the same. `$UP` is an address where somebody listens, `$TAKEN` one that is
//! taken, `$FREE` one that is free.

use crate::peers::{Api, Reply, Upstream};
use std::net::TcpListener;
use std::path::Path;

struct Case {
    title: String,
    exchanges: Vec<Exchange>,
    deviation: Option<String>,
}

struct Exchange {
    line: usize,
    asked: String,
    headers: Vec<String>,
    answer: String,
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/toxiproxy")
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (line, text) in text.lines().enumerate().map(|(at, text)| (at + 1, text)) {
        let (mark, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim().to_owned();
        if mark == "==" {
            cases.push(Case { title: rest, exchanges: Vec::new(), deviation: None });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        match mark {
            ">" => case.exchanges.push(Exchange {
                line,
                asked: rest,
                headers: Vec::new(),
                answer: String::new(),
            }),
            "+" => case.exchanges.last_mut().unwrap().headers.push(rest),
            "<" => case.exchanges.last_mut().unwrap().answer = rest,
            "!!" => case.deviation = Some(rest),
            "" => {}
            other => panic!("line {line}: {other:?} begins nothing"),
        }
    }
    cases
}

/// The answer as a line of a case.
fn written(reply: &Reply) -> String {
    let kind = reply.header("content-type").unwrap_or("-").replace(' ', "");
    format!("{} {kind} {}", reply.status, reply.body.replace('\n', "\\n")).trim_end().to_owned()
}

/// Equal, but for `{PORT}` and `…`.
fn fits(wanted: &str, got: &str) -> bool {
    let (mut wanted_rest, mut got_rest) = (wanted, got);
    loop {
        let at = wanted_rest.find("{PORT}").unwrap_or(wanted_rest.len());
        let (before, after) = wanted_rest.split_at(at);
        if let Some(before) = before.strip_suffix('…') {
            return after.is_empty() && got_rest.starts_with(before);
        }
        let Some(rest) = got_rest.strip_prefix(before) else { return false };
        if after.is_empty() {
            return rest.is_empty();
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return false;
        }
        (wanted_rest, got_rest) = (&after["{PORT}".len()..], &rest[digits..]);
    }
}

/// Plays a case; says what was otherwise.
fn play(case: &Case) -> Vec<String> {
    let api = Api::start();
    let upstream = Upstream::echo();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let filled = |text: &str| {
        text.replace("$UP", &upstream.address.to_string())
            .replace("$TAKEN", &taken.local_addr().unwrap().to_string())
            .replace("$FREE", &Upstream::nobody().to_string())
    };
    let mut wrong = Vec::new();
    // A free address stays the same within a case.
    let free = Upstream::nobody().to_string();
    for exchange in &case.exchanges {
        let asked = filled(&exchange.asked.replace("$FREE", &free));
        let (method, rest) = asked.split_once(' ').unwrap();
        let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
        let headers: Vec<&str> = exchange.headers.iter().map(String::as_str).collect();
        let reply = api.ask(method, path, &headers, body);
        let got = written(&reply);
        let wanted = filled(&exchange.answer.replace("$FREE", &free));
        if !fits(&wanted, &got) {
            wrong.push(format!(
                "{} (line {}): {asked}\n  wanted {wanted}\n  got    {got}",
                case.title, exchange.line
            ));
        }
        let is_routed = !matches!(reply.status, 404 | 405 | 301) || reply.body.starts_with('{');
        if is_routed != reply.header("x-toxiproxy-request-id").is_some() {
            wrong.push(format!("{} (line {}): X-Toxiproxy-Request-Id", case.title, exchange.line));
        }
        if reply.status == 301 && reply.header("location") != Some("/proxies") {
            wrong.push(format!("{} (line {}): {reply:?}", case.title, exchange.line));
        }
    }
    wrong
}

#[test]
fn every_case_is_answered_as_written() {
    let mut played = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap().flatten() {
        for case in cases(&std::fs::read_to_string(entry.path()).unwrap()) {
            played += 1;
            assert!(!case.exchanges.is_empty(), "{} asks nothing", case.title);
            wrong.extend(play(&case));
        }
    }
    assert!(played > 40, "{played} cases were found");
    assert!(wrong.is_empty(), "{} answers are otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_deviation_is_documented() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/proxy.md");
    let docs = std::fs::read_to_string(docs).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = 0;
    for entry in std::fs::read_dir(folder()).unwrap().flatten() {
        for case in cases(&std::fs::read_to_string(entry.path()).unwrap()) {
            let Some(deviation) = case.deviation else { continue };
            found += 1;
            assert!(docs.contains(&deviation), "docs/proxy.md does not say: {deviation}");
        }
    }
    assert!(found > 5, "{found} deviations were found");
}

#[test]
fn a_case_can_fail() {
    assert!(fits("200 - {PORT}x", "200 - 17x") && fits("400 a: …", "400 a: anything") && fits("a", "a"));
    assert!(
        !fits("200 - {PORT}", "200 - x") && !fits("a", "ab") && !fits("ab", "a") && !fits("400 b…", "400 a")
    );
    let case = &cases("== t\n> GET /version\n< 200 text/plain nothing")[0];
    assert_eq!(play(case).len(), 1);
}
