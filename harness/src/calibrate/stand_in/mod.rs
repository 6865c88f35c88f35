//! The stand-in: a small server that speaks as much of Conductor's API as a run uses, keeps everything in memory, and
//! really does what its script says, over HTTP, while it writes down what it did.

mod api;
mod definition;
mod door;
mod view;
mod workflow;
mod world;

use super::script::Script;
use super::truth::{Style, Truth};
use crate::run::interrupt::Interrupt;
use api::Shared;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use door::Door;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// How the line begins that tells the addresses: of the API, then, after a space, of the control.
pub const LISTENING: &str = "listening on ";

/// Serves the API at `address`, and the control of outages at a port of its own, until it is interrupted.
///
/// # Errors
/// An address can't be had.
pub async fn serve(
    address: SocketAddr,
    script: Script,
    truth: Truth,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let truth = Arc::new(truth);
    let door = Door::new(Arc::clone(&truth), script.outages_understated_ns);
    let shared = Shared::new(script, truth)?;
    let routes = api::routes(shared, Arc::clone(&door));
    let got = door.open(address, &routes).await?;
    let control = TcpListener::bind(SocketAddr::new(address.ip(), 0)).await?;
    println!("{LISTENING}http://{got} http://{}", control.local_addr()?);
    tokio::select! {
        served = async { axum::serve(control, controls(door, routes)).await } => Ok(served?),
        () = interrupt.asked() => Ok(()),
    }
}

#[derive(Debug, Clone)]
struct Control {
    door: Arc<Door>,
    routes: Router,
}

/// What a fault's commands ask for.
fn controls(door: Arc<Door>, routes: Router) -> Router {
    Router::new()
        .route("/outage/begin/{style}", post(begin))
        .route("/outage/end", post(end))
        .route("/outage", get(is_out))
        .with_state(Control { door, routes })
}

async fn begin(State(control): State<Control>, Path(style): Path<Style>) {
    control.door.begin(style).await;
}

async fn end(State(control): State<Control>) -> Result<(), (StatusCode, String)> {
    let ended = control.door.end(&control.routes).await;
    ended.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))
}

/// 200 while an outage is on, else 409.
async fn is_out(State(control): State<Control>) -> StatusCode {
    if control.door.is_out().await { StatusCode::OK } else { StatusCode::CONFLICT }
}
