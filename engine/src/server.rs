//! The engine as a process: opens the store, starts the writer, serves until told to stop.

use crate::api::{self, Api};
use crate::clock;
use crate::door::Door;
use crate::node::{self, Node, NodeOptions};
use crate::postgres::Address;
use crate::store::{self, Opened, StoreUrl};
use crate::writer::{Handle, Writer, WriterError};
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How long open requests may take to finish after the order to stop.
const GRACE: Duration = Duration::from_secs(5);
/// So long after the door is closed may a first request still be on its way, where somebody else can carry it out: the
/// server closes a connection that it has read nothing from as soon as it is told to stop.
const LAST_IN: Duration = Duration::from_millis(100);

/// What an engine is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the journal and the archive are kept.
    pub store: StoreUrl,
    /// How long workflows are kept after their end; `None` = for ever.
    pub retention: Option<Duration>,
    /// How the engine presents itself to others that share its store.
    pub node: NodeOptions,
}

/// Why an engine ended.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The address can't be listened on.
    #[error("cannot listen on {address}: {why}; stop what listens there, or choose another --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
    /// The journal can't be read, or an append did not clearly succeed.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// Anything else.
    #[error("the engine failed: {0}")]
    Other(String),
}

/// Serves until `shutdown` is ready, then lets open requests finish. Prints one line on stdout when it is ready:
/// `listening on http://ADDRESS`.
///
/// # Errors
/// [`EngineError`]; the process should end then, and its supervisor start it anew.
pub async fn serve(
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), EngineError> {
    if let StoreUrl::Postgres(address) = &options.store {
        return serve_node(address.as_ref().clone(), options, shutdown).await;
    }
    let opened = store::open(&options.store).map_err(WriterError::from)?;
    serve_opened(opened, Box::new(clock::steady()), options, shutdown).await
}

/// Serves as one of the nodes that share a database.
async fn serve_node(
    address: Address,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), EngineError> {
    let (listener, listening) = listen(&options).await?;
    let (retention, named) = (options.retention, options.node.clone());
    let url = named.advertise.clone().unwrap_or_else(|| format!("http://{listening}"));
    let opened = tokio::task::spawn_blocking(move || Node::open(&address, named, url, retention)).await;
    let node = opened.map_err(|error| EngineError::Other(error.to_string()))?.map_err(WriterError::from)?;
    let (handle, requests) = Handle::channel();
    let api = Api { writer: handle.clone(), archive: node.archive(), metrics: node.metrics() };
    let view = node.view();
    let router = node::routed(api::routes(api), view.clone());
    let ended = on_thread(move || node.run(&requests))?;
    let last = handle.clone();
    let shutdown = async move {
        shutdown.await;
        // The lead goes first, so that what still comes can be handed on.
        let _ = tokio::time::timeout(GRACE, last.drain()).await;
        view.handed_over().await;
    };
    run(((listener, listening), LAST_IN), router, handle, ended, shutdown).await
}

async fn listen(options: &Options) -> Result<(TcpListener, SocketAddr), EngineError> {
    let failed = |why| EngineError::Listen { address: options.listen, why };
    let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// The same on a store that is open already, and a clock of the caller's.
///
/// # Errors
/// As [`serve`].
pub async fn serve_opened(
    opened: Opened,
    time: Box<dyn Fn() -> u64 + Send>,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), EngineError> {
    let listening = listen(&options).await?;
    let (api, ended) = start_writer(opened, time, &options)?;
    let handle = api.writer.clone();
    run((listening, Duration::ZERO), api::routes(api), handle, ended, shutdown).await
}

/// Takes requests until told to stop, then those that are on their way, for a time, and lets open ones finish.
async fn run(
    ((listener, address), last_in): ((TcpListener, SocketAddr), Duration),
    router: axum::Router,
    handle: Handle,
    mut ended: Ended,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), EngineError> {
    let (door, mut key) = Door::new(listener, address);
    let (stop, stopping) = oneshot::channel::<()>();
    let stopping = async move { drop(stopping.await) };
    let door = axum::serve::ListenerExt::tap_io(door, |stream| drop(stream.set_nodelay(true)));
    let mut server = tokio::spawn(axum::serve(door, router).with_graceful_shutdown(stopping).into_future());
    announce(address)?;
    tokio::select! {
        () = shutdown => tracing::info!("stopping: no new requests, open ones finish"),
        result = &mut ended => return Err(writer_ended(result)),
        result = &mut server => return Err(EngineError::Other(format!("the server ended by itself: {result:?}"))),
    }
    key.close().await;
    tokio::time::sleep(last_in).await;
    let _ = stop.send(());
    let _ = tokio::time::timeout(GRACE, handle.drain()).await;
    drop(handle);
    if tokio::time::timeout(GRACE, &mut server).await.is_err() {
        tracing::warn!("some connections did not close in time");
        server.abort();
        let _ = server.await;
    }
    // The last handle went with the server, so the writer finishes what it has and ends.
    match tokio::time::timeout(GRACE, ended).await {
        Ok(Ok(result)) => Ok(result?),
        Ok(Err(_)) | Err(_) => Err(EngineError::Other("the writer did not end in order".to_owned())),
    }
}

type Ended = oneshot::Receiver<Result<(), WriterError>>;

/// The writer has a thread of its own: it waits for the disk.
fn start_writer(
    (store, archive): Opened,
    time: Box<dyn Fn() -> u64 + Send>,
    options: &Options,
) -> Result<(Api, Ended), EngineError> {
    let writer = Writer::open((store, Arc::clone(&archive)), time, options.retention)?;
    tracing::info!(store = %options.store, frames = writer.position(), "replayed the journal");
    let (handle, requests) = Handle::channel();
    let api = Api { writer: handle, archive, metrics: writer.metrics() };
    let ended = on_thread(move || writer.run(&requests))?;
    Ok((api, ended))
}

fn on_thread(work: impl FnOnce() -> Result<(), WriterError> + Send + 'static) -> Result<Ended, EngineError> {
    let (tell, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("writer".into())
        .spawn(move || drop(tell.send(work())))
        .map_err(|error| EngineError::Other(format!("cannot start the writer's thread: {error}")))?;
    Ok(ended)
}

fn writer_ended(result: Result<Result<(), WriterError>, oneshot::error::RecvError>) -> EngineError {
    match result {
        Ok(Err(error)) => error.into(),
        Ok(Ok(())) => EngineError::Other("the writer ended by itself".to_owned()),
        Err(_) => EngineError::Other("the writer panicked".to_owned()),
    }
}

fn announce(address: SocketAddr) -> Result<(), EngineError> {
    tracing::info!(%address, "listening");
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "listening on http://{address}").and_then(|()| stdout.flush());
    written.map_err(|error| EngineError::Other(format!("cannot write to stdout: {error}")))
}
