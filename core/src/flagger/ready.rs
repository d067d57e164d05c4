//! Whether a workload is as ready as Flagger needs it to be before it goes on.
//!
//! Mirrors `isDeploymentReady` and `isDaemonSetReady` (Flagger's `pkg/canary/*_ready.go`) without their own
//! clocks, which are what Curfew makes up for.

use super::workload::Workload;
use crate::rollout::workload_kind::WorkloadKind;

/// How a workload stands against Flagger's readiness test.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// Flagger would go on.
    Ready,
    /// The controller has not yet looked at the current spec, so nobody can tell.
    Unobserved,
    /// Flagger waits for this.
    NotReady(Shortfall),
}

/// What is missing to readiness.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Shortfall {
    /// Fewer pods of the new version exist than are wanted.
    Updating {
        /// Pods of the new version.
        updated: i64,
        /// Pods wanted.
        wanted: i64,
    },
    /// Pods of an old version are still there.
    Outdated {
        /// How many.
        old: i64,
    },
    /// Too few pods are available.
    Unavailable {
        /// Pods available.
        available: i64,
        /// Pods needed by the ready threshold.
        needed: i64,
    },
}

/// Holds a workload against a ready threshold in per cent.
#[must_use]
pub fn readiness(workload: &Workload, threshold: i64) -> Readiness {
    if workload.unobserved() {
        return Readiness::Unobserved;
    }
    let shortfall = if workload.updated < workload.wanted {
        Shortfall::Updating {
            updated: workload.updated,
            wanted: workload.wanted,
        }
    } else if workload.kind == WorkloadKind::Deployment && workload.total > workload.updated {
        Shortfall::Outdated {
            old: workload.total - workload.updated,
        }
    } else {
        let needed = needed(workload, threshold);
        if workload.available >= needed {
            return Readiness::Ready;
        }
        Shortfall::Unavailable {
            available: workload.available,
            needed,
        }
    };
    Readiness::NotReady(shortfall)
}

/// How many pods must be available.
#[must_use]
pub fn needed(workload: &Workload, threshold: i64) -> i64 {
    let of = match workload.kind {
        WorkloadKind::Deployment => workload.updated,
        WorkloadKind::DaemonSet => workload.wanted,
    };
    share(of, threshold)
}

/// So many per cent of so many pods. Flagger computes with `float32` and truncates, so do we.
#[must_use]
pub fn share(of: i64, threshold: i64) -> i64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "as Flagger computes it"
    )]
    let needed = (of as f32 * (threshold as f32 / 100.0)) as i32;
    i64::from(needed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(wanted: i64, total: i64, updated: i64, available: i64) -> Workload {
        Workload::deployment(&json!({
            "metadata": {"generation": 2},
            "spec": {"replicas": wanted},
            "status": {"observedGeneration": 2, "replicas": total, "updatedReplicas": updated,
                       "availableReplicas": available},
        }))
    }

    #[test]
    fn deployments_are_ready_when_flagger_says_so() {
        use Readiness::{NotReady, Ready};
        for (wanted, total, updated, available, threshold, expected) in [
            (4, 4, 4, 4, 100, Ready),
            (
                4,
                4,
                4,
                3,
                100,
                NotReady(Shortfall::Unavailable {
                    available: 3,
                    needed: 4,
                }),
            ),
            (4, 4, 4, 3, 75, Ready),
            (4, 4, 4, 2, 50, Ready),
            (4, 4, 4, 0, 20, Ready), // 0.8 pods truncate to none
            (4, 4, 3, 3, 100, NotReady(Shortfall::Updating { updated: 3, wanted: 4 })),
            (4, 6, 4, 4, 100, NotReady(Shortfall::Outdated { old: 2 })),
            (0, 0, 0, 0, 100, Ready), // docs/flagger.md#f9
            (
                2,
                2,
                2,
                2,
                150,
                NotReady(Shortfall::Unavailable {
                    available: 2,
                    needed: 3,
                }),
            ),
        ] {
            let seen = readiness(&deployment(wanted, total, updated, available), threshold);
            assert_eq!(
                seen, expected,
                "{wanted} {total} {updated} {available} at {threshold} %"
            );
        }
    }

    #[test]
    fn nobody_can_tell_before_the_controller_has_looked() {
        let mut workload = deployment(4, 4, 4, 0);
        workload.metadata.generation = Some(3);
        assert_eq!(readiness(&workload, 100), Readiness::Unobserved);
    }

    #[test]
    fn daemon_sets_are_held_against_the_pods_that_are_desired() {
        let daemon_set = |updated: i64, available: i64| {
            Workload::daemon_set(&json!({
                "metadata": {"generation": 1},
                "status": {"observedGeneration": 1, "desiredNumberScheduled": 3,
                           "updatedNumberScheduled": updated, "numberAvailable": available},
            }))
        };
        assert_eq!(readiness(&daemon_set(3, 3), 100), Readiness::Ready);
        assert_eq!(
            readiness(&daemon_set(2, 3), 100),
            Readiness::NotReady(Shortfall::Updating { updated: 2, wanted: 3 })
        );
        assert_eq!(
            readiness(&daemon_set(3, 2), 100),
            Readiness::NotReady(Shortfall::Unavailable {
                available: 2,
                needed: 3
            })
        );
        assert_eq!(readiness(&daemon_set(3, 2), 67), Readiness::Ready); // 2.01 pods truncate to 2
    }
}
