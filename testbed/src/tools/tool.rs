//! Which programs there are, and where their module is.

/// One Go program of the plane.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Tool {
    Etcd,
    ApiServer,
    ControllerManager,
    Kubectl,
    Flagger,
}

/// Where the tools' module is.
pub(super) const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tools");

// === impl Tool ===

impl Tool {
    pub const ALL: [Self; 5] = [
        Self::Etcd,
        Self::ApiServer,
        Self::ControllerManager,
        Self::Kubectl,
        Self::Flagger,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Kubectl => "kubectl",
            Self::Flagger => "flagger",
        }
    }

    /// The Go package of its `main`.
    pub(super) fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::ApiServer => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::ControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Flagger => "github.com/fluxcd/flagger/cmd/flagger",
        }
    }
}
