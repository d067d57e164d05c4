//! What a plane is asked to be.

use std::path::PathBuf;

use crate::versions::Kubernetes;

/// How to start a plane. `Options::default()` is the control plane with the kubelet's stand-in and Flagger, and
/// without Curfew.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing to have or not")]
pub struct Options {
    /// The Kubernetes version to be.
    pub kubernetes: Kubernetes,
    /// Run kube-controller-manager and the kubelet's stand-in. Without them only the API server acts on objects: nothing
    /// makes pods, ends namespaces or collects garbage.
    pub controllers: bool,
    /// Know KEDA's `ScaledObject`s, as clusters with KEDA do.
    pub scaled_objects: bool,
    /// Run Flagger.
    pub flagger: bool,
    /// Further flags for Flagger; they win over the plane's own.
    pub flagger_args: Vec<String>,
    /// Further flags for kube-apiserver, as `--flag=value`; they win over the plane's own.
    pub api_server_args: Vec<String>,
    /// Run Curfew.
    pub curfew: Option<CurfewOptions>,
    /// Leave the directory in place when the plane ends.
    pub keep: bool,
    /// Say on standard error what is waited for, and when a component ends unasked.
    pub announce: bool,
}

/// How to run one Curfew.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CurfewOptions {
    /// The binary; `$CURFEW_BIN`, or else the `curfew` beside the running program, when `None`.
    pub binary: Option<PathBuf>,
    /// The policy file; `testbed/policy.yaml` when `None`.
    pub policy: Option<PathBuf>,
    /// Further arguments for `curfew serve`.
    pub args: Vec<String>,
    /// Further environment.
    pub env: Vec<(String, String)>,
    /// Leave out `--register`.
    pub unregistered: bool,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            kubernetes: Kubernetes::default(),
            controllers: true,
            scaled_objects: true,
            flagger: true,
            flagger_args: Vec::new(),
            api_server_args: Vec::new(),
            curfew: None,
            keep: false,
            announce: false,
        }
    }
}

impl Options {
    /// The default, with Curfew.
    #[must_use]
    pub fn with_curfew() -> Self {
        Self {
            curfew: Some(CurfewOptions::default()),
            ..Self::default()
        }
    }
}
