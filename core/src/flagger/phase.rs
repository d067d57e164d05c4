//! The phases of a Canary.

use std::fmt;

use crate::rollout::stage::{Done, Stage};

/// `status.phase` of a Canary, as Flagger's `CanaryPhase` names it.
///
/// A phase that this list does not know survives in [`Phase::Other`]: a newer Flagger may have more of them,
/// and nothing is ever done to a Canary in a phase that Curfew does not understand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No phase yet: Flagger has not looked at the Canary.
    #[default]
    None,
    /// The primary workload is being made.
    Initializing,
    /// The primary workload serves; nothing is rolling out.
    Initialized,
    /// A `confirm-rollout` hook holds the rollout before it starts.
    Waiting,
    /// The analysis runs.
    Progressing,
    /// A `confirm-promotion` hook holds the rollout before its promotion.
    WaitingPromotion,
    /// The primary is being updated to the new version.
    Promoting,
    /// Traffic is going back to the primary.
    Finalising,
    /// The last rollout was promoted.
    Succeeded,
    /// The last rollout was rolled back.
    Failed,
    /// The Canary is being deleted.
    Terminating,
    /// The Canary was finalized.
    Terminated,
    /// A phase that this version of Curfew does not know.
    Other(String),
}

impl Phase {
    /// Reads a phase; every text is one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "" => Self::None,
            "Initializing" => Self::Initializing,
            "Initialized" => Self::Initialized,
            "Waiting" => Self::Waiting,
            "Progressing" => Self::Progressing,
            "WaitingPromotion" => Self::WaitingPromotion,
            "Promoting" => Self::Promoting,
            "Finalising" => Self::Finalising,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            "Terminating" => Self::Terminating,
            "Terminated" => Self::Terminated,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The phase as Flagger writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::None => "",
            Self::Initializing => "Initializing",
            Self::Initialized => "Initialized",
            Self::Waiting => "Waiting",
            Self::Progressing => "Progressing",
            Self::WaitingPromotion => "WaitingPromotion",
            Self::Promoting => "Promoting",
            Self::Finalising => "Finalising",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Terminating => "Terminating",
            Self::Terminated => "Terminated",
            Self::Other(other) => other,
        }
    }

    /// How far along a rollout this phase is; a higher rank is progress. Phases outside a rollout have none.
    #[must_use]
    pub fn rank(&self) -> Option<u8> {
        match self {
            Self::Waiting => Some(0),
            Self::Progressing => Some(1),
            Self::WaitingPromotion => Some(2),
            Self::Promoting => Some(3),
            Self::Finalising => Some(4),
            Self::None
            | Self::Initializing
            | Self::Initialized
            | Self::Succeeded
            | Self::Failed
            | Self::Terminating
            | Self::Terminated
            | Self::Other(_) => None,
        }
    }

    /// The stage that this phase is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::None | Self::Initializing => Stage::Initializing,
            Self::Initialized => Stage::Done(Done::Idle),
            Self::Waiting => Stage::GatedStart,
            Self::Progressing => Stage::Progressing,
            Self::WaitingPromotion => Stage::GatedPromotion,
            Self::Promoting | Self::Finalising => Stage::Promoting,
            Self::Succeeded => Stage::Done(Done::Promoted),
            Self::Failed => Stage::Done(Done::RolledBack),
            Self::Terminating | Self::Terminated => Stage::Leaving,
            Self::Other(_) => Stage::Unknown,
        }
    }

    /// Whether Flagger can roll the canary back from this phase, and Curfew may therefore ask for it.
    #[must_use]
    pub fn can_roll_back(&self) -> bool {
        self.stage().can_roll_back()
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_of_the_crd_is_known_and_keeps_its_name() {
        for name in [
            "",
            "Initializing",
            "Initialized",
            "Waiting",
            "Progressing",
            "WaitingPromotion",
            "Promoting",
            "Finalising",
            "Succeeded",
            "Failed",
            "Terminating",
            "Terminated",
        ] {
            let phase = Phase::parse(name);
            assert!(!matches!(phase, Phase::Other(_)), "{name} is not known");
            assert_eq!(phase.as_str(), name);
        }
    }

    #[test]
    fn an_unknown_phase_survives_and_is_never_acted_upon() {
        let phase = Phase::parse("Meditating");
        assert_eq!(phase.as_str(), "Meditating");
        assert_eq!(phase.rank(), None);
        assert!(!phase.can_roll_back());
    }
}
