//! Evidence for the last resort: is Flagger down, and does all traffic go to the primary?
//!
//! What is not known for certain counts against: a Flagger that cannot be found may be anywhere, and a provider whose
//! routes Curfew cannot read may send traffic to what is about to be taken away.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::Deployment,
    coordination::v1::Lease,
    core::v1::{Pod, Service},
};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};
use serde_json::Value;

use super::{Context, Error, ask};
use crate::{
    deadline::observe::Surroundings,
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
    context: &Context,
    canary: &Canary,
    silence: SignedDuration,
    now: Timestamp,
) -> Result<Surroundings, Error> {
    if anybody_lives(context, silence, now) {
        return Ok(Surroundings::default());
    }
    let flaggers = flaggers(context).await?;
    let flagger_down = !flaggers.is_empty() && are_down(context, &flaggers, now).await?;
    if !flagger_down {
        return Ok(Surroundings::default());
    }
    let provider = canary.spec.provider.clone().or_else(|| mesh_provider(&flaggers));
    let provider = Provider::parse(provider.as_deref().unwrap_or(DEFAULT_PROVIDER));
    let routes_on_primary = match provider {
        Some(provider) => are_routes_on_primary(context, canary, provider).await?,
        None => false,
    };
    Ok(Surroundings {
        flagger_down,
        routes_on_primary,
    })
}

/// Whether any Canary showed a sign of life.
fn anybody_lives(context: &Context, silence: SignedDuration, now: Timestamp) -> bool {
    context.watches.canaries.state().iter().any(|canary| {
        let sign = canary
            .status
            .last_transition_time
            .max(context.watches.signs.last(canary));
        sign.is_some_and(|sign| now.duration_since(sign) <= silence)
    })
}

/// The Deployments that run Flagger.
async fn flaggers(context: &Context) -> Result<Vec<Deployment>, Error> {
    let deployments: Api<Deployment> = Api::all(context.client.clone());
    for labels in LABELS {
        let labelled = ListParams::default().labels(labels);
        let found = ask("look for Flagger", deployments.list(&labelled)).await?.items;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// Whether none of them has a running pod, or the one that leads has not renewed its Lease.
async fn are_down(context: &Context, flaggers: &[Deployment], now: Timestamp) -> Result<bool, Error> {
    let mut any_pod = false;
    for flagger in flaggers {
        any_pod |= has_ready_pod(context, flagger).await?;
    }
    if !any_pod {
        return Ok(true);
    }
    let mut namespaces: Vec<_> = flaggers.iter().filter_map(ResourceExt::namespace).collect();
    namespaces.push(LEASE_NAMESPACE.to_owned());
    namespaces.dedup();
    for namespace in namespaces {
        let leases: Api<Lease> = Api::namespaced(context.client.clone(), &namespace);
        if let Some(lease) = ask("read Flagger's Lease", leases.get_opt(LEASE)).await? {
            return Ok(is_expired(&lease, now));
        }
    }
    Ok(false)
}

async fn has_ready_pod(context: &Context, flagger: &Deployment) -> Result<bool, Error> {
    let labels = flagger
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.match_labels.clone());
    let Some(labels) = labels.filter(|labels| !labels.is_empty()) else {
        return Ok(true);
    };
    let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let namespace = flagger.namespace().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &namespace);
    let labelled = ListParams::default().labels(&labels.join(","));
    let found = ask("look for Flagger's pods", pods.list(&labelled)).await?;
    Ok(found.items.iter().any(is_ready))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|it| it.type_ == "Ready" && it.status == "True"))
}

/// Whether a Lease that somebody holds has not been renewed for long.
fn is_expired(lease: &Lease, now: Timestamp) -> bool {
    let Some(spec) = &lease.spec else { return false };
    let (Some(renewed), Some(duration)) = (&spec.renew_time, spec.lease_duration_seconds) else {
        return false;
    };
    let limit = SignedDuration::from_secs(duration.max(1).into()).saturating_mul(EXPIRED);
    now.duration_since(renewed.0) > limit
}

/// What Flagger's own flags name, if all of them agree.
fn mesh_provider(flaggers: &[Deployment]) -> Option<String> {
    let mut named = flaggers.iter().map(|flagger| {
        let containers = &flagger.spec.as_ref()?.template.spec.as_ref()?.containers;
        let args = containers
            .iter()
            .flat_map(|container| container.args.iter().chain(&container.command).flatten());
        args.filter_map(|arg| arg.trim_start_matches('-').strip_prefix("mesh-provider="))
            .next_back()
            .map(|provider| provider.trim_matches('"').to_owned())
    });
    let first = named.next()??;
    named.all(|other| other.as_ref() == Some(&first)).then_some(first)
}

async fn are_routes_on_primary(context: &Context, canary: &Canary, provider: Provider) -> Result<bool, Error> {
    let (namespace, apex) = (canary.namespace(), canary.apex_name());
    let object = match provider {
        Provider::Kubernetes => {
            let services: Api<Service> = Api::namespaced(context.client.clone(), namespace);
            let service = ask("read the apex Service", services.get_opt(apex)).await?;
            service.and_then(|service| serde_json::to_value(service).ok())
        }
        Provider::GatewayApi => {
            routes_object(context, namespace, apex, "gateway.networking.k8s.io", "v1", "HTTPRoute").await?
        }
        Provider::Istio => {
            routes_object(
                context,
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
    context: &Context,
    namespace: &str,
    name: &str,
    group: &str,
    version: &str,
    kind: &str,
) -> Result<Option<Value>, Error> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), namespace, &resource);
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
    fn the_provider_is_what_flaggers_flags_name() {
        for (args, named) in [
            (
                json!(["-log-level=info", "-mesh-provider=kubernetes"]),
                Some("kubernetes"),
            ),
            (json!(["--mesh-provider=gatewayapi:v1"]), Some("gatewayapi:v1")),
            (json!(["-log-level=info"]), None),
        ] {
            assert_eq!(mesh_provider(&[flagger(&args)]).as_deref(), named, "{args}");
        }
        let two = [
            flagger(&json!(["-mesh-provider=istio"])),
            flagger(&json!(["-mesh-provider=nginx"])),
        ];
        assert_eq!(mesh_provider(&two), None, "nobody knows which of them it was");
    }

    #[test]
    fn a_lease_is_expired_when_it_was_not_renewed_for_long() {
        let lease = |spec: &Value| serde_json::from_value::<Lease>(json!({"spec": spec})).expect("a Lease");
        let now = "2026-11-23T14:10:00Z".parse().expect("a time");
        let renewed = |time: &str| lease(&json!({"renewTime": time, "leaseDurationSeconds": 60}));
        assert!(is_expired(&renewed("2026-11-23T14:03:00.000000Z"), now));
        assert!(!is_expired(&renewed("2026-11-23T14:05:00.000000Z"), now));
        assert!(!is_expired(&lease(&json!({"leaseDurationSeconds": 60})), now));
        assert!(!is_expired(&lease(&json!({})), now));
    }
}
