//! The watches of the scripted API server.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::Response,
};
use futures::{FutureExt as _, Stream, stream};
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use super::{
    request::Request,
    server::{Cut, Inner, status},
};

/// A watch: what happened since the version that it asks for, a bookmark, and what happens.
pub fn watch(inner: &Arc<Inner>, request: &Request, at_once: bool) -> Response<Body> {
    if at_once {
        return Response::new(Body::empty());
    }
    let since = request
        .parameter("resourceVersion")
        .and_then(|version| version.parse().ok());
    let cut = inner.state.lock().cut.len();
    let told = Told {
        inner: Arc::clone(inner),
        pulse: inner.pulse.subscribe(),
        resource: request.resource.clone(),
        since: since.unwrap_or_default(),
        cut,
        bookmarked: false,
        ended: false,
        mute: false,
    };
    Response::new(Body::from_stream(told.lines()))
}

/// What a watch has told already.
struct Told {
    inner: Arc<Inner>,
    pulse: watch::Receiver<u64>,
    resource: String,
    since: u64,
    cut: usize,
    bookmarked: bool,
    ended: bool,
    mute: bool,
}

// === impl Told ===

impl Told {
    fn lines(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut told| async move {
            loop {
                if told.ended {
                    return None;
                }
                told.pulse.borrow_and_update();
                if let Some(lines) = told.next() {
                    return Some((Ok(Bytes::from(lines)), told));
                }
                if told.ended {
                    return None;
                }
                if told.mute {
                    futures::future::pending::<()>().await;
                }
                let every = told.inner.state.lock().bookmarks;
                let silence = every.map_or_else(|| futures::future::pending().boxed(), |every| sleep(every).boxed());
                tokio::select! {
                    changed = told.pulse.changed() => changed.ok()?,
                    () = silence => told.bookmarked = false,
                }
            }
        })
    }

    fn next(&mut self) -> Option<String> {
        let state = self.inner.state.lock();
        let mut lines = String::new();
        for change in state.world.since(self.since) {
            if change.resource == self.resource {
                lines += &line(change.kind, &change.object);
            }
        }
        let version = state.world.version();
        if !self.bookmarked {
            self.bookmarked = true;
            let bookmark = json!({"kind": "Bookmark", "apiVersion": "v1",
                "metadata": {"resourceVersion": version.to_string()}});
            lines += &line("BOOKMARK", &bookmark);
        }
        self.since = version;
        let cut = state.cut[self.cut..].iter().find(|(of, _)| *of == self.resource);
        if let Some((_, how)) = cut {
            match how {
                Cut::Ends => self.ended = true,
                Cut::Expired => {
                    self.ended = true;
                    lines += &line("ERROR", &status(410, "Expired", "too old resource version"));
                }
                Cut::Silent => {
                    self.mute = true;
                    return None;
                }
            }
        }
        (!lines.is_empty()).then_some(lines)
    }
}

fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}
