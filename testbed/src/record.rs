//! A recording of a plane: what the API server said of Canaries and what belongs to them, and when it was heard.
//!
//! One line of JSON for each state of an object, in the order in which they were heard, so that a recording can be
//! cut with `grep` and read by `curfew replay`:
//!
//! ```json
//! {"at":"2026-11-23T14:00:05.123456Z","type":"MODIFIED","object":{"apiVersion":"apps/v1","kind":"Deployment",…}}
//! ```
//!
//! `type` is as a watch of the API server names it. Objects are whole but for `metadata.managedFields`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::handle::Handle;

/// What is recorded, in which API group and version, and which of it.
const KINDS: [(&str, &str, &str, &str); 6] = [
    ("", "v1", "Namespace", ""),
    ("flagger.app", "v1beta1", "Canary", ""),
    ("apps", "v1", "Deployment", ""),
    ("apps", "v1", "DaemonSet", ""),
    ("", "v1", "Pod", ""),
    ("", "v1", "Event", "involvedObject.kind=Canary"),
];

/// A recording in progress. It ends when it is dropped, and is whole after [`Recording::finish`].
pub struct Recording {
    tape: Arc<Tape>,
    watches: JoinSet<()>,
}

struct Tape {
    file: Mutex<Result<BufWriter<File>>>,
    /// How many watches have said everything that there is.
    listed: watch::Sender<usize>,
}

/// One watch: what it has shown so far, so that only what is new is written.
struct Ear {
    types: Value,
    /// The resource version of each object, by its uid, and the object itself.
    known: HashMap<String, (String, Value)>,
    /// What a list that is being read has shown.
    listing: HashMap<String, (String, Value)>,
}

// === impl Recording ===

impl Recording {
    /// Starts to record into a new file, and waits until all that there is was written down.
    ///
    /// # Errors
    /// When the file cannot be made, or something cannot be watched.
    pub async fn start(plane: &Handle, path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let client = plane.client("admin").await?;
        let tape = Arc::new(Tape {
            file: Mutex::new(Ok(BufWriter::new(file))),
            listed: watch::Sender::new(0),
        });
        let mut watches = JoinSet::new();
        for (group, version, kind, fields) in KINDS {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            let ear = Ear {
                types: json!({"apiVersion": resource.api_version, "kind": resource.kind}),
                known: HashMap::new(),
                listing: HashMap::new(),
            };
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            let config = if fields.is_empty() {
                watcher::Config::default()
            } else {
                watcher::Config::default().fields(fields)
            };
            watches.spawn(listen(api, config, ear, Arc::clone(&tape)));
        }
        let mut listed = tape.listed.subscribe();
        tokio::select! {
            all = listed.wait_for(|listed| *listed == KINDS.len()) => drop(all?),
            _ = watches.join_next() => bail!("a watch ended"),
        }
        Ok(Self { tape, watches })
    }

    /// Ends the recording.
    ///
    /// # Errors
    /// When anything could not be written.
    pub async fn finish(mut self) -> Result<()> {
        self.watches.shutdown().await;
        let mut file = self.tape.file.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = file
            .as_mut()
            .map(|file| file.flush().context("cannot write the recording"));
        match whole {
            Ok(flushed) => flushed,
            Err(error) => bail!("{error:#}"),
        }
    }
}

async fn listen(api: Api<DynamicObject>, config: watcher::Config, mut ear: Ear, tape: Arc<Tape>) {
    // A watch that fails begins again by itself, with a list.
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut first = true;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let listed = matches!(event, watcher::Event::InitDone);
                ear.hear(event, &tape);
                if listed && first {
                    first = false;
                    tape.listed.send_modify(|listed| *listed += 1);
                }
            }
            Err(error) => eprintln!("plane: recording {}: {error}; trying again", ear.types["kind"]),
        }
    }
}

// === impl Ear ===

impl Ear {
    fn hear(&mut self, event: watcher::Event<DynamicObject>, tape: &Tape) {
        match event {
            watcher::Event::Init => self.listing.clear(),
            watcher::Event::InitApply(object) => {
                let (uid, state) = self.plain(&object);
                self.listing.insert(uid.clone(), state.clone());
                self.apply(uid, state, tape);
            }
            watcher::Event::InitDone => {
                let listing = std::mem::take(&mut self.listing);
                self.known.retain(|uid, (_, object)| {
                    let is_there = listing.contains_key(uid);
                    if !is_there {
                        tape.write("DELETED", object);
                    }
                    is_there
                });
            }
            watcher::Event::Apply(object) => {
                let (uid, state) = self.plain(&object);
                self.apply(uid, state, tape);
            }
            watcher::Event::Delete(object) => {
                let (uid, (_, object)) = self.plain(&object);
                self.known.remove(&uid);
                tape.write("DELETED", &object);
            }
        }
    }

    fn apply(&mut self, uid: String, (version, object): (String, Value), tape: &Tape) {
        match self.known.get(&uid) {
            Some((known, _)) if *known == version => return,
            Some(_) => tape.write("MODIFIED", &object),
            None => tape.write("ADDED", &object),
        }
        self.known.insert(uid, (version, object));
    }

    /// An object's uid and version, and the object with its kind, which a list leaves out, and without its managed fields.
    fn plain(&self, object: &DynamicObject) -> (String, (String, Value)) {
        let mut plain = serde_json::to_value(object).unwrap_or_default();
        if let Some(metadata) = plain["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        for (key, value) in self.types.as_object().into_iter().flatten() {
            plain[key] = value.clone();
        }
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let metadata = &object.metadata;
        (text(&metadata.uid), (text(&metadata.resource_version), plain))
    }
}

// === impl Tape ===

impl Tape {
    fn write(&self, kind: &str, object: &Value) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(writer) = &mut *file else { return };
        // The time is taken under the lock, so that lines are in the order of their times.
        let at = Timestamp::now();
        let line = json!({"at": at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(), "type": kind, "object": object});
        if let Err(error) = writeln!(writer, "{line}") {
            *file = Err(error).context("cannot write the recording");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(uid: &str, version: u32) -> DynamicObject {
        let object = json!({"metadata": {"name": uid, "uid": uid, "resourceVersion": version.to_string(),
            "managedFields": [{"manager": "x"}]}});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_watch_that_begins_again_records_only_what_is_new() {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tape");
        let tape = Tape {
            file: Mutex::new(Ok(BufWriter::new(File::create(&path).unwrap()))),
            listed: watch::Sender::new(0),
        };
        let mut ear = Ear {
            types: json!({"apiVersion": "v1", "kind": "Pod"}),
            known: HashMap::new(),
            listing: HashMap::new(),
        };
        let first = [Init, InitApply(object("a", 1)), InitApply(object("b", 2)), InitDone];
        let then = [Apply(object("a", 3)), Apply(object("c", 4)), Delete(object("c", 5))];
        // "b" went away and "d" came while nobody watched.
        let again = [Init, InitApply(object("a", 3)), InitApply(object("d", 6)), InitDone];
        for event in first.into_iter().chain(then).chain(again) {
            ear.hear(event, &tape);
        }
        drop(tape);
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let heard: Vec<_> = lines
            .map(|line| {
                assert_eq!(
                    (&line["object"]["kind"], &line["object"]["apiVersion"]),
                    (&json!("Pod"), &json!("v1"))
                );
                assert!(line["object"]["metadata"]["managedFields"].is_null(), "{line}");
                assert!(line["at"].as_str().unwrap().parse::<Timestamp>().is_ok(), "{line}");
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                format!("{} {}", text(&line["type"]), text(&line["object"]["metadata"]["uid"]))
            })
            .collect();
        let expected = [
            "ADDED a",
            "ADDED b",
            "MODIFIED a",
            "ADDED c",
            "DELETED c",
            "ADDED d",
            "DELETED b",
        ];
        assert_eq!(heard, expected);
    }
}
