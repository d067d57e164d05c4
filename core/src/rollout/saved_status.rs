//! What the levers found, so that it can be put back.

use jiff::Timestamp;
use serde_json::Value;

/// What the levers found before they moved anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedStatus {
    /// The target whose `Progressing` condition was set, by its name, and the condition that it had.
    pub progressing: Option<(String, Option<Value>)>,
    /// The Canary's count of failed checks.
    pub failed_checks: Option<i64>,
    /// When it was raised.
    pub raised_at: Option<Timestamp>,
    /// The Canary's `lastTransitionTime`.
    pub transition: Option<Overwritten>,
}

/// A moment that was overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overwritten {
    /// As it was.
    pub found: Timestamp,
    /// As it was put.
    pub put: Timestamp,
}

// === impl SavedStatus ===

impl SavedStatus {
    /// Keeps what a write is about to overwrite.
    pub fn keep(&mut self, overwrites: &Self) {
        let Self {
            progressing,
            failed_checks,
            raised_at: _,
            transition,
        } = overwrites;
        if progressing.is_some() {
            self.progressing.clone_from(progressing);
        }
        self.failed_checks = failed_checks.or(self.failed_checks);
        self.transition = transition.or(self.transition);
    }

    /// Notes that a write that overwrites this was answered, or that its answer was lost.
    pub fn written(&mut self, overwrites: &Self, at: Timestamp) {
        if overwrites.failed_checks.is_some() {
            self.raised_at = Some(at);
        }
    }

    /// The Deployment whose condition was set, if it is not this target any more.
    #[must_use]
    pub fn former_target(&self, target: &str) -> Option<&str> {
        let (name, _) = self.progressing.as_ref()?;
        (name != target).then_some(name)
    }

    /// Whether a target carries a condition of ours.
    #[must_use]
    pub fn is_on_target(&self) -> bool {
        self.progressing.is_some()
    }
}
