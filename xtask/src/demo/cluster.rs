//! A namespace of a plane: what the scenes put into it, break in it, and see in it.

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace as Object, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::observation::{Reporter, Verdict, Weights};

/// Who is who among those that report Events.
const FLAGGER: &str = "flagger";
const CURFEW: &str = "curfew.dev/curfew";
const VERDICT: &str = "curfew.dev/verdict";

/// A namespace and the right to do everything in it.
pub struct Namespace {
    pub name: String,
    client: Client,
}

/// How an application stands.
pub struct Look {
    pub phase: String,
    pub verdict: Option<Verdict>,
    pub available: i64,
    pub wanted: i64,
    /// `None` without an HTTPRoute.
    pub weights: Option<Weights>,
}

/// What was told about a Canary.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Told {
    pub reason: String,
    pub note: String,
}

// === impl Namespace ===

impl Namespace {
    /// One that is there already.
    pub fn of(client: Client, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            client,
        }
    }

    pub async fn create(client: Client, name: &str) -> Result<Self> {
        let api: Api<Object> = Api::all(client.clone());
        let namespace = object(json!({"metadata": {"name": name}}))?;
        api.create(&PostParams::default(), &namespace)
            .await
            .with_context(|| format!("cannot create the namespace {name}"))?;
        Ok(Self::of(client, name))
    }

    /// Deploys an application whose pods become ready.
    pub async fn deploy(&self, app: &str, replicas: u32) -> Result<()> {
        let labels = json!({"app": app});
        let deployment = object(json!({
            "metadata": {"name": app},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "app", "image": format!("{app}:1")}]},
                },
            },
        }))?;
        let api: Api<Deployment> = self.api();
        api.create(&PostParams::default(), &deployment).await?;
        Ok(())
    }

    /// Creates the Canary of an application.
    pub async fn create_canary(&self, app: &str, spec: &Value) -> Result<()> {
        let mut spec = spec.clone();
        spec["targetRef"] = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": app});
        let canary = object(json!({
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": app},
            "spec": spec,
        }))?;
        self.canaries().create(&PostParams::default(), &canary).await?;
        Ok(())
    }

    /// Pushes the next version of an application, and says what becomes of its pods.
    pub async fn push(&self, app: &str, outcome: &str) -> Result<()> {
        let template = json!({
            "metadata": {"annotations": {testbed::OUTCOME: outcome}},
            "spec": {"containers": [{"name": "app", "image": format!("{app}:2")}]},
        });
        let patch = Patch::Strategic(json!({"spec": {"template": template}}));
        let api: Api<Deployment> = self.api();
        api.patch(app, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Makes one pod of an application crash from now on; its name.
    pub async fn break_pod(&self, app: &str) -> Result<String> {
        let api: Api<Pod> = self.api();
        let pods = api.list(&ListParams::default().labels(&format!("app={app}"))).await?;
        let pod = pods
            .into_iter()
            .find(|pod| pod.metadata.deletion_timestamp.is_none())
            .context("there is no pod to break")?;
        let patch = Patch::Merge(json!({"metadata": {"annotations": {testbed::OUTCOME: "crash"}}}));
        api.patch(&pod.name_any(), &PatchParams::default(), &patch).await?;
        Ok(pod.name_any())
    }

    /// Whether a pod is ready.
    pub async fn is_ready(&self, pod: &str) -> Result<bool> {
        let api: Api<Pod> = self.api();
        let status = api.get(pod).await?.status.unwrap_or_default();
        let mut conditions = status.conditions.unwrap_or_default().into_iter();
        Ok(conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True"))
    }

    /// The phase alone; empty before Flagger has seen the Canary.
    pub async fn phase(&self, app: &str) -> Result<String> {
        Ok(text(&self.canaries().get(app).await?.data["status"]["phase"]))
    }

    /// Everything about an application.
    pub async fn look(&self, app: &str, routed: bool) -> Result<Look> {
        let deployments: Api<Deployment> = self.api();
        let http_routes = self.dynamic("gateway.networking.k8s.io", "v1", "HTTPRoute");
        let canaries = self.canaries();
        let route = async {
            if routed {
                return Ok(http_routes.get_opt(app).await?);
            }
            anyhow::Ok(None)
        };
        let read = async { Ok((canaries.get(app).await?, deployments.get(app).await?)) };
        let ((canary, deployment), route) = tokio::try_join!(read, route)?;
        let status = &canary.data["status"];
        let verdict = canary.annotations().get(VERDICT);
        let replicas = deployment.spec.and_then(|spec| spec.replicas);
        let available = deployment.status.and_then(|status| status.available_replicas);
        Ok(Look {
            phase: text(&status["phase"]),
            verdict: verdict
                .map(|verdict| serde_json::from_str(verdict).context("the verdict is not readable"))
                .transpose()?,
            available: available.unwrap_or_default().into(),
            wanted: replicas.unwrap_or(1).into(),
            weights: route.and_then(|route| weights(&route.data, app)),
        })
    }

    /// What Flagger and Curfew have told about an application, in order.
    pub async fn told(&self, app: &str) -> Result<Vec<(Reporter, Told)>> {
        let api: Api<Event> = self.api();
        let mut events = api.list(&ListParams::default()).await?.items;
        events.retain(|event| {
            let regarding = event.regarding.as_ref();
            regarding
                .is_some_and(|object| (object.kind.as_deref(), object.name.as_deref()) == (Some("Canary"), Some(app)))
        });
        // Events of old API versions have whole seconds only; names break ties as they are made from the time.
        events.sort_by_key(|event| {
            let precise = event.event_time.as_ref().map(|time| time.0);
            let coarse = event.deprecated_first_timestamp.as_ref().map(|time| time.0);
            (precise.or(coarse), event.name_any())
        });
        let told = events.into_iter().filter_map(|event| {
            let old_source = event.deprecated_source.and_then(|source| source.component);
            let source = event
                .reporting_controller
                .filter(|name| !name.is_empty())
                .or(old_source);
            let reporter = match source.as_deref() {
                Some(FLAGGER) => Reporter::Flagger,
                Some(CURFEW) => Reporter::Curfew,
                _ => return None,
            };
            let told = Told {
                reason: event.reason.unwrap_or_default(),
                note: event.note.unwrap_or_default(),
            };
            Some((reporter, told))
        });
        Ok(told.collect())
    }

    fn canaries(&self) -> Api<DynamicObject> {
        self.dynamic("flagger.app", "v1beta1", "Canary")
    }

    fn dynamic(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), &self.name, &resource)
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }
}

fn object<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).context("not a Kubernetes object")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The shares of Flagger's two Services in a route.
fn weights(route: &Value, app: &str) -> Option<Weights> {
    let backends = route["spec"]["rules"][0]["backendRefs"].as_array()?;
    let weight = |name: String| {
        let backend = backends.iter().find(|backend| backend["name"] == name.as_str())?;
        backend["weight"].as_i64()
    };
    Some(Weights {
        primary: weight(format!("{app}-primary"))?,
        canary: weight(format!("{app}-canary"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_from_the_backends() {
        let backends = json!([{"name": "web-primary", "weight": 80}, {"name": "web-canary", "weight": 20}]);
        let route = json!({"spec": {"rules": [{"backendRefs": backends}]}});
        let expected = Weights {
            primary: 80,
            canary: 20,
        };
        assert_eq!(weights(&route, "web"), Some(expected));
        assert_eq!(weights(&route, "api"), None);
        assert_eq!(weights(&json!({}), "web"), None);
    }
}
