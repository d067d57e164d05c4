//! Ending in stages: first nobody new is invited, then those who still come are served, then the doors close.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Without a request for this long, nobody is coming any more.
const QUIET: Duration = Duration::from_secs(1);
/// How long to wait for that.
const PATIENCE: Duration = Duration::from_secs(10);

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// Whether the webhook is about to stop, and when it was last asked.
#[derive(Clone, Debug)]
pub struct Stopping {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    begun: Instant,
    stopping: AtomicBool,
    last_request: AtomicU64,
}

// === impl Signals ===

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// The system does not let it.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

// === impl Stopping ===

impl Default for Stopping {
    fn default() -> Self {
        let inner = Inner {
            begun: Instant::now(),
            stopping: AtomicBool::new(false),
            last_request: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }
}

impl Stopping {
    /// Notes a request; answers whether its connection should be closed after it.
    #[must_use]
    pub fn note_request(&self) -> bool {
        self.inner.last_request.store(self.elapsed_millis(), Ordering::Relaxed);
        self.inner.stopping.load(Ordering::Relaxed)
    }

    /// Closes every connection after its next answer, and waits until nobody asks any more.
    pub async fn until_quiet(&self) {
        self.inner.stopping.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        let mut poll = tokio::time::interval(Duration::from_millis(50));
        while begun.elapsed() < PATIENCE {
            poll.tick().await;
            let silent = self
                .elapsed_millis()
                .saturating_sub(self.inner.last_request.load(Ordering::Relaxed));
            if begun.elapsed() >= QUIET && Duration::from_millis(silent) >= QUIET {
                return;
            }
        }
    }

    fn elapsed_millis(&self) -> u64 {
        u64::try_from(self.inner.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
