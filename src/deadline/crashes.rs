//! Failed exits: which containers of a rollout ran well once and then failed, and when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::pods::PodSeen;

/// The failed exits of a revision's containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Crashes(BTreeMap<(String, String), History>);

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
    /// Adds what the pods say now. A pod's status holds the last two runs of a container at most, so pods must be looked
    /// at whenever the target changes.
    pub fn note(&mut self, pods: &[PodSeen], since: Timestamp) {
        for pod in pods {
            for container in &pod.containers {
                let key = (pod.name.clone(), container.name.clone());
                let history = self.0.entry(key).or_default();
                history.was_ready |= container.ready;
                if history.was_ready {
                    let failed = container.exits.iter().filter(|exit| exit.failed && exit.at >= since);
                    history.failed.extend(failed.map(|exit| exit.at));
                }
            }
        }
    }

    /// When one container had failed `limit` times within `window`, if one ever had.
    #[must_use]
    pub fn limit_reached(&self, limit: u32, window: SignedDuration) -> Option<Timestamp> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).max(1);
        self.0
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
    use crate::deadline::pods::{ContainerSeen, Exit};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    fn pod(ready: bool, exits: &[(i64, bool)]) -> PodSeen {
        PodSeen {
            name: "web-a".to_owned(),
            created: None,
            ready,
            since: None,
            trouble: None,
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

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    #[test]
    fn the_third_failed_exit_is_the_deadline() {
        let mut crashes = Crashes::default();
        crashes.note(&[pod(true, &[])], at(0));
        for exit in [4, 9, 23] {
            assert_eq!(crashes.limit_reached(3, HOUR), None);
            crashes.note(&[pod(false, &[(exit, true)])], at(0));
        }
        assert_eq!(crashes.limit_reached(3, HOUR), Some(at(23)));
    }

    #[test]
    fn one_exit_seen_twice_is_one() {
        let mut crashes = Crashes::default();
        crashes.note(&[pod(true, &[])], at(0));
        for _ in 0..5 {
            crashes.note(&[pod(false, &[(4, true), (9, true)])], at(0));
        }
        assert_eq!(crashes.limit_reached(3, HOUR), None);
        assert_eq!(crashes.limit_reached(2, HOUR), Some(at(9)));
    }

    #[test]
    fn a_clean_exit_is_no_crash() {
        let mut crashes = Crashes::default();
        crashes.note(&[pod(true, &[(4, false), (9, false), (23, false)])], at(0));
        assert_eq!(crashes.limit_reached(1, HOUR), None);
    }

    #[test]
    fn what_never_was_ready_belongs_to_the_readiness_clock() {
        let mut crashes = Crashes::default();
        crashes.note(&[pod(false, &[(4, true), (9, true), (23, true)])], at(0));
        assert_eq!(crashes.limit_reached(1, HOUR), None);
        crashes.note(&[pod(true, &[])], at(0));
        crashes.note(&[pod(false, &[(43, true)])], at(0));
        assert_eq!(crashes.limit_reached(1, HOUR), Some(at(43)));
    }

    #[test]
    fn only_exits_within_the_window_count() {
        let mut crashes = Crashes::default();
        crashes.note(
            &[pod(true, &[(0, true), (3000, true), (3700, true), (6000, true)])],
            at(0),
        );
        assert_eq!(crashes.limit_reached(3, HOUR), Some(at(6000)));
        assert_eq!(crashes.limit_reached(4, HOUR), None);
    }

    #[test]
    fn exits_from_before_the_rollout_do_not_count() {
        let mut crashes = Crashes::default();
        crashes.note(&[pod(true, &[(4, true), (9, true), (23, true)])], at(10));
        assert_eq!(crashes.limit_reached(1, HOUR), Some(at(23)));
    }
}
