//! Being asked to end: Ctrl-C, SIGTERM, a closed terminal.

use anyhow::{Context as _, Result};
use testbed::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// The requests to end, in the order in which they come.
pub struct Ends {
    receiver: mpsc::Receiver<Signal>,
}

impl Ends {
    /// From now on these signals do not end the process by themselves.
    ///
    /// # Errors
    /// When the system refuses to deliver them.
    pub fn listen() -> Result<Self> {
        let (sender, receiver) = mpsc::channel(8);
        for (kind, name) in [
            (SignalKind::interrupt(), Signal::SIGINT),
            (SignalKind::terminate(), Signal::SIGTERM),
            (SignalKind::hangup(), Signal::SIGHUP),
        ] {
            let mut signals = signal(kind).with_context(|| format!("cannot wait for {name}"))?;
            let sender = sender.clone();
            tokio::spawn(async move { while signals.recv().await.is_some() && sender.send(name).await.is_ok() {} });
        }
        Ok(Self { receiver })
    }

    /// Waits for the next request.
    pub async fn next(&mut self) -> Signal {
        match self.receiver.recv().await {
            Some(signal) => signal,
            // The senders live as long as the runtime does.
            None => std::future::pending().await,
        }
    }
}
