//! The clocks by name.

/// A clock of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Clock {
    /// How long the initialization of a workload may take before it must be held.
    Initialization,
    /// How long the target may be less ready than Flagger needs it to advance.
    Readiness,
    /// How often a container that was ready once may fail.
    Crashes,
    /// How long an approval may be waited for.
    Gate,
    /// How long a ready target may go without progress.
    Stall,
    /// How long Flagger may show no sign of life.
    Silence,
    /// How long the promotion may take.
    Promotion,
    /// How long the whole rollout may take.
    Rollout,
    /// How long a rollout may be suspended in the middle.
    Suspended,
}

// === impl Clock ===

impl Clock {
    /// Every clock.
    pub const ALL: [Self; 9] = [
        Self::Initialization,
        Self::Readiness,
        Self::Crashes,
        Self::Gate,
        Self::Stall,
        Self::Silence,
        Self::Promotion,
        Self::Rollout,
        Self::Suspended,
    ];

    /// The clock's name in policies, annotations, Events and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initialization => "initialization",
            Self::Readiness => "readiness",
            Self::Crashes => "crashes",
            Self::Gate => "gate",
            Self::Stall => "stall",
            Self::Silence => "silence",
            Self::Promotion => "promotion",
            Self::Rollout => "rollout",
            Self::Suspended => "suspended",
        }
    }

    /// The clock of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|clock| clock.name() == name)
    }
}
