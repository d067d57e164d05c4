//! Which object is rolled out.

/// `spec.targetRef`: the workload that a Canary rolls out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TargetRef {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`: `Deployment`, `DaemonSet` or `Service`.
    pub kind: String,
    /// `name`, in the Canary's namespace.
    pub name: String,
}
