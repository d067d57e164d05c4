//! What happens when a clock's deadline passes.

use serde::{Deserialize, Serialize};

/// What happens when a clock's deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum Action {
    /// Flagger is made to roll back.
    RollBack,
    /// The initialization is held (the initialization clock alone).
    Hold,
    /// An Event, a metric and a log line.
    Report,
    /// Nothing; the clock does not run.
    Disabled,
}

// === impl Action ===

impl Action {
    /// Every action.
    pub const ALL: [Self; 4] = [Self::RollBack, Self::Hold, Self::Report, Self::Disabled];
}
