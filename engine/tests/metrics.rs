//! What Prometheus is told: figures of a small history that is known, in the exposition format.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use shakedown_engine::api::{Api, routes};
use shakedown_engine::archive::MemoryArchive;
use shakedown_engine::store::Memory;
use shakedown_engine::writer::{Handle, Writer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tower::ServiceExt;

async fn ask(routes: &axum::Router, method: &str, path: &str, body: Value) -> String {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let request = Request::builder().method(method).uri(path).body(body).unwrap();
    let answer = routes.clone().oneshot(request).await.unwrap();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn the_figures_are_those_of_what_happened() {
    let clock = Arc::new(AtomicU64::new(1_000_000));
    let time = Arc::clone(&clock);
    let archive = Arc::new(MemoryArchive::default());
    let read = Box::new(move || time.load(Ordering::SeqCst));
    let writer = Writer::open((Box::<Memory>::default(), archive.clone()), read, None).unwrap();
    let metrics = writer.metrics();
    let (handle, requests) = Handle::channel();
    std::thread::spawn(move || writer.run(&requests).unwrap());
    let routes = routes(Api { writer: handle, archive, metrics });

    let def = json!({"name": "w\"1", "tasks": [{"name": "a", "taskReferenceName": "t1"}]});
    ask(&routes, "POST", "/api/metadata/workflow", def).await;
    ask(&routes, "POST", "/api/workflow", json!({"name": "w\"1"})).await;
    ask(&routes, "POST", "/api/workflow", json!({"name": "w\"1"})).await;
    clock.fetch_add(2000, Ordering::SeqCst);
    let tasks = ask(&routes, "GET", "/api/tasks/poll/batch/a?timeout=0", Value::Null).await;
    let tasks: Value = serde_json::from_str(&tasks).unwrap();
    clock.fetch_add(4000, Ordering::SeqCst);
    let update = json!({"workflowInstanceId": tasks[0]["workflowInstanceId"], "taskId": tasks[0]["taskId"],
                        "status": "COMPLETED"});
    ask(&routes, "POST", "/api/tasks", update).await;
    ask(&routes, "GET", "/api/nothing", Value::Null).await;

    let text = ask(&routes, "GET", "/metrics", Value::Null).await;
    for line in [
        r#"shakedown_workflows_started_total{workflow="w\"1"} 2"#,
        r#"shakedown_workflows_ended_total{workflow="w\"1",status="COMPLETED"} 1"#,
        r#"shakedown_makespan_seconds_sum{workflow="w\"1"} 6"#,
        r#"shakedown_tasks_ended_total{task="a",status="COMPLETED"} 1"#,
        r#"shakedown_queue_wait_seconds_bucket{task="a",le="1"} 0"#,
        r#"shakedown_queue_wait_seconds_bucket{task="a",le="2.5"} 1"#,
        r#"shakedown_run_time_seconds_sum{task="a"} 4"#,
        r#"shakedown_backlog_tasks{task="a"} 1"#,
        "shakedown_workflows_in_flight 1",
        r#"shakedown_service_time_seconds_count{method="POST",route="/api/workflow",status="200"} 2"#,
        "shakedown_frames_total 5",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    // Every sample belongs to a metric that was announced.
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(text.contains(&format!("# TYPE {family} ")), "{name} has no type");
    }
}
