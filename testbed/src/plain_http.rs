//! The least of HTTP: one request to a loopback address, one answer.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A peer on loopback that has not answered by then is stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// Status and body of the answer to `GET http://127.0.0.1:PORT/…`, such as one of Curfew's plain pages.
///
/// # Errors
/// When it is no such address, or nobody answers there in time.
pub async fn get(url: &str) -> Result<(u16, String)> {
    let address = url.strip_prefix("http://127.0.0.1:").unwrap_or_default();
    let (port, path) = address.split_at(address.find('/').unwrap_or(address.len()));
    let port = port
        .parse()
        .with_context(|| format!("not a plain loopback address: {url}"))?;
    request("GET", port, if path.is_empty() { "/" } else { path }).await
}

/// Status and body of the answer to a request without a body.
pub(crate) async fn request(method: &str, port: u16, path: &str) -> Result<(u16, String)> {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        anyhow::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let answer = tokio::time::timeout(PATIENCE, exchange)
        .await
        .context("no answer in time")??;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .unwrap_or_default();
    Ok((status.with_context(|| format!("not an HTTP answer: {answer:?}"))?, body))
}
