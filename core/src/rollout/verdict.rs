//! Verdicts: what was decided about a breach, as the annotation `curfew.dev/verdict` keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::{Clock, breach::Breach, timestamps::rounded_up};

/// The last verdict on a Canary. It is kept until the next one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Verdict {
    /// When it was given.
    pub at: Timestamp,
    /// The revision that it is about.
    pub revision: String,
    /// The clock that ran out.
    #[serde(serialize_with = "by_name")]
    pub clock: Clock,
    /// The deadline that passed.
    pub deadline: Timestamp,
    /// What was to be done about it.
    pub remedy: RemedyName,
    /// What came of it.
    pub result: Outcome,
    /// Why, in one line.
    pub reason: String,
}

/// What is decided about a breach, whenever and on whichever revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The breach.
    pub breach: Breach,
    /// What is to be done about it.
    pub remedy: RemedyName,
    /// What came of it.
    pub result: Outcome,
    /// Why, in one line.
    pub reason: String,
}

/// What is done about a breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RemedyName {
    /// It is told.
    Report,
    /// The initialization is held.
    Hold,
    /// Flagger is made to roll back.
    Rollback,
    /// Curfew itself ended the rollout.
    LastResort,
}

/// What came of a remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It was told, and that is all.
    Reported,
    /// The initialization waits on.
    Held,
    /// Flagger has been handed the verdict.
    Requested,
    /// Flagger rolled back.
    Confirmed,
    /// Something spoke against acting, or the reason went away.
    Withheld,
}

// === impl Verdict ===

impl Verdict {
    /// A verdict in whole seconds, as it is written. They are rounded up, as deadlines are on the Canary: what is
    /// written never lies before what happened.
    #[must_use]
    pub fn new(at: Timestamp, revision: String, ruling: Ruling) -> Self {
        let Ruling {
            breach,
            remedy,
            result,
            reason,
        } = ruling;
        Self {
            at: rounded_up(at),
            revision,
            clock: breach.clock,
            deadline: rounded_up(breach.deadline),
            remedy,
            result,
            reason,
        }
    }

    /// Reads a verdict; none where it is no verdict, or about a clock that is not known.
    #[must_use]
    pub fn parse(text: &str, clocks: impl Fn(&str) -> Option<Clock>) -> Option<Self> {
        let written: Written = serde_json::from_str(text).ok()?;
        Some(Self {
            at: written.at,
            revision: written.revision,
            clock: clocks(&written.clock)?,
            deadline: written.deadline,
            remedy: written.remedy,
            result: written.result,
            reason: written.reason,
        })
    }
}

// === impl RemedyName ===

impl RemedyName {
    /// As metrics name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Hold => "hold",
            Self::LastResort => "lastResort",
            Self::Rollback => "rollback",
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// As metrics name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Held => "held",
            Self::Requested => "requested",
            Self::Confirmed => "confirmed",
            Self::Withheld => "withheld",
        }
    }
}

/// A verdict as it is written.
#[derive(Deserialize)]
struct Written {
    at: Timestamp,
    revision: String,
    clock: String,
    deadline: Timestamp,
    remedy: RemedyName,
    result: Outcome,
    reason: String,
}

fn by_name<S: Serializer>(clock: &Clock, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(clock.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_and_annotations_call_everything_the_same() {
        for remedy in [
            RemedyName::Report,
            RemedyName::Hold,
            RemedyName::Rollback,
            RemedyName::LastResort,
        ] {
            assert_eq!(serde_json::json!(remedy), remedy.name());
        }
        for outcome in [
            Outcome::Reported,
            Outcome::Held,
            Outcome::Requested,
            Outcome::Confirmed,
            Outcome::Withheld,
        ] {
            assert_eq!(serde_json::json!(outcome), outcome.name());
        }
    }
}
