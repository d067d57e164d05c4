//! A Canary's surroundings, as far as they were given: what is not among the files may well be in the cluster, so
//! nothing is missing here, only unknown.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::object::{Kind, Object};
use crate::{
    flagger::{
        canary::{AutoscalerRef, Canary, whole_number},
        workload::Workload,
    },
    rollout::target_ref::TargetRef,
    rules::lookup::{Lookup, LookupResult},
};

/// The `progressDeadlineSeconds` that the API server gives a Deployment without one (`SetDefaults_Deployment` in
/// Kubernetes' `pkg/apis/apps/v1/defaults.go`).
const DEPLOYMENT_DEADLINE: i64 = 600;

/// What was given beside each Canary, and what was said about Flagger.
#[derive(Clone, Debug, Default)]
pub struct Given {
    provider: Option<String>,
    selector_labels: Option<Vec<String>>,
    /// By kind, namespace and name.
    workloads: BTreeMap<(String, String, String), Arc<Workload>>,
    /// Kind, namespace and name.
    scalers: BTreeSet<(String, String, String)>,
    canaries: Vec<Neighbour>,
}

/// A Canary, as the others see it.
#[derive(Clone, Debug)]
struct Neighbour {
    namespace: String,
    name: String,
    target: String,
    apex: String,
    scaled: bool,
}

/// An autoscaler, its target and the fewest pods that it leaves it.
struct Scaler<'a> {
    namespace: &'a str,
    target: (&'a str, &'a str),
    least: i64,
}

// === impl Given ===

impl Given {
    /// Takes in all that was given.
    #[must_use]
    pub fn new(objects: &[Object], provider: Option<String>, selector_labels: Option<Vec<String>>) -> Self {
        let mut given = Self {
            provider,
            selector_labels,
            ..Self::default()
        };
        let mut scalers = Vec::new();
        for object in objects {
            match object.kind {
                Kind::Canary => given.canaries.push(Neighbour::new(object)),
                Kind::HorizontalPodAutoscaler => {
                    scalers.push(Scaler::new(object, "minReplicas", 1));
                    given.scalers.insert(key("HorizontalPodAutoscaler", object));
                }
                Kind::ScaledObject => {
                    scalers.push(Scaler::new(object, "minReplicaCount", 0));
                    given.scalers.insert(key("ScaledObject", object));
                }
                Kind::Deployment | Kind::DaemonSet | Kind::Policy | Kind::Namespace => {}
            }
        }
        for object in objects {
            match object.kind {
                Kind::Deployment => {
                    let stored = given.as_stored(object, &scalers);
                    let workload = Arc::new(Workload::deployment(&stored));
                    given.workloads.insert(key("Deployment", object), workload);
                }
                Kind::DaemonSet => {
                    let workload = Arc::new(Workload::daemon_set(&object.json));
                    given.workloads.insert(key("DaemonSet", object), workload);
                }
                Kind::Canary | Kind::HorizontalPodAutoscaler | Kind::ScaledObject | Kind::Policy | Kind::Namespace => {}
            }
        }
        given
    }

    /// A Deployment with what the API server fills in. Where an autoscaler sets the number of pods, it is the fewest
    /// that this one leaves, and 0, which nobody judges, if that was not given.
    fn as_stored(&self, object: &Object, scalers: &[Scaler<'_>]) -> Value {
        let mut stored = object.json.clone();
        let Some(spec) = stored["spec"].as_object_mut() else {
            return stored;
        };
        spec.entry("progressDeadlineSeconds")
            .or_insert(json!(DEPLOYMENT_DEADLINE));
        let (namespace, name) = (object.namespace.as_str(), object.name.as_str());
        let given = scalers
            .iter()
            .find(|scaler| scaler.namespace == namespace && scaler.target == ("Deployment", name));
        let is_named = self
            .canaries
            .iter()
            .any(|canary| canary.scaled && canary.namespace == namespace && canary.target == name);
        let least = match given {
            Some(scaler) => Some(scaler.least),
            None if is_named => Some(0),
            None => None,
        };
        if let Some(least) = least {
            spec.entry("replicas").or_insert(json!(least));
        }
        stored
    }

    fn others(&self, namespace: &str, except: &str, shares: impl Fn(&Neighbour) -> bool) -> LookupResult<Vec<String>> {
        let others: BTreeSet<_> = self
            .canaries
            .iter()
            .filter(|other| other.namespace == namespace && other.name != except && shares(other))
            .map(|other| other.name.clone())
            .collect();
        LookupResult::Found(others.into_iter().collect())
    }
}

impl Lookup for Given {
    fn provider(&self) -> Option<&str> {
        self.provider.as_deref()
    }

    fn selector_labels(&self) -> Option<&[String]> {
        self.selector_labels.as_deref()
    }

    fn workload(&self, namespace: &str, target: &TargetRef) -> LookupResult<Arc<Workload>> {
        let key = (target.kind.clone(), namespace.to_owned(), target.name.clone());
        self.workloads.get(&key).map_or(LookupResult::NotTracked, |workload| {
            LookupResult::Found(Arc::clone(workload))
        })
    }

    fn scaler(&self, namespace: &str, scaler: &AutoscalerRef) -> LookupResult<()> {
        let key = (scaler.kind.clone(), namespace.to_owned(), scaler.name.clone());
        if self.scalers.contains(&key) {
            LookupResult::Found(())
        } else {
            LookupResult::NotTracked
        }
    }

    fn others_on_target(&self, namespace: &str, target: &str, except: &str) -> LookupResult<Vec<String>> {
        self.others(namespace, except, |other| other.target == target)
    }

    fn others_at_apex(&self, namespace: &str, apex: &str, except: &str) -> LookupResult<Vec<String>> {
        self.others(namespace, except, |other| other.apex == apex)
    }
}

fn key(kind: &str, object: &Object) -> (String, String, String) {
    (kind.to_owned(), object.namespace.clone(), object.name.clone())
}

// === impl Neighbour ===

impl Neighbour {
    fn new(object: &Object) -> Self {
        let canary = Canary::from_json(object.json.clone());
        Self {
            namespace: object.namespace.clone(),
            // The name that the rules know it by, which one with a generated name has not yet.
            name: canary.name().to_owned(),
            apex: canary.apex_name().to_owned(),
            scaled: canary.spec.autoscaler.is_some(),
            target: canary.spec.target.name,
        }
    }
}

// === impl Scaler ===

impl<'a> Scaler<'a> {
    fn new(object: &'a Object, least: &str, default: i64) -> Self {
        let spec = &object.json["spec"];
        let target = &spec["scaleTargetRef"];
        Self {
            namespace: &object.namespace,
            // KEDA leaves the kind out for a Deployment.
            target: (
                target["kind"].as_str().unwrap_or("Deployment"),
                target["name"].as_str().unwrap_or_default(),
            ),
            least: whole_number(&spec[least]).unwrap_or(default),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::{object::objects, yaml};

    fn given(text: &str) -> Given {
        let file = Arc::from("x.yaml");
        let all: Vec<_> = yaml::documents(text)
            .into_iter()
            .flat_map(|document| objects(&file, document.expect("a document")).0)
            .collect();
        Given::new(&all, None, None)
    }

    fn target(kind: &str, name: &str) -> TargetRef {
        TargetRef {
            kind: kind.to_owned(),
            name: name.to_owned(),
            ..TargetRef::default()
        }
    }

    #[test]
    fn what_was_given_is_there_in_its_namespace_and_nothing_is_missing() {
        let given = given(
            "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: web}}\n---\n\
             {apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: web}}\n",
        );
        let is_there =
            |namespace, kind| matches!(given.workload(namespace, &target(kind, "web")), LookupResult::Found(_));
        assert!(is_there("default", "DaemonSet"));
        assert!(!is_there("shop", "DaemonSet") && !is_there("default", "Deployment"));
        assert_eq!(
            given.workload("default", &target("DaemonSet", "api")),
            LookupResult::NotTracked
        );
        let scaler = |kind: &str| {
            let name = "web".to_owned();
            let kind = kind.to_owned();
            given.scaler("default", &AutoscalerRef { kind, name })
        };
        assert_eq!(scaler("ScaledObject"), LookupResult::Found(()));
        assert_eq!(scaler("HorizontalPodAutoscaler"), LookupResult::NotTracked);
    }

    #[test]
    fn a_deployment_is_judged_with_what_the_api_server_fills_in() {
        let hpa = |least: &str| {
            format!(
                "---\n{{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {{name: x}},\n\
                 \x20spec: {{scaleTargetRef: {{kind: Deployment, name: web}}{least}}}}}\n"
            )
        };
        let scaled = "---\n{apiVersion: flagger.app/v1beta1, kind: Canary, metadata: {name: web},\n\
                      \x20spec: {targetRef: {name: web}, autoscalerRef: {kind: ScaledObject, name: x}}}\n";
        for (spec, beside, wanted, deadline) in [
            ("{}", String::new(), 1, 600),
            (
                "{replicas: 3, progressDeadlineSeconds: 60}",
                hpa(", minReplicas: 5"),
                3,
                60,
            ),
            ("{}", hpa(", minReplicas: 5"), 5, 600),
            ("{}", hpa(""), 1, 600),
            ("{}", scaled.to_owned(), 0, 600),
        ] {
            let text =
                format!("{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, spec: {spec}}}\n{beside}");
            let LookupResult::Found(workload) = given(&text).workload("default", &target("Deployment", "web")) else {
                panic!("it is there: {text}")
            };
            assert_eq!(
                (workload.wanted, workload.progress_deadline),
                (wanted, Some(deadline)),
                "{text}"
            );
        }
    }

    #[test]
    fn neighbours_are_the_other_canaries_of_the_namespace() {
        let canary = |namespace: &str, name: &str, target: &str| {
            format!(
                "---\n{{apiVersion: flagger.app/v1beta1, kind: Canary, metadata: {{name: {name}, namespace: {namespace}}},\n\
                 \x20spec: {{targetRef: {{name: {target}}}, service: {{name: front}}}}}}\n"
            )
        };
        let all = [
            canary("shop", "web", "web"),
            canary("shop", "web", "web"),
            canary("shop", "old", "web"),
            canary("shop", "old", "web"),
            canary("shop", "api", "api"),
            canary("test", "new", "web"),
        ];
        let given = given(&all.concat());
        let there =
            |names: &[&str]| LookupResult::Found(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(given.others_on_target("shop", "web", "web"), there(&["old"]));
        assert_eq!(given.others_at_apex("shop", "front", "web"), there(&["api", "old"]));
        assert_eq!(given.others_on_target("test", "web", "new"), there(&[]));
    }
}
