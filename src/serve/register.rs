//! The webhook configurations: when the API server asks us, and what happens if we do not answer.
//!
//! Validation fails closed but is asked only about what it could refuse, so that finalizers and labels never depend on
//! Curfew; mutation fails open. [`configuration`] is also what `deploy/kustomize/webhooks.yaml` holds for the Service in the
//! cluster, which a test compares.

use std::net::SocketAddr;

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    deadline::stamp::{PREFIX, ROLLOUT_DEADLINE},
    enforcer::FIELD_MANAGER,
};

/// The name of both configurations.
const NAME: &str = "curfew";

/// How a process outside the cluster is called by the API server.
#[derive(Clone, Debug)]
pub struct Registration {
    addr: SocketAddr,
    ca_bundle: String,
}

/// The validating or the mutating half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// `validate.curfew.dev`
    Validate,
    /// `mutate.curfew.dev`
    Mutate,
}

// === impl Registration ===

impl Registration {
    /// A webhook at this address, trusted by this bundle.
    #[must_use]
    pub fn new(mut addr: SocketAddr, ca_bundle: String) -> Self {
        if addr.ip().is_unspecified() {
            addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        Self { addr, ca_bundle }
    }

    /// Writes both configurations.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn write(&self, client: &Client, own_user: &str) -> Result<(), kube::Error> {
        let config = |path: &str| {
            json!({
                "url": format!("https://{}/{path}", self.addr),
                "caBundle": ByteString(self.ca_bundle.clone().into_bytes()),
            })
        };
        let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone());
        apply(&mutating, &configuration(Half::Mutate, &config("mutate"), own_user)).await?;
        let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone());
        apply(
            &validating,
            &configuration(Half::Validate, &config("validate"), own_user),
        )
        .await?;
        tracing::info!(addr = %self.addr, own_user, "registered the webhook");
        Ok(())
    }

    /// Removes both, so that nobody is refused for our absence.
    pub async fn remove(&self, client: &Client) {
        let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone());
        let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone());
        let params = DeleteParams::default();
        let (first, second) = tokio::join!(validating.delete(NAME, &params), mutating.delete(NAME, &params));
        for error in [first.err(), second.err()].into_iter().flatten() {
            tracing::warn!(%error, "a webhook configuration is left behind; delete it by hand");
        }
    }
}

async fn apply<K>(api: &Api<K>, configuration: &Value) -> Result<(), kube::Error>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(NAME, &params, &Patch::Apply(configuration)).await.map(|_| ())
}

/// One of the two configurations, for a webhook that is called as `client_config` says, by anybody but `own_user`.
#[must_use]
pub fn configuration(half: Half, client_config: &Value, own_user: &str) -> Value {
    let (kind, name, failure_policy) = match half {
        Half::Validate => ("ValidatingWebhookConfiguration", "validate.curfew.dev", "Fail"),
        Half::Mutate => ("MutatingWebhookConfiguration", "mutate.curfew.dev", "Ignore"),
    };
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": NAME},
        "webhooks": [{
            "name": name,
            "admissionReviewVersions": ["v1"],
            "clientConfig": client_config,
            "failurePolicy": failure_policy,
            "matchPolicy": "Equivalent",
            "sideEffects": "None",
            "timeoutSeconds": 5,
            "rules": [{
                "apiGroups": ["flagger.app"],
                "apiVersions": ["v1beta1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["canaries"],
                "scope": "Namespaced",
            }],
            "matchConditions": [
                {"name": "not-by-curfew", "expression": format!("request.userInfo.username != '{own_user}'")},
                {"name": "not-being-deleted", "expression": "!has(object.metadata.deletionTimestamp)"},
                {"name": "changed", "expression": changed(half)},
            ],
        }],
    })
}

/// What must have changed for an update to be of interest.
fn changed(half: Half) -> String {
    let spec = "request.operation == 'CREATE' || object.?spec != oldObject.?spec";
    let annotations = |object: &str| format!("{object}.metadata.?annotations.orValue({{}})");
    let (new, old) = (annotations("object"), annotations("oldObject"));
    match half {
        Half::Validate => format!("{spec} || {new}[?'{ROLLOUT_DEADLINE}'] != {old}[?'{ROLLOUT_DEADLINE}']"),
        Half::Mutate => format!(
            "{spec} || !{new}.all(key, !key.startsWith('{PREFIX}') || {old}[?key] == {new}[?key]) \
             || !{old}.all(key, !key.startsWith('{PREFIX}') || key in {new})"
        ),
    }
}
