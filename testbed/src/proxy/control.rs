//! Orders to the proxy over HTTP, so that a command run beside the plane (curl included) can give them.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::relay::{Mode, Proxy};

pub(super) async fn serve(listener: TcpListener, proxy: Proxy) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let proxy = proxy.clone();
            // A client that goes away before its answer has lost nothing.
            tokio::spawn(async move { answer(stream, &proxy).await.ok() });
        }
    }
}

async fn answer(mut stream: TcpStream, proxy: &Proxy) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut stream).lines();
    let request = lines.next_line().await?.unwrap_or_default();
    while lines.next_line().await?.is_some_and(|line| !line.is_empty()) {}
    let status = match order(&request) {
        Some(Order::Look) => "200 OK",
        Some(Order::Set(mode)) => {
            proxy.set(mode);
            "200 OK"
        }
        None => "404 Not Found",
    };
    let body = json!({
        "mode": proxy.mode().name(), "accepted": proxy.accepted(), "open": proxy.open(), "lost": proxy.lost(),
    })
    .to_string()
        + "\n";
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n");
    stream
        .write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes())
        .await?;
    stream.shutdown().await
}

#[derive(Debug, Eq, PartialEq)]
enum Order {
    Look,
    Set(Mode),
}

/// Reads the first line of a request.
fn order(line: &str) -> Option<Order> {
    let mut words = line.split(' ');
    let (verb, path) = (words.next()?, words.next()?);
    match (verb, path) {
        ("GET", "/") => Some(Order::Look),
        ("POST", "/pass") => Some(Order::Set(Mode::Pass)),
        ("POST", "/blackhole") => Some(Order::Set(Mode::Blackhole)),
        ("POST", "/lose") => Some(Order::Set(Mode::Lose)),
        ("POST", "/refuse") => Some(Order::Set(Mode::Refuse)),
        ("POST", path) => {
            let millis = path.strip_prefix("/delay/")?.parse().ok()?;
            Some(Order::Set(Mode::Delay(Duration::from_millis(millis))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_named_alike() {
        for mode in [
            Mode::Pass,
            Mode::Delay(Duration::from_millis(250)),
            Mode::Blackhole,
            Mode::Lose,
            Mode::Refuse,
        ] {
            let line = format!("POST /{} HTTP/1.1", mode.name());
            assert_eq!(order(&line), Some(Order::Set(mode)));
        }
        assert_eq!(order("GET / HTTP/1.1"), Some(Order::Look));
        for line in ["", "GET /delay/5 HTTP/1.1", "POST /delay/x HTTP/1.1", "PUT / HTTP/1.1"] {
            assert_eq!(order(line), None, "{line}");
        }
    }
}
