//! Reporting on a task, also through a restart of the target.

use super::work::Handed;
use crate::clock;
use crate::target::conductor::Conductor;
use crate::target::wire::{PolledTask, TaskResult};
use serde_json::Value;
use shakedown_reports::history::{Outcome, Reported};
use std::time::Duration;

/// How long a worker tries to report: longer than any outage that is tested, shorter than for ever.
const TRY_FOR: Duration = Duration::from_secs(180);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What is reported.
#[derive(Debug)]
pub struct Report {
    /// How the work ended.
    pub reported: Reported,
    /// The task's output.
    pub output: Value,
}

/// What became of a report.
#[derive(Debug, Clone, Copy)]
pub struct Updated {
    /// When it was first sent.
    pub sent_ns: u64,
    /// When it was answered or given up.
    pub done_ns: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// HTTP status of the last try.
    pub status: Option<u16>,
    /// How often it was sent.
    pub tries: u32,
}

impl Updated {
    /// Nothing was sent.
    pub fn never(at_ns: u64) -> Self {
        Self { sent_ns: at_ns, done_ns: at_ns, outcome: Outcome::Failed, status: None, tries: 0 }
    }

    /// Something was sent, and the fleet stopped before it was answered.
    pub fn cut_off(sent_ns: u64, done_ns: u64) -> Self {
        Self { sent_ns, done_ns, outcome: Outcome::Unknown, status: None, tries: 1 }
    }
}

/// Sends a report until the target takes or refuses it. A report whose fate is unknown is sent again as it was: the
/// nonce in it makes the repetition recognisable. With `and_poll` the answer may bring the next task of the type; a
/// report that is repeated asks for none, as an answer that was lost may have brought one already.
pub async fn send(
    target: &Conductor,
    handed: &Handed,
    report: Report,
    and_poll: bool,
) -> (Updated, Option<PolledTask>) {
    let (status, reason) = match report.reported {
        Reported::Completed => ("COMPLETED", None),
        Reported::Failed => ("FAILED", Some("drawn to fail")),
        Reported::FailedTerminally => ("FAILED_WITH_TERMINAL_ERROR", Some("drawn to fail for good")),
        Reported::InProgress | Reported::Nothing => ("IN_PROGRESS", None),
    };
    let result = TaskResult {
        workflow_instance_id: &handed.task.workflow_instance_id,
        task_id: &handed.task.task_id,
        worker_id: &handed.worker,
        status,
        output_data: report.output,
        extend_lease: false,
        reason_for_incompletion: reason,
    };
    let mut pause = FIRST_PAUSE;
    let mut updated = Updated { tries: 1, ..Updated::never(clock::now_ns()) };
    let give_up_ns = updated.sent_ns + clock::nanos(TRY_FOR);
    loop {
        let (exchange, next) = if and_poll && updated.tries == 1 {
            target.update_and_poll(&result).await
        } else {
            (target.update(&result).await, None)
        };
        (updated.done_ns, updated.status) = (exchange.done_ns, exchange.status);
        // A report that may have arrived once stays unknown until the target says yes.
        let was_unknown = updated.tries > 1 && updated.outcome == Outcome::Unknown;
        let outcome = exchange.outcome();
        updated.outcome = if was_unknown && outcome == Outcome::Failed { Outcome::Unknown } else { outcome };
        if outcome == Outcome::Ok || refused_for_good(exchange.status) || exchange.done_ns >= give_up_ns {
            return (updated, next);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        updated.tries += 1;
    }
}

/// A 4xx other than "too many requests" will not turn into a yes.
fn refused_for_good(status: Option<u16>) -> bool {
    matches!(status, Some(400..=428 | 430..=499))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workers::lease::Lease;
    use serde_json::json;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A target that gives one answer a connection; an empty one is a broken connection.
    fn target(answers: &'static [&'static str]) -> Conductor {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for (answer, stream) in answers.iter().zip(listener.incoming()) {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"}") {
                    let mut part = [0; 1024];
                    let length = stream.read(&mut part).unwrap();
                    request.extend_from_slice(&part[..length]);
                }
                if !answer.is_empty() {
                    write!(stream, "HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                        .unwrap();
                }
            }
        });
        Conductor::new(&url).unwrap()
    }

    async fn sent(answers: &'static [&'static str]) -> (Outcome, Option<u16>, u32) {
        let handed = Handed {
            task: PolledTask::default(),
            lease: Lease::new(&PolledTask::default(), 0),
            polled_ns: 0,
            pool: "codegen".to_owned(),
            worker: "w".to_owned(),
        };
        let report = Report { reported: Reported::Completed, output: json!({ "nonce": "n" }) };
        let (updated, _) = send(&target(answers), &handed, report, true).await;
        (updated.outcome, updated.status, updated.tries)
    }

    #[tokio::test]
    async fn a_report_is_sent_until_it_is_taken() {
        let restarting = sent(&["", "503 Service Unavailable", "500 Internal Server Error", "200 OK"]).await;
        assert_eq!(restarting, (Outcome::Ok, Some(200), 4));
    }

    #[tokio::test]
    async fn a_target_without_the_newer_call_is_asked_in_the_plain_way() {
        assert_eq!(sent(&["501 Not Implemented", "200 OK"]).await, (Outcome::Ok, Some(200), 1));
    }

    #[tokio::test]
    async fn a_report_that_is_refused_is_not_sent_again() {
        assert_eq!(sent(&["400 Bad Request", "200 OK"]).await, (Outcome::Failed, Some(400), 1));
    }

    #[tokio::test]
    async fn a_refusal_does_not_settle_what_an_earlier_try_may_have_done() {
        assert_eq!(sent(&["", "404 Not Found"]).await, (Outcome::Unknown, Some(404), 2));
    }
}
