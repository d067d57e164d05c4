//! The clocks by name.

/// A clock of a rollout, by its name in policies, annotations, Events and metrics.
///
/// What there is to know about each of them stands in its file in `core/src/deadline/clocks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Clock(&'static str);

// === impl Clock ===

impl Clock {
    /// A clock of this name.
    #[must_use]
    pub const fn named(name: &'static str) -> Self {
        Self(name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}
