//! Everything that a watch shows of a Canary, in its order.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{WatchStreamExt as _, utils::Backoff, watcher},
};
use serde_json::Value;
use tokio::sync::watch;

use crate::{app::APP, planes::POLL};

/// Everything that was seen, which grows while the story goes on.
#[derive(Default)]
pub struct History {
    seen: Mutex<Vec<Seen>>,
    length: watch::Sender<usize>,
}

/// The Canary as it was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When.
    pub at: Instant,
    /// The object.
    pub canary: Value,
}

/// The Canaries of a namespace.
pub fn canaries(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("flagger.app", "v1beta1", "Canary");
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&kind))
}

/// A look-out that was cut off looks again at once, and not after half a minute.
pub struct Steadily;

impl Iterator for Steadily {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(POLL)
    }
}

impl Backoff for Steadily {
    fn reset(&mut self) {}
}

/// Keeps everything that a watch shows of the Canary.
pub async fn look_on(api: Api<DynamicObject>, history: Arc<History>) {
    let only = watcher::Config::default().fields(&format!("metadata.name={APP}"));
    let events = watcher(api, only).backoff(Steadily);
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        if let Ok(watcher::Event::Apply(canary) | watcher::Event::InitApply(canary)) = event {
            history.add(Seen {
                at: Instant::now(),
                canary: serde_json::to_value(canary).unwrap(),
            });
        }
    }
}

// === impl History ===

impl History {
    fn add(&self, seen: Seen) {
        let mut all = self.seen.lock().unwrap();
        all.push(seen);
        self.length.send_replace(all.len());
    }

    /// What was seen at this place, if it was by now.
    pub fn get(&self, place: usize) -> Option<Seen> {
        self.seen.lock().unwrap().get(place).cloned()
    }

    /// Changes with everything that is seen.
    pub fn grows(&self) -> watch::Receiver<usize> {
        self.length.subscribe()
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How much was seen.
    pub fn len(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

// === impl Seen ===

impl Seen {
    /// `status.phase`
    pub fn phase(&self) -> &str {
        self.canary["status"]["phase"].as_str().unwrap_or_default()
    }

    /// `status.canaryWeight`
    pub fn weight(&self) -> i64 {
        self.canary["status"]["canaryWeight"].as_i64().unwrap_or_default()
    }

    /// `status.iterations`
    pub fn iterations(&self) -> i64 {
        self.canary["status"]["iterations"].as_i64().unwrap_or_default()
    }

    /// `status.failedChecks`
    pub fn failed_checks(&self) -> i64 {
        self.canary["status"]["failedChecks"].as_i64().unwrap_or_default()
    }

    /// One of Curfew's annotations, by what follows `curfew.dev/`.
    pub fn stamp(&self, name: &str) -> Option<&str> {
        self.canary["metadata"]["annotations"][format!("curfew.dev/{name}")].as_str()
    }

    /// The last verdict.
    pub fn verdict(&self) -> Option<Value> {
        Some(serde_json::from_str(self.stamp("verdict")?).expect("a verdict is JSON"))
    }

    /// The last verdict, if this is what came of it.
    pub fn verdict_with(&self, result: &str) -> Option<Value> {
        self.verdict().filter(|verdict| verdict["result"] == result)
    }

    /// In one line.
    pub fn describe(&self) -> String {
        let status = &self.canary["status"];
        let mut text = format!(
            "{} weight={} iterations={} failedChecks={}",
            status["phase"].as_str().unwrap_or("no phase"),
            status["canaryWeight"],
            status["iterations"],
            status["failedChecks"],
        );
        for name in ["deadline", "progressed-at", "unready", "verdict"] {
            if let Some(stamp) = self.stamp(name) {
                let _ = write!(text, " {name}={stamp}");
            }
        }
        text
    }
}
