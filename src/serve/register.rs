//! The webhook configurations: when the API server asks us, and what happens if we do not answer.
//!
//! Validation fails closed but is asked only about what it could refuse, so that finalizers and labels never depend on
//! Curfew; mutation fails open. [`configuration`] is also what `deploy/kustomize/webhooks.yaml` holds for the Service in the
//! cluster, which a test compares.

use std::net::SocketAddr;

use k8s_openapi::ByteString;
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, Preconditions},
};
use serde_json::{Value, json};

use crate::{cluster::FIELD_MANAGER, policy::ROLLOUT_DEADLINE, rollout::stamp::PREFIX};

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
pub enum WebhookKind {
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

    /// Writes both configurations, unless they are those of an installation in the cluster.
    ///
    /// # Errors
    /// The API server refuses, or the configurations belong to somebody else.
    pub async fn write(&self, client: &Client, own_user: &str) -> Result<(), Error> {
        for half in WebhookKind::BOTH {
            let found = configurations(client, half).get_opt(NAME).await?;
            if found.is_some_and(|found| !found.data["webhooks"][0]["clientConfig"]["service"].is_null()) {
                return Err(Error::Installed);
            }
            let client_config = json!({
                "url": self.url(half),
                "caBundle": ByteString(self.ca_bundle.clone().into_bytes()),
            });
            let wanted = configuration(half, &client_config, own_user);
            let params = PatchParams::apply(FIELD_MANAGER).force();
            configurations(client, half)
                .patch(NAME, &params, &Patch::Apply(&wanted))
                .await?;
        }
        tracing::info!(addr = %self.addr, own_user, "registered the webhook");
        Ok(())
    }

    /// Removes both, so that nobody is refused for our absence; but not what is not ours any more.
    pub async fn remove(&self, client: &Client) {
        for half in WebhookKind::BOTH {
            let api = configurations(client, half);
            let removed = async {
                let found = api.get_opt(NAME).await?;
                let ours = |found: &DynamicObject| found.data["webhooks"][0]["clientConfig"]["url"] == self.url(half);
                if let Some(found) = found.filter(ours) {
                    let still = Preconditions {
                        resource_version: found.metadata.resource_version,
                        uid: None,
                    };
                    api.delete(NAME, &DeleteParams::default().preconditions(still)).await?;
                }
                Ok::<(), kube::Error>(())
            };
            if let Err(error) = removed.await {
                let kind = half.kind();
                tracing::warn!(kind, name = NAME, %error, "a webhook configuration may be left behind; delete it by hand");
            }
        }
    }

    fn url(&self, half: WebhookKind) -> String {
        format!("https://{}/{}", self.addr, half.path())
    }
}

/// Why the webhook is not registered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server said no.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// There is another Curfew.
    #[error(
        "the cluster has an installation of Curfew, whose webhook configurations are left alone; do without --register"
    )]
    Installed,
}

fn configurations(client: &Client, half: WebhookKind) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", half.kind());
    Api::all_with(client.clone(), &ApiResource::from_gvk(&kind))
}

// === impl WebhookKind ===

impl WebhookKind {
    /// Mutation first: what it writes is then validated.
    const BOTH: [Self; 2] = [Self::Mutate, Self::Validate];

    const fn kind(self) -> &'static str {
        match self {
            Self::Validate => "ValidatingWebhookConfiguration",
            Self::Mutate => "MutatingWebhookConfiguration",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Mutate => "mutate",
        }
    }
}

/// One of the two configurations, for a webhook that is called as `client_config` says, by anybody but `own_user`.
#[must_use]
pub fn configuration(half: WebhookKind, client_config: &Value, own_user: &str) -> Value {
    let (name, failure_policy) = match half {
        WebhookKind::Validate => ("validate.curfew.dev", "Fail"),
        WebhookKind::Mutate => ("mutate.curfew.dev", "Ignore"),
    };
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": half.kind(),
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
                {"name": "not-by-curfew", "expression": format!("request.userInfo.username != {}", quoted(own_user))},
                {"name": "not-being-deleted", "expression": "!has(object.metadata.deletionTimestamp)"},
                {"name": "changed", "expression": changed(half)},
            ],
        }],
    })
}

/// A text as CEL writes it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// What must have changed for an update to be of interest.
fn changed(half: WebhookKind) -> String {
    let spec = "request.operation == 'CREATE' || object.?spec != oldObject.?spec";
    let annotations = |object: &str| format!("{object}.metadata.?annotations.orValue({{}})");
    let (new, old) = (annotations("object"), annotations("oldObject"));
    match half {
        WebhookKind::Validate => format!("{spec} || {new}[?'{ROLLOUT_DEADLINE}'] != {old}[?'{ROLLOUT_DEADLINE}']"),
        WebhookKind::Mutate => format!(
            "{spec} || !{new}.all(key, !key.startsWith('{PREFIX}') || {old}[?key] == {new}[?key]) \
             || !{old}.all(key, !key.startsWith('{PREFIX}') || key in {new})"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_with_a_quote_in_its_name_breaks_no_condition() {
        let configuration = configuration(WebhookKind::Validate, &json!({}), r"o'brien\x");
        let conditions = &configuration["webhooks"][0]["matchConditions"];
        assert_eq!(
            conditions[0]["expression"],
            r"request.userInfo.username != 'o\'brien\\x'"
        );
    }
}
