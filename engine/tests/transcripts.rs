//! Runs the transcripts under `tests/transcripts/` against the engine's routes, with a clock that they own.
//!
//! A transcript is a list of steps. `> METHOD PATH` and the JSON lines after it are a request, `< STATUS` and
//! what follows is the answer that must come, `+ 1500 ms` lets time pass, `~ 100 ms` before a request lets time
//! pass while it waits, `#` is a comment. In an answer, objects list the fields that must be there (null: must
//! be absent or null), lists are whole; a string `$name` stands for any value when first seen and for the
//! same value afterwards, in requests, keys and longer texts too; never for null, and two names never for one task id. `< 200 text $name`
//! is a bare text. A request without an expected answer must succeed.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use shakedown_engine::api::{Api, routes};
use shakedown_engine::archive::MemoryArchive;
use shakedown_engine::machine::id::TaskId;
use shakedown_engine::store::Memory;
use shakedown_engine::writer::{Handle, Writer};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tower::ServiceExt;

/// A transcript owns its time, so it takes next to none; one that waits for nothing is stopped.
const LIMIT: Duration = Duration::from_secs(5);

struct Stage {
    routes: Router,
    handle: Handle,
    clock: Arc<AtomicU64>,
    names: BTreeMap<String, Value>,
}

impl Stage {
    fn new() -> Self {
        let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
        let time = Arc::clone(&clock);
        let read = Box::new(move || time.load(Ordering::SeqCst));
        let archive = Arc::new(MemoryArchive::default());
        let writer = Writer::open((Box::<Memory>::default(), archive.clone()), read, None).unwrap();
        let metrics = writer.metrics();
        let (handle, requests) = Handle::channel();
        std::thread::spawn(move || writer.run(&requests).unwrap());
        Self {
            routes: routes(Api { writer: handle.clone(), archive, metrics }),
            handle,
            clock,
            names: BTreeMap::new(),
        }
    }

    /// Time passes, and the writer looks at it: when this returns, what fell due has been done.
    async fn pass(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
        self.handle.read(|_| ()).await.unwrap();
    }

    fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, value) in self.names.iter().rev() {
            let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            filled = filled.replace(&format!("${name}"), &plain);
        }
        filled
    }

    async fn ask(&self, method: &str, path: &str, body: String, meanwhile_ms: u64) -> (u16, String) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
        let mut call = Box::pin(self.routes.clone().oneshot(request));
        if meanwhile_ms > 0 {
            let first = futures_poll(&mut call).await;
            assert!(first.is_none(), "{method} {path} was to wait, and was answered at once");
            // The writer takes requests in order: when this one is answered, the other waits on the old time.
            self.pass(0).await;
            self.pass(meanwhile_ms).await;
        }
        let answer = call.await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn matches(&mut self, expected: &Value, found: &Value, at: &str) -> Result<(), String> {
        match expected {
            Value::String(name) if is_name(name) => self.named(&name[1..], found, at),
            Value::String(text) if text.contains('$') => {
                self.matches(&Value::String(self.fill(text).replace('$', "")), found, at)
            }
            Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
                let here = found.get(self.fill(key)).unwrap_or(&Value::Null);
                self.matches(value, here, &format!("{at}.{key}"))
            }),
            Value::Array(items) => {
                let found = found.as_array().ok_or_else(|| format!("{at}: not a list: {found}"))?;
                if items.len() != found.len() {
                    return Err(format!("{at}: {} items expected, {} found", items.len(), found.len()));
                }
                let mut pairs = items.iter().zip(found).enumerate();
                pairs.try_for_each(|(i, (item, found))| self.matches(item, found, &format!("{at}[{i}]")))
            }
            plain if plain == found => Ok(()),
            plain => Err(format!("{at}: expected {plain}, found {found}")),
        }
    }

    /// A name stands for one value, never for none; two names never stand for the same id.
    fn named(&mut self, name: &str, found: &Value, at: &str) -> Result<(), String> {
        if let Some(known) = self.names.get(name) {
            return if known == found {
                Ok(())
            } else {
                Err(format!("{at}: ${name} was {known}, now it is {found}"))
            };
        }
        let is_id = found.as_str().is_some_and(|text| text.parse::<TaskId>().is_ok());
        if found.is_null() || (is_id && self.names.values().any(|value| value == found)) {
            return Err(format!(
                "{at}: ${name} can't stand for {found}: it is nothing, or has a name already"
            ));
        }
        self.names.insert(name.to_owned(), found.clone());
        Ok(())
    }

    fn check(&mut self, expected: &str, status: u16, body: &str) -> Result<(), String> {
        let (code, rest) = expected.split_once(' ').unwrap_or((expected, ""));
        if code != status.to_string() {
            return Err(format!("status {status} instead of {code}: {body}"));
        }
        let rest = rest.trim();
        if let Some(name) = rest.strip_prefix("text ") {
            return self.matches(&Value::String(name.to_owned()), &Value::String(body.to_owned()), "text");
        }
        if rest.is_empty() {
            return Ok(());
        }
        let expected: Value =
            serde_json::from_str(rest).map_err(|error| format!("bad expectation: {error}"))?;
        let found = serde_json::from_str(body).map_err(|error| format!("no JSON ({error}): {body}"))?;
        self.matches(&expected, &found, "answer").map_err(|why| format!("{why}\n   whole: {body}"))
    }
}

fn is_name(text: &str) -> bool {
    text.strip_prefix('$').is_some_and(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
}

/// Polls a future once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

fn milliseconds(text: &str) -> u64 {
    let (number, unit) = text.trim().split_once(' ').expect("a number and a unit");
    let number: u64 = number.parse().expect("a whole number");
    match unit {
        "ms" => number,
        "s" => number * 1000,
        other => panic!("unit {other}: use ms or s"),
    }
}

/// Joins the lines of a step: a line that starts with a mark begins one.
fn steps(text: &str) -> Vec<(usize, String)> {
    let mut steps: Vec<(usize, String)> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with(['>', '<', '+', '~']) {
            steps.push((number, line.to_owned()));
        } else if let Some((_, step)) = steps.last_mut() {
            step.push('\n');
            step.push_str(line);
        }
    }
    steps
}

async fn play(text: &str) -> Result<(), String> {
    let mut stage = Stage::new();
    let mut answer = (200, String::new());
    let mut meanwhile_ms = 0;
    let mut asked: Option<usize> = None;
    for (line, step) in steps(text) {
        let marks_answer = step.starts_with('<');
        if let Some(line) = asked.take().filter(|_| !marks_answer && answer.0 >= 300) {
            return Err(format!("line {line}: nobody expected {}: {}", answer.0, answer.1));
        }
        let content = step[1..].trim();
        match &step[..1] {
            "+" => stage.pass(milliseconds(content)).await,
            "~" => meanwhile_ms = milliseconds(content),
            ">" => {
                let filled = stage.fill(content);
                let (head, body) = filled.split_once('\n').unwrap_or((&filled, ""));
                let (method, path) = head.split_once(' ').expect("a method and a path");
                answer = stage.ask(method, path, body.to_owned(), meanwhile_ms).await;
                meanwhile_ms = 0;
                asked = Some(line);
            }
            _ => stage.check(content, answer.0, &answer.1).map_err(|why| format!("line {line}: {why}"))?,
        }
    }
    Ok(())
}

fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn every_transcript_plays_as_written() {
    let mut failed = Vec::new();
    let files = files();
    assert!(files.len() > 20, "only {} transcripts were found", files.len());
    for (name, text) in files {
        match tokio::time::timeout(LIMIT, play(&text)).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => failed.push(format!("{name}: {why}")),
            Err(_) => failed.push(format!("{name}: hangs; does a poll wait that should not?")),
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[tokio::test]
async fn a_transcript_that_tells_another_story_fails() {
    let wrong_status = play("> GET /api/workflow/none\n< 200").await;
    assert!(wrong_status.unwrap_err().contains("status 404"));
    let wrong_field = play("> GET /health\n< 200 {\"healthy\": false}").await;
    assert!(wrong_field.unwrap_err().contains("healthy"));
    let unexpected = play("> GET /api/workflow/none\n+ 1 ms").await;
    assert!(unexpected.unwrap_err().contains("nobody expected 404"));
    let nothing = play("> GET /health\n< 200 {\"absent\": \"$x\"}").await;
    assert!(nothing.unwrap_err().contains("it is nothing"));
    let wrong_length = play("> GET /api/metadata/taskdefs\n< 200 [{}]").await;
    assert!(wrong_length.unwrap_err().contains("1 items expected"));
}
