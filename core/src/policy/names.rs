//! The names that Curfew has in clusters.

/// The API group of everything that Curfew owns, and the prefix of its annotations.
pub const GROUP: &str = "curfew.dev";

/// The one annotation that users write: a deadline for the whole rollout.
pub const ROLLOUT_DEADLINE: &str = "curfew.dev/rollout-deadline";
