//! What users were notified of, so that it is published once.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    deadline::messages::Deadlines,
    rollout::{Clock, guard::GuardKind},
};

/// What was told already, so that it is told once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifiedState {
    /// That a deadline approaches: whose, counted from when.
    pub approaching: Option<(Clock, Timestamp)>,
    /// What deadlines people set for this rollout.
    pub deadlines: Option<Deadlines>,
    /// That a deadline of this rollout has passed, while it has.
    pub reported: BTreeSet<Clock>,
    /// That a deadline has passed, in the metrics.
    pub counted: BTreeSet<Clock>,
    /// That a breach is withheld, and why.
    pub withheld: Option<(Clock, GuardKind)>,
}
