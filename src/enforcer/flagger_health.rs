//! Evidence for the last resort: is Flagger down, and does all traffic go to the primary?
//!
//! What is not known for certain counts against: a Flagger that cannot be found may be anywhere, and a provider whose
//! routes Curfew cannot read may send traffic to what is about to be taken away.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::Deployment,
    coordination::v1::Lease,
    core::v1::{Container, ContainerState, Pod, Service},
};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};
use serde_json::Value;

use crate::{
    cluster::{Cluster, Error, ask},
    deadline::conditions::FlaggerEvidence,
    flagger::{canary::Canary, routes, routes::Provider},
};

/// How Flagger's own manifests label it: its Helm chart, and its kustomization.
const LABELS: [&str; 2] = ["app.kubernetes.io/name=flagger", "app=flagger"];

/// The Lease by which several Flaggers agree on one (`startLeaderElection` in its `cmd/flagger/main.go`).
const LEASE: &str = "flagger-leader-election";

/// Where that Lease is unless Flagger is told otherwise (`-leader-election-namespace`).
const LEASE_NAMESPACE: &str = "kube-system";

/// A Lease that was not renewed for so many of its durations is nobody's. Its times are another machine's: this much
/// absorbs a clock that is off by as much as is tolerated at all.
const EXPIRED: i32 = 6;

/// The provider that Flagger uses when neither the Canary nor its own flags name one (`-mesh-provider`).
const DEFAULT_PROVIDER: &str = "istio";

/// Looks for the evidence. `silence` is how long no Canary must have shown a sign of life.
///
/// # Errors
/// Something could not be read.
pub async fn gather(
    cluster: &Cluster,
    canary: &Canary,
    silence: SignedDuration,
    now: Timestamp,
) -> Result<FlaggerEvidence, Error> {
    if anybody_lives(cluster, silence, now) {
        return Ok(FlaggerEvidence::default());
    }
    let flaggers = flaggers(cluster).await?;
    let down = !flaggers.is_empty() && are_down(cluster, &flaggers, now).await?;
    if !down {
        return Ok(FlaggerEvidence::default());
    }
    let provider = canary.spec.provider.clone().or_else(|| mesh_provider(&flaggers));
    let provider = provider.and_then(|provider| Provider::parse(&provider));
    let routes_on_primary = match provider {
        Some(provider) => are_routes_on_primary(cluster, canary, provider).await?,
        None => false,
    };
    Ok(FlaggerEvidence {
        down,
        routes_on_primary,
    })
}

/// Whether any Canary showed a sign of life.
fn anybody_lives(cluster: &Cluster, silence: SignedDuration, now: Timestamp) -> bool {
    cluster.watches.canaries.state().iter().any(|canary| {
        let signs = [canary.status.last_transition_time, cluster.watches.signs.last(canary)];
        // One from the future is some other machine's clock, or a forgery.
        let mut signs = signs.into_iter().flatten().filter(|sign| *sign <= now);
        signs.any(|sign| now.duration_since(sign) <= silence)
    })
}

/// The Deployments that run Flagger.
async fn flaggers(cluster: &Cluster) -> Result<Vec<Deployment>, Error> {
    let deployments: Api<Deployment> = Api::all(cluster.client.clone());
    let mut found = Vec::new();
    for labels in LABELS {
        let labelled = ListParams::default().labels(labels);
        found.extend(ask("look for Flagger", deployments.list(&labelled)).await?.items);
    }
    // Labels are anybody's to write; one that does not run Flagger proves nothing.
    found.retain(|deployment| containers(deployment).any(|container| is_flagger(container.image.as_deref())));
    Ok(found)
}

/// Whether none of them has a running pod, or the one that leads, if they elect one, has not renewed its Lease.
async fn are_down(cluster: &Cluster, flaggers: &[Deployment], now: Timestamp) -> Result<bool, Error> {
    let mut any_pod = false;
    for flagger in flaggers {
        any_pod |= has_running_pod(cluster, flagger).await?;
    }
    if !any_pod {
        return Ok(true);
    }
    // A Lease is left over where they do not elect a leader any more.
    let elect = |flagger: &Deployment| {
        let value = flag(flagger, "enable-leader-election");
        value.is_some_and(|value| value != "false")
    };
    if !flaggers.iter().all(elect) {
        return Ok(false);
    }
    let mut namespaces: Vec<_> = flaggers.iter().filter_map(ResourceExt::namespace).collect();
    namespaces.push(LEASE_NAMESPACE.to_owned());
    namespaces.dedup();
    for namespace in namespaces {
        let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), &namespace);
        if let Some(lease) = ask("read Flagger's Lease", leases.get_opt(LEASE)).await? {
            return Ok(is_expired(&lease, now));
        }
    }
    Ok(false)
}

async fn has_running_pod(cluster: &Cluster, flagger: &Deployment) -> Result<bool, Error> {
    let labels = flagger
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.match_labels.clone());
    let Some(labels) = labels.filter(|labels| !labels.is_empty()) else {
        return Ok(true);
    };
    let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let namespace = flagger.namespace().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &namespace);
    let labelled = ListParams::default().labels(&labels.join(","));
    let found = ask("look for Flagger's pods", pods.list(&labelled)).await?;
    Ok(found.items.iter().any(is_running))
}

/// Whether any container of a pod runs: it may work although its probe is starved.
fn is_running(pod: &Pod) -> bool {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    let runs = |state: &ContainerState| state.running.is_some();
    statuses.is_some_and(|all| all.iter().any(|status| status.state.as_ref().is_some_and(runs)))
}

/// Whether a Lease that somebody holds has not been renewed for long.
fn is_expired(lease: &Lease, now: Timestamp) -> bool {
    let Some(spec) = &lease.spec else { return false };
    if spec.holder_identity.as_ref().is_none_or(String::is_empty) {
        return false;
    }
    let (Some(renewed), Some(duration)) = (&spec.renew_time, spec.lease_duration_seconds) else {
        return false;
    };
    let limit = SignedDuration::from_secs(duration.max(1).into()).saturating_mul(EXPIRED);
    now.duration_since(renewed.0) > limit
}

/// The provider of Canaries that name none, if all Flaggers agree on it.
fn mesh_provider(flaggers: &[Deployment]) -> Option<String> {
    let mut named = flaggers
        .iter()
        .map(|flagger| flag(flagger, "mesh-provider").unwrap_or_else(|| DEFAULT_PROVIDER.to_owned()));
    let first = named.next()?;
    named.all(|other| other == first).then_some(first)
}

/// The value of one of Flagger's flags as Go reads it: `-name=value`, `-name value`, or `-name` alone for true, with one
/// dash or two.
fn flag(flagger: &Deployment, name: &str) -> Option<String> {
    let words: Vec<_> = containers(flagger)
        .flat_map(|container| container.command.iter().chain(&container.args).flatten())
        .collect();
    let place = words.iter().rposition(|word| {
        let bare = word.trim_start_matches('-');
        word.starts_with('-') && (bare == name || bare.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
    })?;
    let value = match words[place].split_once('=') {
        Some((_, value)) => value,
        None => words
            .get(place + 1)
            .filter(|next| !next.starts_with('-'))
            .map_or("true", |next| next.as_str()),
    };
    Some(value.trim_matches('"').to_owned())
}

fn containers(deployment: &Deployment) -> impl Iterator<Item = &Container> {
    let spec = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    spec.into_iter().flat_map(|spec| &spec.containers)
}

/// Whether an image is Flagger's, in whatever registry.
fn is_flagger(image: Option<&str>) -> bool {
    let last = image.and_then(|image| image.rsplit('/').next());
    last.is_some_and(|name| name.split([':', '@']).next() == Some("flagger"))
}

async fn are_routes_on_primary(cluster: &Cluster, canary: &Canary, provider: Provider) -> Result<bool, Error> {
    let (namespace, apex) = (canary.namespace(), canary.apex_name());
    let object = match provider {
        Provider::Kubernetes => {
            let services: Api<Service> = Api::namespaced(cluster.client.clone(), namespace);
            let service = ask("read the apex Service", services.get_opt(apex)).await?;
            service.and_then(|service| serde_json::to_value(service).ok())
        }
        Provider::GatewayApi => {
            routes_object(cluster, namespace, apex, "gateway.networking.k8s.io", "v1", "HTTPRoute").await?
        }
        Provider::Istio => {
            routes_object(
                cluster,
                namespace,
                apex,
                "networking.istio.io",
                "v1beta1",
                "VirtualService",
            )
            .await?
        }
    };
    Ok(object.is_some_and(|object| routes::are_on_primary(provider, &object, canary)))
}

async fn routes_object(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    group: &str,
    version: &str,
    kind: &str,
) -> Result<Option<Value>, Error> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), namespace, &resource);
    let found = ask("read the provider's routes", api.get_opt(name)).await?;
    Ok(found.and_then(|object| serde_json::to_value(object).ok()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn flagger(args: &Value) -> Deployment {
        serde_json::from_value(json!({"spec": {"selector": {}, "template": {"spec": {"containers": [
            {"name": "flagger", "args": args}]}}}}))
        .expect("a Deployment")
    }

    #[test]
    fn the_provider_is_what_flaggers_flags_name_or_its_default() {
        for (args, named) in [
            (json!(["-log-level=info", "-mesh-provider=kubernetes"]), "kubernetes"),
            (json!(["--mesh-provider=gatewayapi:v1"]), "gatewayapi:v1"),
            (json!(["-mesh-provider", "nginx", "-port=8080"]), "nginx"),
            (json!(["-log-level=info", "-mesh-provider-else=nginx"]), "istio"),
        ] {
            assert_eq!(mesh_provider(&[flagger(&args)]).as_deref(), Some(named), "{args}");
        }
        let two = [
            flagger(&json!(["-mesh-provider=istio"])),
            flagger(&json!(["-mesh-provider=nginx"])),
        ];
        assert_eq!(mesh_provider(&two), None, "nobody knows which of them it was");
    }

    #[test]
    fn leader_election_is_a_flag_without_a_value_too() {
        for (args, value) in [
            (json!(["-enable-leader-election"]), Some("true")),
            (json!(["-enable-leader-election=false"]), Some("false")),
            (json!(["-enable-leader-election", "-port=8080"]), Some("true")),
            (json!(["-port=8080"]), None),
        ] {
            assert_eq!(
                flag(&flagger(&args), "enable-leader-election").as_deref(),
                value,
                "{args}"
            );
        }
    }

    #[test]
    fn only_what_runs_flaggers_image_is_flagger() {
        for (image, is) in [
            ("ghcr.io/fluxcd/flagger:1.44.0", true),
            ("registry:5000/mirror/flagger@sha256:0a", true),
            ("flagger", true),
            ("ghcr.io/fluxcd/flagger-loadtester:0.36.0", false),
            ("nginx", false),
        ] {
            assert_eq!(is_flagger(Some(image)), is, "{image}");
        }
    }

    #[test]
    fn a_pod_runs_while_any_of_its_containers_does() {
        let pod = |state: Value| {
            let status = json!({"containerStatuses": [{"name": "flagger", "image": "", "imageID": "", "ready": false,
                "restartCount": 0, "state": state}]});
            serde_json::from_value::<Pod>(json!({"status": status})).expect("a pod")
        };
        assert!(is_running(&pod(json!({"running": {}}))));
        assert!(!is_running(&pod(json!({"waiting": {"reason": "CrashLoopBackOff"}}))));
        assert!(!is_running(&Pod::default()));
    }

    #[test]
    fn a_lease_is_expired_when_it_was_not_renewed_for_long() {
        let lease = |spec: &Value| serde_json::from_value::<Lease>(json!({"spec": spec})).expect("a Lease");
        let now = "2026-11-23T14:10:00Z".parse().expect("a time");
        let renewed =
            |time: &str| lease(&json!({"holderIdentity": "flagger-1", "renewTime": time, "leaseDurationSeconds": 60}));
        assert!(is_expired(&renewed("2026-11-23T14:03:00.000000Z"), now));
        assert!(!is_expired(&renewed("2026-11-23T14:05:00.000000Z"), now));
        assert!(!is_expired(&lease(&json!({"leaseDurationSeconds": 60})), now));
        let released =
            json!({"holderIdentity": "", "renewTime": "2026-11-23T13:00:00.000000Z", "leaseDurationSeconds": 1});
        assert!(!is_expired(&lease(&released), now), "nobody holds it");
        assert!(!is_expired(&lease(&json!({})), now));
    }
}
