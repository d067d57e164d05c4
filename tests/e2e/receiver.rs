//! A team's own service: what Flagger's hooks and alerts call. It answers as it is told to and keeps every call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::stage::Stage;

/// A gate that is open, and any other hook that is satisfied.
pub const PASS: Answer = Answer {
    status: StatusCode::OK,
    after: Duration::ZERO,
};
/// A gate that is closed. Flagger would ask again at once after a 5xx.
pub const REFUSE: Answer = Answer {
    status: StatusCode::FORBIDDEN,
    after: Duration::ZERO,
};

/// What a hook gets for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The status; Flagger takes everything above 202 for a refusal.
    pub status: StatusCode,
    /// How long the answer takes.
    pub after: Duration,
}

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it said.
    pub body: Value,
}

/// A service on loopback. It ends with the story.
pub struct Receiver {
    address: String,
    desk: Arc<Desk>,
}

#[derive(Default)]
struct Desk {
    answers: Mutex<HashMap<String, Answer>>,
    calls: Mutex<Vec<(String, Call)>>,
}

// === impl Receiver ===

impl Receiver {
    /// A service that passes everything until it is told otherwise.
    pub async fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let desk = Arc::<Desk>::default();
        let router = Router::new()
            .route("/{path}", post(receive))
            .with_state(Arc::clone(&desk));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, desk }
    }

    /// The address of one of its paths.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }

    /// Sets the answer on a path, from the next call on.
    pub fn answer(&self, path: &str, answer: Answer) {
        self.desk.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// The calls on a path so far, the first one first.
    pub fn calls(&self, path: &str) -> Vec<Call> {
        let calls = self.desk.calls.lock().unwrap();
        let on_path = calls.iter().filter(|(called, _)| called == path);
        on_path.map(|(_, call)| call.clone()).collect()
    }

    /// Waits for a call on a path.
    pub async fn called(&self, stage: &Stage, path: &str, patience: u64) -> Call {
        stage
            .eventually(&format!("{path} is called"), patience, async || {
                self.calls(path).into_iter().next()
            })
            .await
    }
}

async fn receive(State(desk): State<Arc<Desk>>, Path(path): Path<String>, body: Bytes) -> StatusCode {
    let answer = desk.answers.lock().unwrap().get(&path).copied().unwrap_or(PASS);
    let call = Call {
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    desk.calls.lock().unwrap().push((path, call));
    tokio::time::sleep(answer.after).await;
    answer.status
}
