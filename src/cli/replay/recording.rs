//! A recording: of every object what the clocks need, in the order of time.
//!
//! Objects are distilled as they are read, and a state that changes nothing that matters is dropped, so that a recording
//! may be much larger than the memory. What Curfew itself once wrote on a Canary is left out: a replay tells what the
//! policy at hand would have done.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{BufReader, Read},
    iter::Peekable,
    sync::Arc,
    vec::IntoIter,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    coverage::{Coverage, Span},
    objects::{Change, Key, Kind, ObjectState, distilled, is_curfews, workload_kind},
    report::written,
    stream::{self, Entry, Stream, Unreadable},
    times,
};

/// Creation times are whole seconds: what was created within the second in which a recording began may be new.
const SAME_SECOND: SignedDuration = SignedDuration::from_secs(1);

/// Everything that was recorded.
#[derive(Debug, Default)]
pub struct Recording {
    /// In the order of time.
    pub changes: Vec<Change>,
    /// The namespaces of which pods were recorded.
    pub pods_in: BTreeSet<String>,
    /// What of it is about which Canary.
    pub coverage: Coverage,
    /// Whether anything that Flagger says was recorded.
    pub has_signs: bool,
    /// How many states of objects there were.
    pub objects: u64,
    /// How many of them were of no kind that matters.
    pub ignored: u64,
    /// How many Canaries there were.
    pub canaries: usize,
    /// What whoever reads the report should know about the recording.
    pub notes: Vec<String>,
}

/// Reads recordings.
#[derive(Debug, Default)]
pub struct Recorder {
    streams: Vec<(Timestamp, Vec<Change>)>,
    empty: Vec<String>,
    last: HashMap<Key, Last>,
    recording: Recording,
    canaries: BTreeMap<(String, String), Arc<ObjectState>>,
    ignored_kinds: BTreeMap<String, u64>,
    with_curfew: bool,
    unheard: bool,
    untimed: BTreeMap<Kind, u64>,
    has_namespaces: bool,
}

/// What was last read of an object.
#[derive(Debug)]
struct Last {
    state: Arc<ObjectState>,
    /// The newest time that it carried.
    own_time: Option<Timestamp>,
}

// === impl Recorder ===

impl Recorder {
    /// Reads a file of this name. What came before an error was read.
    ///
    /// # Errors
    /// Why the rest cannot be read.
    pub fn read(&mut self, name: &str, reader: impl Read, now: Timestamp) -> Result<(), Unreadable> {
        let objects = self.recording.objects;
        let mut changes = Vec::new();
        let mut began = None;
        let mut last = Timestamp::MIN;
        let mut outcome = Ok(());
        // Within this stream alone: another file may hold the same objects.
        self.last.clear();
        for entry in Stream::new(BufReader::new(reader)) {
            match entry {
                Ok(entry) => {
                    began = began.or(entry.heard_at);
                    // One that tells nothing new tells all the same that the recording goes on.
                    let own_time = times::state_time(&entry.object, now);
                    last = last.max(entry.heard_at.or(own_time).unwrap_or(last));
                    if let Some(mut change) = self.change(&entry, began, own_time) {
                        // States are in the order in which they were; one without a time came when the one before did.
                        if !change.before {
                            change.at = last;
                        }
                        changes.push(change);
                    }
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        // What was there before the recording began was listed a moment after that.
        changes.sort_by_key(|change| change.at);
        self.streams.push((last, changes));
        if outcome.is_ok() && self.recording.objects == objects {
            self.empty.push(name.to_owned());
        }
        outcome
    }

    /// The files in which there was nothing.
    #[must_use]
    pub fn empty(&self) -> &[String] {
        &self.empty
    }

    /// Everything that was read, in the order of time.
    #[must_use]
    pub fn finish(mut self, other_policy: bool) -> Recording {
        let spans: Vec<_> = (self.streams.iter())
            .map(|(end, changes)| Span::new(*end, changes))
            .collect();
        let canaries = self.canaries.values().filter_map(|state| state.canary());
        self.recording.coverage = Coverage::of(canaries, &spans);
        self.recording.canaries = self.canaries.len();
        self.recording.notes = self.notes(other_policy);
        let streams = self.streams.into_iter().map(|(_, changes)| changes).collect();
        Recording {
            changes: merged(streams),
            ..self.recording
        }
    }

    fn change(&mut self, entry: &Entry, began: Option<Timestamp>, own_time: Option<Timestamp>) -> Option<Change> {
        self.recording.objects += 1;
        let object = &entry.object;
        let Some((key, state)) = distilled(object) else {
            self.recording.ignored += 1;
            let kind = object["kind"].as_str().unwrap_or("without a kind").to_owned();
            *self.ignored_kinds.entry(kind).or_default() += 1;
            return None;
        };
        // A state without any time takes that of the one before it.
        let at = entry.heard_at.or(own_time).unwrap_or(Timestamp::MIN);
        let before = entry.change == stream::Change::Added
            && entry.heard_at.is_some()
            && times::created(object)
                .zip(began)
                .is_some_and(|(created, began)| began.duration_since(created) > SAME_SECOND);
        let at = began.filter(|_| before).unwrap_or(at);
        self.note(&key, &state, object);
        let state = (entry.change != stream::Change::Gone).then(|| Arc::new(state));
        let known = self.last.get(&key);
        match (&state, known) {
            (Some(state), Some(known)) if *known.state == **state => return None,
            (Some(_), Some(known))
                if entry.heard_at.is_none()
                    && known.own_time == own_time
                    && !object["metadata"]["managedFields"].is_array() =>
            {
                *self.untimed.entry(key.kind).or_default() += 1;
            }
            _ => {}
        }
        self.unheard |= entry.heard_at.is_none();
        match &state {
            Some(state) => {
                let state = Arc::clone(state);
                self.last.insert(key.clone(), Last { state, own_time });
            }
            None => drop(self.last.remove(&key)),
        }
        if let (Kind::Canary, Some(state)) = (key.kind, &state) {
            let name = (key.namespace.clone(), key.name.clone());
            self.canaries.insert(name, Arc::clone(state));
        }
        Some(Change { at, before, key, state })
    }

    fn note(&mut self, key: &Key, state: &ObjectState, object: &Value) {
        match state {
            ObjectState::Pod(..) => drop(self.recording.pods_in.insert(key.namespace.clone())),
            ObjectState::Sign(..) => self.recording.has_signs = true,
            ObjectState::Namespace(_) => self.has_namespaces = true,
            ObjectState::Workload(..) => {}
            ObjectState::Canary(_) => {
                let annotations = object["metadata"]["annotations"].as_object();
                self.with_curfew |=
                    annotations.is_some_and(|annotations| annotations.keys().any(|key| is_curfews(key)));
            }
        }
    }

    fn notes(&self, other_policy: bool) -> Vec<String> {
        let mut notes = Vec::new();
        let mut note = |applies: bool, text: String| {
            if applies {
                notes.push(text);
            }
        };
        let ignored: Vec<_> = self
            .ignored_kinds
            .iter()
            .map(|(kind, count)| format!("{kind} ({count})"))
            .collect();
        for name in &self.empty {
            note(true, format!("{name}: there is no object in it"));
        }
        note(
            !ignored.is_empty(),
            format!("objects that do not matter here were left out: {}", ignored.join(", ")),
        );
        note(
            self.unheard,
            "the recording does not say when each state was heard of: times are those that the objects carry, to the second"
                .to_owned(),
        );
        for (kind, count) in &self.untimed {
            let (changes, were) = if *count == 1 {
                ("change", "was")
            } else {
                ("changes", "were")
            };
            let (carry, kinds) = if *count == 1 {
                ("carries", format!("a {kind:?}"))
            } else {
                ("carry", format!("{kind:?}s"))
            };
            let text = format!(
                "{count} {changes} of {kinds} {carry} no time and {were} given that of the state before, which may be too \
                 early; record with --show-managed-fields"
            );
            note(true, text);
        }
        note(
            self.with_curfew,
            "Curfew ran while this was recorded: its annotations are left out, and what it did is part of what is replayed"
                .to_owned(),
        );
        note(
            !self.recording.has_signs && !self.canaries.is_empty(),
            "there are no Events of Flagger's in the recording: the silence clock is not read".to_owned(),
        );
        note(
            other_policy && !self.has_namespaces,
            "there are no Namespaces in the recording: a policy that selects by their labels finds only their names"
                .to_owned(),
        );
        for (kind, end) in &self.recording.coverage.ended_early {
            let end = written(*end);
            note(
                true,
                format!(
                    "the recording of {kind:?}s ends at {end}; what follows is judged as if none of them had changed"
                ),
            );
        }
        for ((namespace, name), state) in &self.canaries {
            let Some(canary) = state.canary() else { continue };
            let target = &canary.spec.target;
            if !self.recording.coverage.is_judged(&(namespace.clone(), name.clone())) {
                note(
                    true,
                    format!(
                        "{namespace}/{name}: its target, the {} {}, is not in the recording, and without it little can be judged",
                        target.kind, target.name
                    ),
                );
            } else if workload_kind(canary).is_some() && !self.recording.pods_in.contains(namespace) {
                note(
                    true,
                    format!(
                        "{namespace}/{name}: there are no Pods of its namespace in the recording: no failed exits are \
                         counted, and reasons name no pod"
                    ),
                );
            }
        }
        notes
    }
}

/// Puts streams, each in the order of time, together in the order of time.
fn merged(streams: Vec<Vec<Change>>) -> Vec<Change> {
    let mut streams: Vec<Peekable<IntoIter<Change>>> = streams
        .into_iter()
        .map(|stream| stream.into_iter().peekable())
        .collect();
    let mut all = Vec::new();
    loop {
        let next = streams
            .iter_mut()
            .filter_map(|stream| {
                let order = stream.peek().map(|change| (change.at, change.key.kind))?;
                Some((order, stream))
            })
            .min_by_key(|(order, _)| *order);
        match next.and_then(|(_, stream)| stream.next()) {
            Some(change) => all.push(change),
            None => return all,
        }
    }
}
