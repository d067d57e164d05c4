//! The objects of a document that matter here: Canaries, and what their rules look at.

use std::sync::Arc;

use serde_json::Value;

use super::document::{Content, Node, Place};
use crate::policy::{GROUP, crd::VERSION};

/// Where kubectl puts what names no namespace.
const DEFAULT_NAMESPACE: &str = "default";

/// Why no cluster takes a Canary without a name.
const NAMELESS: &str =
    "this Canary has no name, or one that is no text, so that no cluster takes it; write metadata.name";

/// An object of a kind that matters here.
#[derive(Clone, Debug)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name; of one that gets its name from the cluster, what that begins with.
    pub name: String,
    /// The name of the file that it is in.
    pub file: Arc<str>,
    /// Its fields with their places.
    pub node: Node,
    /// The same as JSON.
    pub json: Value,
}

/// The kinds that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Flagger's Canary.
    Canary,
    /// A Deployment of `apps`.
    Deployment,
    /// A `DaemonSet` of `apps`.
    DaemonSet,
    /// A `HorizontalPodAutoscaler`.
    HorizontalPodAutoscaler,
    /// KEDA's `ScaledObject`.
    ScaledObject,
    /// A `CanaryPolicy`.
    Policy,
    /// A Namespace, for its labels.
    Namespace,
}

/// What nothing would come of, although somebody meant it: where it is, and why.
pub type Stray = (Place, String);

/// The objects of a document, those in lists too, and those that were meant to be ones.
#[must_use]
pub fn objects(file: &Arc<str>, document: Node) -> (Vec<Object>, Vec<Stray>) {
    let (mut found, mut strays) = (Vec::new(), Vec::new());
    let mut rest = vec![(document, String::new(), String::new())];
    // What is in a list of one kind need not say its kind again.
    while let Some((node, api_version, kind)) = rest.pop() {
        let said = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
        let api_version = said("apiVersion").unwrap_or(api_version);
        let kind = said("kind").unwrap_or(kind);
        let items = node.get("items").map(|items| &items.content);
        if let (Some(of), Some(Content::List(items))) = (kind.strip_suffix("List"), items) {
            let inherited = if of.is_empty() { "" } else { &api_version };
            rest.extend(
                items
                    .iter()
                    .rev()
                    .map(|item| (item.clone(), inherited.to_owned(), of.to_owned())),
            );
        } else if let Some(kind) = Kind::of(&api_version, &kind) {
            let object = Object::new(kind, Arc::clone(file), node);
            if kind == Kind::Canary && object.name.is_empty() {
                strays.push((object.node.place("metadata.name"), NAMELESS.to_owned()));
            }
            found.push(object);
        } else if let Some(why) = stray(&api_version, &kind) {
            strays.push((node.at, why));
        }
    }
    (found, strays)
}

/// Why an object that is none of ours was meant to be one, if it was.
fn stray(api_version: &str, kind: &str) -> Option<String> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match (group, kind) {
        ("", _) if kind.eq_ignore_ascii_case("Canary") => {
            Some("this looks like a Canary; write apiVersion flagger.app/v1beta1 and kind Canary".to_owned())
        }
        ("", _) if kind.eq_ignore_ascii_case("CanaryPolicy") => Some(format!(
            "this looks like a policy; write apiVersion {GROUP}/{VERSION} and kind CanaryPolicy"
        )),
        ("flagger.app", "MetricTemplate" | "AlertProvider") => None,
        ("flagger.app", _) => Some(format!(
            "flagger.app has no kind {kind:?}, so that nothing comes of this; its kinds are Canary, MetricTemplate and AlertProvider"
        )),
        (GROUP, _) => Some(format!(
            "{GROUP} has no kind {kind:?}, so that nothing comes of this; its kind is CanaryPolicy"
        )),
        _ => None,
    }
}

// === impl Kind ===

impl Kind {
    fn of(api_version: &str, kind: &str) -> Option<Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        match (group, kind) {
            ("flagger.app", "Canary") => Some(Self::Canary),
            ("apps", "Deployment") => Some(Self::Deployment),
            ("apps", "DaemonSet") => Some(Self::DaemonSet),
            ("autoscaling", "HorizontalPodAutoscaler") => Some(Self::HorizontalPodAutoscaler),
            ("keda.sh", "ScaledObject") => Some(Self::ScaledObject),
            (GROUP, "CanaryPolicy") => Some(Self::Policy),
            ("", "Namespace") => Some(Self::Namespace),
            _ => None,
        }
    }
}

// === impl Object ===

impl Object {
    fn new(kind: Kind, file: Arc<str>, node: Node) -> Self {
        let json = node.to_json();
        let metadata = |key: &str| json["metadata"][key].as_str().filter(|text| !text.is_empty());
        Self {
            kind,
            namespace: metadata("namespace").unwrap_or(DEFAULT_NAMESPACE).to_owned(),
            name: metadata("name")
                .or_else(|| metadata("generateName"))
                .unwrap_or_default()
                .to_owned(),
            file,
            node,
            json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::yaml;

    fn found(text: &str) -> Vec<(Kind, String, String)> {
        let file = Arc::from("x.yaml");
        yaml::documents(text)
            .into_iter()
            .flat_map(|document| objects(&file, document.expect("a document")).0)
            .map(|object| (object.kind, object.namespace, object.name))
            .collect()
    }

    fn expected(all: &[(Kind, &str, &str)]) -> Vec<(Kind, String, String)> {
        all.iter()
            .map(|(kind, namespace, name)| (*kind, (*namespace).to_owned(), (*name).to_owned()))
            .collect()
    }

    #[test]
    fn what_matters_is_found_and_the_rest_is_not_looked_at() {
        let text = "
{apiVersion: flagger.app/v1beta1, kind: Canary, metadata: {name: web, namespace: shop}}
--- # no namespace
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}
---
{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {generateName: web-, namespace: ''}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: serving.knative.dev/v1, kind: Deployment, metadata: {name: other}}
---
{apiVersion: example.com/v1, kind: Canary, metadata: {name: other}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}}
---
- a list
---
kind: 7
---
text
";
        assert_eq!(
            found(text),
            expected(&[
                (Kind::Canary, "shop", "web"),
                (Kind::Deployment, "default", "web"),
                (Kind::ScaledObject, "default", "web-"),
                (Kind::Namespace, "default", "shop"),
            ])
        );
    }

    #[test]
    fn lists_are_opened_in_their_order() {
        let text = "
apiVersion: v1
kind: List
items:
- {apiVersion: flagger.app/v1beta1, kind: Canary, metadata: {name: a}}
- apiVersion: apps/v1
  kind: DeploymentList
  items:
  - metadata: {name: b}
  - metadata: {name: c}
- {metadata: {name: lost}}
---
apiVersion: flagger.app/v1beta1
kind: CanaryList
items: [{metadata: {name: d}}]
---
{apiVersion: flagger.app/v1beta1, kind: CanaryList, items: none}
";
        assert_eq!(
            found(text),
            expected(&[
                (Kind::Canary, "default", "a"),
                (Kind::Deployment, "default", "b"),
                (Kind::Deployment, "default", "c"),
                (Kind::Canary, "default", "d"),
            ])
        );
    }

    #[test]
    fn what_was_meant_to_be_ours_and_is_not_is_told() {
        let file = Arc::from("x.yaml");
        for (text, judged, words) in [
            ("{kind: Canary}", 0, "write apiVersion flagger.app/v1beta1"),
            (
                "{apiVersion: flagger.app/v1beta1, kind: canary}",
                0,
                "no kind \"canary\"",
            ),
            (
                "{apiVersion: curfew.dev/v1alpha1, kind: CanaryPolcy}",
                0,
                "its kind is CanaryPolicy",
            ),
            ("{kind: CanaryPolicy}", 0, "write apiVersion curfew.dev/v1alpha1"),
            ("{apiVersion: flagger.app/v1beta1, kind: AlertProvider}", 0, ""),
            ("{apiVersion: v1, kind: ConfigMap}", 0, ""),
            ("{apiVersion: example.com/v1, kind: Canary}", 0, ""),
            (
                "{apiVersion: flagger.app/v1beta1, kind: Canary, metadata: {name: 7}}",
                1,
                "has no name",
            ),
            (
                "{apiVersion: flagger.app/v1beta1, kind: Canary, metadata: {generateName: web-}}",
                1,
                "",
            ),
        ] {
            let document = yaml::documents(text).remove(0).expect("a document");
            let (found, strays) = objects(&file, document);
            assert_eq!(found.len(), judged, "{text}");
            let said = strays.first().map_or("", |(_, why)| why);
            assert!(
                said.contains(words) && said.is_empty() == words.is_empty(),
                "{text}: {said}"
            );
        }
    }
}
