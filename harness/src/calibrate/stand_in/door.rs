//! The stand-in's door: the listener that an outage closes, or behind which nothing is answered.

use crate::calibrate::truth::{Deed, Style, Truth};
use crate::clock;
use anyhow::Context;
use axum::Router;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};

/// How long the address is asked for again after an outage.
const BIND_WITHIN: Duration = Duration::from_secs(5);

/// Whether requests get in, and whether they are answered.
#[derive(Debug)]
pub struct Door {
    hangs: watch::Sender<bool>,
    truth: Arc<Truth>,
    understated_ns: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    address: Option<SocketAddr>,
    serving: Option<JoinHandle<()>>,
    outage: Option<(Style, u64)>,
}

impl Door {
    /// A door that nobody stands behind yet. What it tells of outages is so much shorter than they were.
    pub fn new(truth: Arc<Truth>, understated_ns: u64) -> Arc<Self> {
        let (hangs, _) = watch::channel(false);
        Arc::new(Self { hangs, truth, understated_ns, state: Mutex::default() })
    }

    /// Returns when requests are answered.
    pub async fn answers(&self) {
        let mut hangs = self.hangs.subscribe();
        // It errs only when the door is gone, and with it the program.
        let _ = hangs.wait_for(|hangs| !hangs).await;
    }

    /// Opens at `address` and returns the one that it got.
    ///
    /// # Errors
    /// The address can't be had.
    pub async fn open(&self, address: SocketAddr, routes: &Router) -> anyhow::Result<SocketAddr> {
        let mut state = self.state.lock().await;
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let got = listener.local_addr()?;
        state.address = Some(got);
        state.serving = Some(tokio::spawn(serve(listener, routes.clone())));
        Ok(got)
    }

    /// Begins an outage; nothing happens when one is on.
    pub async fn begin(&self, style: Style) {
        let mut state = self.state.lock().await;
        if state.outage.is_some() {
            return;
        }
        match style {
            Style::Hang => {
                self.hangs.send_replace(true);
            }
            Style::Refuse => {
                if let Some(serving) = state.serving.take() {
                    // Listener and connections go with it.
                    serving.abort();
                    let _ = serving.await;
                }
            }
        }
        state.outage = Some((style, clock::now_ns()));
    }

    /// Ends the outage that is on, if one is.
    ///
    /// # Errors
    /// The address can't be had again.
    pub async fn end(&self, routes: &Router) -> anyhow::Result<()> {
        let outage = self.state.lock().await.outage.take();
        let Some((style, began_ns)) = outage else { return Ok(()) };
        match style {
            Style::Hang => {
                self.hangs.send_replace(false);
            }
            Style::Refuse => self.open_again(routes).await?,
        }
        let ended_ns = clock::now_ns().saturating_sub(self.understated_ns);
        self.truth.tell(&Deed::Outage { style, began_ns, ended_ns });
        Ok(())
    }

    /// True while an outage is on.
    pub async fn is_out(&self) -> bool {
        self.state.lock().await.outage.is_some()
    }

    async fn open_again(&self, routes: &Router) -> anyhow::Result<()> {
        let address = self.state.lock().await.address.context("the door was never open")?;
        let give_up_ns = clock::now_ns() + clock::nanos(BIND_WITHIN);
        loop {
            match self.open(address, routes).await {
                Err(_) if clock::now_ns() < give_up_ns => tokio::time::sleep(Duration::from_millis(1)).await,
                other => return other.map(|_| ()),
            }
        }
    }
}

/// Serves every connection until it is aborted; then all of them are closed at once.
async fn serve(listener: TcpListener, routes: Router) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Without it small answers wait for 40 ms, which would be planted by nobody.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(routes.clone());
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(connection);
        while connections.try_join_next().is_some() {}
    }
}
