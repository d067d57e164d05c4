//! Since when a rollout could have advanced.

use jiff::Timestamp;

use crate::rollout::{budget::Course, observation::Observation, stamp::Rollout};

/// Since when a target that is ready now could have made the next progress: until then its pods were what it waited for,
/// and no approval was asked for.
pub(super) fn could_advance_since(seen: &Observation, rollout: &Rollout, now: Timestamp) -> Timestamp {
    let ready_since = match rollout.budget.course {
        Course::Recovering => rollout.budget.since,
        Course::Accruing | Course::Paused if seen.foreign => rollout.progressed_at,
        Course::Accruing | Course::Paused => now,
    };
    rollout.progressed_at.max(ready_since)
}
