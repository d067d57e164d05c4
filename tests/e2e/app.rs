//! The application that stories roll out: a Deployment, and the Canary that Flagger rolls it out by.

use serde_json::{Value, json};
use testbed::OUTCOME;

/// The name of every application, its Deployment and its Canary.
pub const APP: &str = "web";

/// An application and how it is rolled out.
#[derive(Clone, Debug)]
pub struct App {
    /// Replicas.
    pub pods: i32,
    /// `progressDeadlineSeconds`.
    pub deadline: i64,
    /// The `analysis`.
    pub analysis: Value,
    /// The `provider`; Flagger's own when empty.
    pub provider: &'static str,
    /// The Canary's labels, by which the plane's policies tell Canaries apart.
    pub labels: Value,
}

// === impl App ===

impl Default for App {
    fn default() -> Self {
        Self {
            pods: 2,
            deadline: 30,
            analysis: json!({"interval": "10s", "threshold": 3, "iterations": 1}),
            provider: "",
            labels: json!({}),
        }
    }
}

impl App {
    /// Its Canary.
    pub fn canary(&self) -> Value {
        let mut canary = json!({
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": APP},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": APP},
                "progressDeadlineSeconds": self.deadline,
                "service": {"port": 80},
                "analysis": self.analysis,
            },
        });
        if self.labels != json!({}) {
            canary["metadata"]["labels"] = self.labels.clone();
        }
        if !self.provider.is_empty() {
            canary["spec"]["provider"] = self.provider.into();
            canary["spec"]["service"]["gatewayRefs"] = json!([{"name": "gateway", "namespace": "default"}]);
        }
        canary
    }

    /// Its Deployment, in a first version that is fine.
    pub fn deployment(&self) -> Value {
        let labels = json!({"app": APP});
        let probe = json!({"httpGet": {"path": "/healthz", "port": 80}, "periodSeconds": 1});
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": APP},
            "spec": {
                "replicas": self.pods,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels, "annotations": {OUTCOME: "ready"}},
                    "spec": {"containers": [
                        {"name": "log", "image": "log:1"},
                        {"name": "app", "image": "app:1", "readinessProbe": probe, "livenessProbe": probe},
                    ]},
                },
            },
        })
    }
}
