//! The two pumps of each connection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

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
    /// Accept connections and bytes, and carry nothing until the mode changes (a cut cable). What came meanwhile is
    /// delivered then.
    Blackhole,
    /// Accept connections and bytes, and drop them: a request never arrives, and its client gets no answer. A connection
    /// that lost bytes stays open and silent until one end closes it, also when the mode has changed.
    Lose,
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
    lost: AtomicU64,
}

// === impl Mode ===

impl Mode {
    /// As the last part of its path.
    pub(crate) fn name(self) -> String {
        match self {
            Mode::Pass => "pass".to_owned(),
            Mode::Delay(delay) => format!("delay/{}", delay.as_millis()),
            Mode::Blackhole => "blackhole".to_owned(),
            Mode::Lose => "lose".to_owned(),
            Mode::Refuse => "refuse".to_owned(),
        }
    }
}

// === impl Proxy ===

impl Proxy {
    /// Starts to carry connections that `listener` accepts to `target`, on loopback. The tasks end with the runtime that
    /// this is called in.
    pub(super) fn start(listener: TcpListener, target: u16) -> Self {
        let mode = watch::Sender::new(Mode::default());
        let shared = Arc::new(Shared {
            mode,
            accepted: AtomicU64::new(0),
            open: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let proxy = Self { shared };
        let carrier = proxy.clone();
        tokio::spawn(async move {
            loop {
                if let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(carrier.clone().carry(client, target));
                }
            }
        });
        proxy
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

    /// How many connections ever lost bytes.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
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
            let fate = Fate {
                shared: &self.shared,
                lost: AtomicBool::new(false),
            };
            let up = pump(client_read, server_write, &fate);
            let down = pump(server_read, client_write, &fate);
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

/// What the two directions of one connection share.
struct Fate<'a> {
    shared: &'a Shared,
    /// Bytes were lost, in either direction.
    lost: AtomicBool,
}

// === impl Fate ===

impl Fate<'_> {
    /// Whether bytes that are due under this mode are still carried.
    fn carries(&self, mode: Mode) -> bool {
        if mode != Mode::Lose {
            return !self.lost.load(Ordering::Relaxed);
        }
        if !self.lost.swap(true, Ordering::Relaxed) {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
        false
    }
}

/// Carries one direction until its end.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, fate: &Fate<'_>) -> io::Result<()> {
    /// Chunks under way: bounds memory, and lets a slow reader be felt at the other end.
    const UNDER_WAY: usize = 256;
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let mode = fate.shared.mode.subscribe();
    let mut seen = mode.clone();
    let read = async move {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let length = from.read(&mut buffer).await?;
            let delay = match *mode.borrow() {
                Mode::Delay(delay) => delay,
                Mode::Pass | Mode::Blackhole | Mode::Refuse | Mode::Lose => Duration::ZERO,
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
            let Ok(mode) = seen.wait_for(|mode| *mode != Mode::Blackhole).await.map(|mode| *mode) else {
                break;
            };
            if fate.carries(mode) {
                to.write_all(&bytes).await?;
            }
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy before a server that this test accepts for, and one connection through it.
    struct Path {
        proxy: Proxy,
        server: TcpListener,
        port: u16,
    }

    impl Path {
        async fn open() -> Self {
            let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let target = server.local_addr().unwrap().port();
            // Free a moment ago; the proxy binds its ports itself.
            let free = || async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                listener.local_addr().unwrap().port()
            };
            let (port, control) = (free().await, free().await);
            let proxy = crate::proxy::start(port, target, control).await.unwrap();
            Self { proxy, server, port }
        }

        async fn connect(&self) -> (TcpStream, TcpStream) {
            let client = TcpStream::connect(("127.0.0.1", self.port));
            let (client, server) = tokio::join!(client, self.server.accept());
            (client.unwrap(), server.unwrap().0)
        }
    }

    /// Sends a request while the proxy is in a mode, lets everything pass again, and says what arrives of it.
    async fn arrives_of_a_request_sent_in(mode: Mode) -> String {
        let path = Path::open().await;
        let (mut client, mut server) = path.connect().await;
        path.proxy.set(mode);
        client.write_all(b"request").await.unwrap();
        let lost = async {
            while mode == Mode::Lose && path.proxy.lost() == 0 {
                tokio::task::yield_now().await;
            }
        };
        let lost = tokio::time::timeout(Duration::from_secs(30), lost).await;
        assert!(lost.is_ok(), "nothing is lost");
        let early = tokio::time::timeout(Duration::from_millis(100), server.peek(&mut [0])).await;
        assert!(early.is_err(), "nothing arrives in this mode");
        path.proxy.set(Mode::Pass);
        let (mut later, mut other) = path.connect().await;
        later.write_all(b"x").await.unwrap();
        assert_eq!(other.read_u8().await.unwrap(), b'x', "a new connection is well");
        client.write_all(b" and more").await.unwrap();
        client.shutdown().await.unwrap();
        let mut arrived = String::new();
        server.read_to_string(&mut arrived).await.unwrap();
        // What the server would answer goes the way of the request.
        server.write_all(b"answer").await.unwrap();
        server.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.is_empty(), arrived.is_empty());
        arrived
    }

    #[tokio::test]
    async fn what_is_lost_never_arrives_and_is_never_answered() {
        assert_eq!(arrives_of_a_request_sent_in(Mode::Lose).await, "");
    }

    #[tokio::test]
    async fn what_a_blackhole_held_arrives_when_it_ends() {
        assert_eq!(arrives_of_a_request_sent_in(Mode::Blackhole).await, "request and more");
    }
}
