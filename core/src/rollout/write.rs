//! A write to one object, as data.

use serde_json::Value;

use super::saved_status::SavedStatus;

/// A merge patch of one object. It carries the uid and the resource version that were read, so that the API server
/// refuses it if the object changed since.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// What it writes to.
    pub part: Part,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The patch, with its preconditions.
    pub patch: Value,
    /// Only ask whether it would be allowed.
    pub dry_run: bool,
    /// What it overwrites, as far as that can be put back.
    pub overwrites: SavedStatus,
}

/// The part of an object that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// A Canary's status.
    CanaryStatus,
    /// The conditions in a Deployment's status.
    DeploymentConditions,
    /// A Deployment's replicas.
    DeploymentScale,
    /// A `DaemonSet`'s pod template.
    DaemonSetTemplate,
}

// === impl Part ===

impl Part {
    /// What is done when it is written, to follow "cannot".
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::CanaryStatus => "write the Canary's status",
            Self::DeploymentConditions => "write the Deployment's conditions",
            Self::DeploymentScale => "scale the Deployment",
            Self::DaemonSetTemplate => "park the DaemonSet",
        }
    }
}
