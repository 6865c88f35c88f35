//! Ctrl-C: once ends the run in order, twice ends everything at once.

use shakedown_reports::exit_code;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Tells when a person wants the run to end.
#[derive(Debug, Clone)]
pub struct Interrupt {
    asked: watch::Receiver<bool>,
}

impl Interrupt {
    /// Listens to SIGINT, SIGTERM and SIGHUP from now on; the first one is answered with `first`.
    ///
    /// # Errors
    /// The system refuses the handlers.
    pub fn listen(first: &'static str) -> std::io::Result<Self> {
        let signals = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        );
        let (ask, asked) = watch::channel(false);
        tokio::spawn(async move {
            let mut signals = signals;
            next(&mut signals).await;
            eprintln!("\nshakedown: {first}");
            let _ = ask.send(true);
            next(&mut signals).await;
            eprintln!("\nshakedown: interrupted again; ended at once");
            // The kernel kills every child with us: they were spawned that way.
            std::process::exit(exit_code::INTERRUPTED.into());
        });
        Ok(Self { asked })
    }

    /// True when the run is to end.
    pub fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Returns when the run is to end.
    pub async fn asked(&self) {
        let mut asked = self.asked.clone();
        if asked.wait_for(|asked| *asked).await.is_err() {
            // The listener only ends with the process.
            std::future::pending::<()>().await;
        }
    }
}

async fn next((interrupt, terminate, hangup): &mut (Signal, Signal, Signal)) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
