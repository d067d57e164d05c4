//! What of a recording is about which Canary, and until when: what happened after that, nobody knows.
//!
//! A watch tells what changes. So as long as the file in which a Canary's objects are goes on, with whatever objects, those
//! that are not in it did not change; after its last state, nothing is known. Files that hold nothing of a Canary's say
//! nothing about it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::objects::{Change, Kind, Name, ObjectState, workload_kind};
use crate::flagger::canary::Canary;

/// How much earlier than the others the file of a kind may end without a word: Flagger's intervals are longer than
/// the moments in which several watches end, and a Deployment does not change all the time.
const EARLY: SignedDuration = SignedDuration::from_mins(1);

/// Until when one file goes, and what is in it.
#[derive(Debug)]
pub struct Span {
    end: Timestamp,
    /// By kind, namespace and name: of pods the namespace alone, and of signs of life the Canary.
    holds: BTreeSet<(Kind, String, String)>,
}

/// What of a recording is about which Canary.
#[derive(Debug, Default)]
pub struct Coverage {
    ends: BTreeMap<Name, Timestamp>,
    unjudged: BTreeSet<Name>,
    /// The kinds whose files end before those of others that are about the same Canary, and when.
    pub ended_early: BTreeSet<(Kind, Timestamp)>,
}

// === impl Span ===

impl Span {
    /// What a file holds that ends then.
    #[must_use]
    pub fn new(end: Timestamp, changes: &[Change]) -> Self {
        let holds = changes.iter().map(|change| {
            let (namespace, name) = (&change.key.namespace, &change.key.name);
            match (change.key.kind, change.state.as_deref()) {
                (Kind::Pod, _) => (Kind::Pod, namespace.clone(), String::new()),
                (Kind::Event, Some(ObjectState::Sign((namespace, name), _))) => {
                    (Kind::Event, namespace.clone(), name.clone())
                }
                (kind, _) => (kind, namespace.clone(), name.clone()),
            }
        });
        Self {
            end,
            holds: holds.collect(),
        }
    }
}

// === impl Coverage ===

impl Coverage {
    /// What files hold about Canaries.
    #[must_use]
    pub fn of<'a>(canaries: impl Iterator<Item = &'a Canary>, spans: &[Span]) -> Self {
        let mut coverage = Self::default();
        for canary in canaries {
            coverage.cover(canary, spans);
        }
        coverage
    }

    fn cover(&mut self, canary: &Canary, spans: &[Span]) {
        let (namespace, name) = (canary.namespace(), canary.name());
        let end_of = |kind: Kind, name: &str| {
            let key = (kind, namespace.to_owned(), name.to_owned());
            let holding = spans.iter().filter(|span| span.holds.contains(&key));
            holding.map(|span| span.end).max()
        };
        let workload = workload_kind(canary);
        let target = workload.and_then(|kind| end_of(kind, &canary.spec.target.name));
        let primary = workload.and_then(|kind| end_of(kind, &canary.primary_name()));
        let kinds = [
            (Some(Kind::Canary), end_of(Kind::Canary, name)),
            (workload, target.max(primary)),
            (Some(Kind::Pod), end_of(Kind::Pod, "")),
            (Some(Kind::Event), end_of(Kind::Event, name)),
        ];
        let Some(end) = kinds.iter().filter_map(|(_, end)| *end).max() else {
            return;
        };
        let known = (namespace.to_owned(), name.to_owned());
        if workload.is_some() && target.is_none() {
            self.unjudged.insert(known.clone());
        }
        self.ends.insert(known, end);
        for (kind, ended) in kinds {
            if let (Some(kind), Some(ended)) = (kind, ended)
                && ended > Timestamp::MIN
                && end.duration_since(ended) > EARLY
            {
                self.ended_early.insert((kind, ended));
            }
        }
    }

    /// Until when something is known of a Canary.
    #[must_use]
    pub fn end(&self, canary: &Name) -> Option<Timestamp> {
        self.ends.get(canary).copied()
    }

    /// The last moment of all.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.ends.values().copied().max()
    }

    /// Whether there is what a Canary is judged by: its target, where that is of a kind that can be looked at.
    #[must_use]
    pub fn is_judged(&self, canary: &Name) -> bool {
        !self.unjudged.contains(canary)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::{super::objects::Key, *};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    fn span(end: i64, holds: &[(Kind, &str, &str)]) -> Span {
        let changes: Vec<_> = holds
            .iter()
            .map(|(kind, namespace, name)| Change {
                at: at(0),
                before: false,
                key: Key {
                    kind: *kind,
                    namespace: (*namespace).to_owned(),
                    name: (*name).to_owned(),
                },
                state: Some(Arc::new(ObjectState::Namespace(BTreeMap::new()))),
            })
            .collect();
        Span::new(at(end), &changes)
    }

    #[test]
    fn a_canary_is_known_of_until_the_last_file_with_something_of_its_own_ends() {
        let canary = Canary::from_json(json!({
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"targetRef": {"kind": "Deployment", "name": "web"}},
        }));
        let name = ("shop".to_owned(), "web".to_owned());
        let canaries = (Kind::Canary, "shop", "web");
        let (target, primary) = (
            (Kind::Deployment, "shop", "web"),
            (Kind::Deployment, "shop", "web-primary"),
        );
        let (pods, elsewhere) = ((Kind::Pod, "shop", "web-a"), (Kind::Pod, "bank", "web-a"));
        for (spans, end, judged, early) in [
            (vec![span(60, &[canaries, target, pods])], 60, true, vec![]),
            // Nothing of its own is in the second one.
            (
                vec![span(60, &[canaries, target]), span(900, &[elsewhere])],
                60,
                true,
                vec![],
            ),
            (
                vec![span(60, &[canaries]), span(70, &[target]), span(120, &[pods])],
                120,
                true,
                vec![],
            ),
            (
                vec![span(500, &[canaries]), span(70, &[primary, target]), span(450, &[pods])],
                500,
                true,
                vec![(Kind::Deployment, at(70))],
            ),
            (vec![span(60, &[canaries, primary, pods])], 60, false, vec![]),
        ] {
            let coverage = Coverage::of(std::iter::once(&canary), &spans);
            assert_eq!(coverage.end(&name), Some(at(end)), "{spans:?}");
            assert_eq!(coverage.is_judged(&name), judged, "{spans:?}");
            assert_eq!(coverage.ended_early.into_iter().collect::<Vec<_>>(), early, "{spans:?}");
        }
    }
}
