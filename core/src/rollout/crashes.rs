//! Failed exits: which containers of a rollout ran well once and then failed, and when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::pods::PodSeen;

/// The failed exits of a revision's containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Crashes {
    /// By pod and container.
    histories: BTreeMap<(String, String), History>,
    /// The pods that were there while no other template was live than this revision's.
    own: BTreeSet<String>,
    /// Pods of earlier revisions. While a fix replaces them they go on failing, which is not the fix's fault.
    earlier: BTreeSet<String>,
}

/// So many failed exits of a container are kept, and so many containers: more than any sensible limit counts.
const MOST_EXITS: usize = 64;
const MOST_HISTORIES: usize = 256;

/// What is known of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct History {
    /// Whether it was ever ready. One that never was belongs to the readiness clock.
    was_ready: bool,
    /// When it failed.
    failed: BTreeSet<Timestamp>,
}

// === impl Crashes ===

impl Crashes {
    /// The failures of the next revision, while there are still pods of this one.
    #[must_use]
    pub fn of_next_revision(&self) -> Self {
        Self::beside(self.own.union(&self.earlier).cloned())
    }

    /// None yet, beside pods that are of earlier revisions, or may be.
    #[must_use]
    pub fn beside(earlier: impl IntoIterator<Item = String>) -> Self {
        Self {
            earlier: earlier.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Adds what the pods say now. A pod's status holds the last two runs of a container at most, so pods must be looked
    /// at whenever the target changes. While a fix was pushed that Flagger has not taken up (not `synced`), pods may be
    /// of either.
    pub fn note(&mut self, pods: &[PodSeen], since: Timestamp, synced: bool) {
        for pod in pods.iter().filter(|pod| !self.earlier.contains(&pod.name)) {
            if synced {
                self.own.insert(pod.name.clone());
            }
            for container in &pod.containers {
                let key = (pod.name.clone(), container.name.clone());
                let history = self.histories.entry(key).or_default();
                history.was_ready |= container.ready;
                if history.was_ready {
                    let failed = container.exits.iter().filter(|exit| exit.failed && exit.at >= since);
                    history.failed.extend(failed.map(|exit| exit.at));
                }
            }
        }
        self.forget_what_is_gone(pods);
    }

    /// Pods come and go for weeks; of those that are gone only failures still count, the latest of them.
    fn forget_what_is_gone(&mut self, pods: &[PodSeen]) {
        let there: BTreeSet<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
        for names in [&mut self.own, &mut self.earlier] {
            if names.len() > MOST_HISTORIES {
                names.retain(|pod| there.contains(pod.as_str()));
            }
        }
        if self.histories.len() > MOST_HISTORIES {
            self.histories
                .retain(|(pod, _), history| there.contains(pod.as_str()) || !history.failed.is_empty());
        }
        for history in self.histories.values_mut() {
            while history.failed.len() > MOST_EXITS {
                history.failed.pop_first();
            }
        }
        while self.histories.len() > MOST_HISTORIES.max(there.len()) {
            let gone = self
                .histories
                .iter()
                .filter(|((pod, _), _)| !there.contains(pod.as_str()));
            let oldest = gone.min_by_key(|(_, history)| history.failed.last().copied());
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            self.histories.remove(&oldest);
        }
    }

    /// When one container had failed `limit` times within `window`, if one ever had.
    #[must_use]
    pub fn limit_reached(&self, limit: u32, window: SignedDuration) -> Option<Timestamp> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).max(1);
        self.histories
            .values()
            .filter_map(|history| {
                let failed: Vec<_> = history.failed.iter().copied().collect();
                let mut spans = failed
                    .windows(limit)
                    .filter_map(|exits| Some((*exits.first()?, *exits.last()?)));
                spans
                    .find(|(first, last)| last.duration_since(*first) <= window)
                    .map(|(_, last)| last)
            })
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::pods::{ContainerSeen, Exit};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    fn pod(ready: bool, exits: &[(i64, bool)]) -> PodSeen {
        PodSeen {
            name: "web-a".to_owned(),
            created: None,
            ready,
            since: None,
            failure: None,
            containers: vec![ContainerSeen {
                name: "app".to_owned(),
                ready,
                exits: exits
                    .iter()
                    .map(|(second, failed)| Exit {
                        at: at(*second),
                        failed: *failed,
                    })
                    .collect(),
            }],
        }
    }

    fn named(name: &str, ready: bool, exits: &[(i64, bool)]) -> PodSeen {
        PodSeen {
            name: name.to_owned(),
            ..pod(ready, exits)
        }
    }

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    #[test]
    fn the_third_failed_exit_is_the_deadline() {
        let mut crashes = Crashes::default();
        crashes.note(&[pod(true, &[])], at(0), true);
        for exit in [4, 9, 23] {
            assert_eq!(crashes.limit_reached(3, HOUR), None);
            crashes.note(&[pod(false, &[(exit, true)])], at(0), true);
        }
        assert_eq!(crashes.limit_reached(3, HOUR), Some(at(23)));
    }

    #[test]
    fn one_exit_seen_twice_is_one() {
        let mut crashes = Crashes::default();
        crashes.note(&[pod(true, &[])], at(0), true);
        for _ in 0..5 {
            crashes.note(&[pod(false, &[(4, true), (9, true)])], at(0), true);
        }
        assert_eq!(crashes.limit_reached(3, HOUR), None);
        assert_eq!(crashes.limit_reached(2, HOUR), Some(at(9)));
    }

    #[test]
    fn a_clean_exit_is_no_crash() {
        let mut crashes = Crashes::default();
        crashes.note(&[pod(true, &[(4, false), (9, false), (23, false)])], at(0), true);
        assert_eq!(crashes.limit_reached(1, HOUR), None);
    }

    #[test]
    fn what_never_was_ready_belongs_to_the_readiness_clock() {
        let mut crashes = Crashes::default();
        crashes.note(&[pod(false, &[(4, true), (9, true), (23, true)])], at(0), true);
        assert_eq!(crashes.limit_reached(1, HOUR), None);
        crashes.note(&[pod(true, &[])], at(0), true);
        crashes.note(&[pod(false, &[(43, true)])], at(0), true);
        assert_eq!(crashes.limit_reached(1, HOUR), Some(at(43)));
    }

    #[test]
    fn only_exits_within_the_window_count() {
        let mut crashes = Crashes::default();
        crashes.note(
            &[pod(true, &[(0, true), (3000, true), (3700, true), (6000, true)])],
            at(0),
            true,
        );
        assert_eq!(crashes.limit_reached(3, HOUR), Some(at(6000)));
        assert_eq!(crashes.limit_reached(4, HOUR), None);
    }

    #[test]
    fn exits_from_before_the_rollout_do_not_count() {
        let mut crashes = Crashes::default();
        crashes.note(&[pod(true, &[(4, true), (9, true), (23, true)])], at(10), true);
        assert_eq!(crashes.limit_reached(1, HOUR), Some(at(23)));
    }

    #[test]
    fn pods_that_a_fix_replaces_do_not_fail_the_fix() {
        let mut broken = Crashes::default();
        broken.note(&[named("web-1-a", true, &[(4, true)])], at(0), true);
        // The fix is pushed, and its pods come before Flagger has taken it up.
        broken.note(
            &[
                named("web-1-a", true, &[(4, true), (9, true)]),
                named("web-2-a", true, &[]),
            ],
            at(0),
            false,
        );
        let mut fix = broken.of_next_revision();
        fix.note(
            &[
                named("web-1-a", false, &[(9, true), (23, true)]),
                named("web-2-a", true, &[]),
            ],
            at(0),
            true,
        );
        assert_eq!(fix.limit_reached(1, HOUR), None);
        // Its own failures are its own, and the next fix does not inherit them either.
        fix.note(&[named("web-2-a", false, &[(30, true)])], at(0), true);
        assert_eq!(fix.limit_reached(1, HOUR), Some(at(30)));
        let mut next = fix.of_next_revision();
        next.note(
            &[
                named("web-1-a", true, &[(40, true)]),
                named("web-2-a", true, &[(40, true)]),
            ],
            at(0),
            true,
        );
        assert_eq!(next.limit_reached(1, HOUR), None);
    }

    #[test]
    fn what_is_gone_is_forgotten_but_for_the_latest_failures() {
        let mut crashes = Crashes::default();
        crashes.note(
            &[named("web-a", true, &[(4, true)]), named("web-b", true, &[])],
            at(0),
            true,
        );
        crashes.note(&[named("web-c", true, &[])], at(0), true);
        let known: Vec<_> = crashes.histories.keys().map(|(pod, _)| pod.as_str()).collect();
        assert_eq!(known, ["web-a", "web-b", "web-c"]);
        for second in 0..1_000 {
            let name = format!("web-{second:04}");
            crashes.note(&[named(&name, true, &[(second, true)])], at(0), true);
        }
        assert_eq!(crashes.histories.len(), MOST_HISTORIES);
        assert!(crashes.own.len() <= MOST_HISTORIES);
        assert!(
            crashes
                .histories
                .contains_key(&("web-0999".to_owned(), "app".to_owned()))
        );
        for second in 0..1_000 {
            crashes.note(&[named("web-0999", true, &[(second, true)])], at(0), true);
        }
        let most = crashes.histories.values().map(|history| history.failed.len()).max();
        assert_eq!(most, Some(MOST_EXITS));
    }
}
