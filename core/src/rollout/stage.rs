//! The stages of a rollout, whatever rolls it out.

/// The stage that a rollout is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The workload is being taken over.
    Initializing,
    /// An approval holds the rollout before it starts.
    GatedStart,
    /// The new version is being analysed.
    Progressing,
    /// An approval holds the rollout before its promotion.
    GatedPromotion,
    /// The new version is taking over.
    Promoting,
    /// Nothing is rolling out.
    Done(Done),
    /// The object is being deleted.
    Leaving,
    /// A stage that Curfew does not know: nothing is ever done in it.
    Unknown,
}

/// How the last rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Done {
    /// The new version took over.
    Promoted,
    /// It was rolled back.
    RolledBack,
    /// There was none yet.
    Idle,
}

// === impl Stage ===

impl Stage {
    /// Whether the rollout can be rolled back from here, and Curfew may therefore ask for it.
    ///
    /// After promotion began the primary already runs the new version, and a rollback would be an outage
    /// (`docs/flagger.md#l8`).
    #[must_use]
    pub const fn can_roll_back(self) -> bool {
        matches!(self, Self::Progressing | Self::GatedPromotion)
    }
}
