//! A TCP proxy before the API server, which can make the network bad.
//!
//! Bytes are carried by two pumps for each connection. A pump reads a chunk, notes when it is due, and writes it then,
//! in order. The mode can change at any moment and applies to open connections too. Only [`Mode::Lose`] drops bytes, and
//! a connection that lost some carries nothing any more, since its two ends no longer agree on what was sent.
//! Curfew's kubeconfig names the proxy; everything else reaches the API server directly.

mod control;
mod relay;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;

pub use relay::{Mode, Proxy};

/// Starts to carry connections from `port` to `target`, and to listen for orders at `control_port`; both on loopback. The
/// tasks end with the runtime that this is called in.
pub(crate) async fn start(port: u16, target: u16, control_port: u16) -> Result<Proxy> {
    let bind = |port| async move {
        TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| format!("the proxy cannot listen on {port}"))
    };
    let (listener, orders) = (bind(port).await?, bind(control_port).await?);
    let proxy = Proxy::start(listener, target);
    tokio::spawn(control::serve(orders, proxy.clone()));
    Ok(proxy)
}
