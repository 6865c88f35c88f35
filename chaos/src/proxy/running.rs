//! A proxy that is enabled: a task that accepts and spawns, and takes orders. It waits for nobody's data.

use super::connection::{self, Shared};
use super::counts::add;
use super::door::{Connect, Door};
use super::toxic::End;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// How long connections that were told to end may take before nobody waits for them any more.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
/// Pause after an accept that failed (no descriptors left, say), so that it doesn't spin.
const PAUSE: Duration = Duration::from_millis(20);

/// The handle of an accepting task; without it, the task and all connections end.
#[derive(Debug)]
pub struct Running {
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

enum Order {
    Connect(Connect, oneshot::Sender<io::Result<()>>),
    Cut(End, oneshot::Sender<(usize, watch::Sender<Option<End>>)>),
}

struct Accepting {
    door: Door,
    delay: Duration,
    shared: Arc<Shared>,
    cut: watch::Sender<Option<End>>,
}

impl Running {
    /// Starts to accept.
    pub fn start(door: Door, shared: Arc<Shared>) -> Self {
        let (orders, taken) = mpsc::channel(16);
        let accepting = Accepting { door, delay: Duration::ZERO, shared, cut: watch::Sender::new(None) };
        Self { orders, task: tokio::spawn(accepting.run(taken)) }
    }

    /// Changes what becomes of those who connect; done when it returns.
    ///
    /// # Errors
    /// The system refused.
    pub async fn connect(&self, mode: Connect) -> io::Result<()> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Connect(mode, answer)).await?;
        answered.await.map_err(|_| gone())?
    }

    /// Ends all connections; says how many. They are gone when it returns.
    ///
    /// # Errors
    /// The accepting task is gone.
    pub async fn cut(&self, end: End) -> io::Result<usize> {
        let (count, told) = self.tell(end).await?;
        let _ = tokio::time::timeout(ENDS_WITHIN, told.closed()).await;
        Ok(count)
    }

    /// Stops listening and ends all connections.
    pub async fn stop(self) {
        let told = self.tell(End::Close).await;
        self.task.abort();
        // The listener goes with the task.
        let _ = self.task.await;
        if let Ok((_, told)) = told {
            let _ = tokio::time::timeout(ENDS_WITHIN, told.closed()).await;
        }
    }

    /// Tells all connections to end; says how many, and gives what they hold until they have.
    async fn tell(&self, end: End) -> io::Result<(usize, watch::Sender<Option<End>>)> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Cut(end, answer)).await?;
        answered.await.map_err(|_| gone())
    }

    async fn order(&self, order: Order) -> io::Result<()> {
        self.orders.send(order).await.map_err(|_| gone())
    }
}

fn gone() -> io::Error {
    io::Error::other("the task that accepts connections is gone")
}

impl Accepting {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    None => return,
                    Some(order) => self.follow(order).await,
                },
                accepted = self.door.accept() => match accepted {
                    Ok(client) => self.take(client),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    // Whoever ordered may have gone away since: then nobody needs the answer.
    async fn follow(&mut self, order: Order) {
        match order {
            Order::Connect(mode, answer) => {
                self.delay = match mode {
                    Connect::Delay { delay_ms } => Duration::from_millis(delay_ms),
                    _ => Duration::ZERO,
                };
                let _ = answer.send(self.door.set(mode).await);
            }
            Order::Cut(end, answer) => {
                let told = std::mem::replace(&mut self.cut, watch::Sender::new(None));
                // A connection that ends hangs up on this sender.
                let count = told.receiver_count();
                let _ = told.send(Some(end));
                let _ = answer.send((count, told));
            }
        }
    }

    fn take(&self, client: TcpStream) {
        let (mut cut, shared, delay) = (self.cut.subscribe(), Arc::clone(&self.shared), self.delay);
        let number = shared.counts.accepted.fetch_add(1, Ordering::Relaxed) + 1;
        add(&shared.counts.open, 1);
        tokio::spawn(async move {
            let _open = Open(Arc::clone(&shared));
            // `cut` is let go of last: whoever waits for that finds the connection closed and no longer counted.
            connection::serve(client, number, delay, shared, &mut cut).await;
        });
    }
}

/// One that is counted as open, until it is dropped.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}
