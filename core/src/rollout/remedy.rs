//! What to do about a rollout.

use jiff::Timestamp;

use super::{breach::Breach, guard::Guard, levers::Levers};

/// What to do about a Canary now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Nothing.
    None,
    /// Tell that a deadline has passed, and leave it at that.
    Report(Breach),
    /// A deadline has passed, but this is not the moment to act.
    Withhold(Breach, Guard),
    /// Nothing before this moment: what was seen may not be all that happened.
    Await(Timestamp),
    /// Hand Flagger the verdict, and hand it over again until the phase moves.
    RollBack(Breach, Levers),
    /// Give the initialization more time, before Flagger takes the live workload away.
    Hold(Breach),
    /// End the rollout in Flagger's place: it was handed the verdict, and it is down.
    LastResort(Breach),
    /// Scale the target of a rollout that the last resort failed to zero, where that is left to do.
    FinishLastResort,
    /// Take the verdict back: its reason is gone.
    Withdraw,
    /// Flagger rolled back.
    Confirm,
}
