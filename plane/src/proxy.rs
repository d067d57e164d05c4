//! A TCP proxy before the API server, which can make the network bad.
//!
//! Bytes are carried by two pumps for each connection. A pump reads a chunk, notes when it is due, and writes it then,
//! in order; what was read is never lost. The mode can change at any moment and holds for open connections too.
//! Curfew's kubeconfig names the proxy; everybody else reaches the API server directly.

mod control;

pub(crate) use control::name as mode_name;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How the proxy treats what passes through it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Carry everything at once.
    #[default]
    Pass,
    /// Carry everything, each way that much later.
    Delay(Duration),
    /// Accept connections and bytes, and carry nothing until the mode changes (a cut cable).
    Blackhole,
    /// Close every connection, and every new one.
    Refuse,
}

/// The proxy's state, shared with its control and its owner.
#[derive(Clone, Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    mode: watch::Sender<Mode>,
    accepted: AtomicU64,
    open: AtomicU64,
}

// === impl Proxy ===

impl Proxy {
    /// Starts to carry connections from `port` to `target`, and to listen for orders at `control_port`; both on
    /// loopback. The tasks end with the runtime that this is called in.
    pub(crate) async fn start(port: u16, target: u16, control_port: u16) -> Result<Self> {
        let bind = |port| async move {
            TcpListener::bind(("127.0.0.1", port))
                .await
                .with_context(|| format!("the proxy cannot listen on {port}"))
        };
        let (listener, orders) = (bind(port).await?, bind(control_port).await?);
        let mode = watch::Sender::new(Mode::default());
        let shared = Arc::new(Shared {
            mode,
            accepted: AtomicU64::new(0),
            open: AtomicU64::new(0),
        });
        let proxy = Self { shared };
        tokio::spawn(control::serve(orders, proxy.clone()));
        let carrier = proxy.clone();
        tokio::spawn(async move {
            loop {
                if let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(carrier.clone().carry(client, target));
                }
            }
        });
        Ok(proxy)
    }

    /// Changes how connections are treated, open ones too.
    pub fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// How connections are treated now.
    #[must_use]
    pub fn mode(&self) -> Mode {
        *self.shared.mode.borrow()
    }

    /// How many connections were ever accepted.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.shared.open.load(Ordering::Relaxed)
    }

    async fn carry(self, client: TcpStream, target: u16) {
        self.shared.accepted.fetch_add(1, Ordering::Relaxed);
        self.shared.open.fetch_add(1, Ordering::Relaxed);
        let mut mode = self.shared.mode.subscribe();
        let pumps = async {
            let server = TcpStream::connect(("127.0.0.1", target)).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            let up = pump(client_read, server_write, self.shared.mode.subscribe());
            let down = pump(server_read, client_write, self.shared.mode.subscribe());
            tokio::try_join!(up, down)
        };
        // A connection that breaks is its two ends' concern.
        tokio::select! {
            _ = pumps => {}
            _ = mode.wait_for(|mode| *mode == Mode::Refuse) => {}
        }
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Carries one direction until its end.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    /// Chunks under way: bounds memory, and lets a slow reader be felt at the other end.
    const UNDER_WAY: usize = 256;
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let mut seen = mode.clone();
    let read = async move {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let length = from.read(&mut buffer).await?;
            let delay = match *mode.borrow() {
                Mode::Delay(delay) => delay,
                Mode::Pass | Mode::Blackhole | Mode::Refuse => Duration::ZERO,
            };
            if length == 0
                || sender
                    .send((Instant::now() + delay, buffer[..length].to_vec()))
                    .await
                    .is_err()
            {
                return io::Result::Ok(());
            }
        }
    };
    let write = async move {
        while let Some((due, bytes)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            if seen.wait_for(|mode| *mode != Mode::Blackhole).await.is_err() {
                break;
            }
            to.write_all(&bytes).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(drop)
}
