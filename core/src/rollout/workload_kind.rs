//! The kinds of workload.

/// What kind of workload is rolled out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkloadKind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` `DaemonSet`.
    DaemonSet,
}
