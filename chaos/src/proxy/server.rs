//! The proxy server: the API on an address, proxies behind it, all of it ended in order.

use super::api::{self, decode};
use super::collection::Collection;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long open requests may take to finish after the order to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Why a server could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The API's address can't be listened on.
    #[error("cannot listen on {address}: {why}; stop what listens there, or choose another --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: io::Error,
    },
    /// The proxies to begin with make no sense, or one of them can't be created.
    #[error("cannot create the proxies: {why}; nothing was started")]
    Proxies {
        /// What the API would have answered.
        why: String,
    },
    /// The server ended by itself.
    #[error("the API failed: {0}")]
    Failed(io::Error),
}

/// A server that listens and does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    collection: Arc<Collection>,
}

impl Server {
    /// Takes the API's address; port 0 takes a free one. `seed` is what all luck of all toxics comes from.
    ///
    /// # Errors
    /// [`ServerError::Listen`].
    pub async fn bind(listen: SocketAddr, seed: u64) -> Result<Self, ServerError> {
        let failed = |why| ServerError::Listen { address: listen, why };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, collection: Arc::new(Collection::new(seed)) })
    }

    /// Where the API is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Creates the proxies of a JSON array, each as `POST /x/proxies` takes it: with its toxics.
    ///
    /// # Errors
    /// [`ServerError::Proxies`]; none is left then.
    pub async fn populate(&self, json: &[u8]) -> Result<usize, ServerError> {
        let create = async {
            let plans = decode::plans(json, decode::full_plan)?;
            let mut proxies = self.collection.lock().await;
            for plan in &plans {
                let created = self.collection.create(&mut proxies, plan).await;
                created.map_err(|mut problem| {
                    problem.error = format!("{}: {}", plan.name, problem.error);
                    problem
                })?;
            }
            Ok(plans.len())
        };
        let created: Result<usize, api::problem::Problem> = create.await;
        if created.is_err() {
            self.collection.clear().await;
        }
        created.map_err(|problem| ServerError::Proxies { why: problem.error })
    }

    /// Serves until `shutdown` is ready; then open requests finish, and all proxies end with their connections.
    ///
    /// # Errors
    /// [`ServerError::Failed`].
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), ServerError> {
        let collection = Arc::clone(&self.collection);
        let answer = move |request| api::answer(Arc::clone(&collection), request);
        let router = axum::Router::new().fallback(answer);
        let listener =
            axum::serve::ListenerExt::tap_io(self.listener, |stream| drop(stream.set_nodelay(true)));
        let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
        let drain = async move { drop(stopping.await) };
        let serving = axum::serve(listener, router).with_graceful_shutdown(drain).into_future();
        let mut serving = tokio::spawn(serving);
        tokio::select! {
            () = shutdown => {}
            result = &mut serving => return result.map_err(io::Error::other).flatten().map_err(ServerError::Failed),
        }
        drop(stop);
        if tokio::time::timeout(GRACE, &mut serving).await.is_err() {
            serving.abort();
        }
        self.collection.clear().await;
        Ok(())
    }
}
