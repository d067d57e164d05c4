//! The policy objects of the cluster: watched, read one by one, and put in force together with those of the file.
//!
//! An object that cannot be used keeps the last spec of it that could, and is left out if there was none: nobody loses
//! a guard by a mistake elsewhere. While the watch is down everything stays as it was. Where the definition is not installed
//! there are no objects, and it is looked for again.

use std::{collections::BTreeMap, time::Duration};

use futures::{Stream, StreamExt};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{WatchStreamExt, watcher},
};

use super::{
    policies::{InForce, PolicyState},
    relist::{FixedBackoff, relisting},
};
use crate::{
    policy::{
        Checked, GROUP, Policies,
        crd::{KIND, VERSION},
    },
    rules,
};

/// The pause before a watch that failed is begun again, also where there is no definition yet.
const BEGIN_AGAIN: Duration = Duration::from_secs(2);

/// So often in a row there must be no definition before objects that were there are taken for gone: the API server may say
/// so while it starts.
const GONE: u32 = 3;

/// What is known of the policy objects, and what holds besides.
struct Objects {
    /// Those of the file. An object of the same name wins.
    file: Vec<Checked>,
    /// Nothing before the first list is complete.
    known: Option<BTreeMap<String, Known>>,
    /// What a list has brought so far.
    listing: BTreeMap<String, Known>,
    /// How often in a row there was no definition.
    missing: u32,
}

/// One policy object.
#[derive(Clone)]
struct Known {
    state: PolicyState,
    /// The last spec that could be used, and its generation.
    good: Option<(Checked, i64)>,
}

/// What an event comes to.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// Nothing that matters to anybody.
    None,
    /// All objects are known.
    Listed,
    /// They cannot be seen.
    Failed(String),
}

/// Watches the policy objects and puts them in force, together with those of the file. The stream must be polled;
/// it says when all of them are known, and why they cannot be.
pub fn watch(
    client: &Client,
    file: Vec<Checked>,
    in_force: InForce,
) -> impl Stream<Item = Result<(), String>> + Send + use<> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, KIND));
    let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
    let mut objects = Objects::new(file);
    relisting(move || watcher(api.clone(), watcher::Config::default()).backoff(FixedBackoff(BEGIN_AGAIN))).filter_map(
        move |event| {
            let news = objects.take(event);
            if let Some(known) = &objects.known {
                in_force.note_states(known.values().map(|known| known.state.clone()).collect());
                let policies = Policies::new(objects.merged());
                // Who writes the status of an object changes nothing of what holds.
                if !(in_force.is_known() && policies.all().eq(in_force.current().all())) {
                    let names: Vec<_> = policies.all().map(|policy| policy.name.as_str()).collect();
                    tracing::info!(policies = names.join(", "), "policies are in force");
                    in_force.replace(policies);
                }
            }
            futures::future::ready(match news {
                News::None => None,
                News::Listed => Some(Ok(())),
                News::Failed(why) => Some(Err(why)),
            })
        },
    )
}

// === impl Objects ===

impl Objects {
    const fn new(file: Vec<Checked>) -> Self {
        Self {
            file,
            known: None,
            listing: BTreeMap::new(),
            missing: 0,
        }
    }

    fn take(&mut self, event: Result<watcher::Event<DynamicObject>, watcher::Error>) -> News {
        match event {
            Ok(watcher::Event::Init) => {
                self.listing.clear();
                News::None
            }
            Ok(watcher::Event::InitApply(object)) => {
                let known = self.read(&object);
                self.listing.insert(object.name_any(), known);
                News::None
            }
            Ok(watcher::Event::InitDone) => {
                self.known = Some(std::mem::take(&mut self.listing));
                self.missing = 0;
                News::Listed
            }
            Ok(watcher::Event::Apply(object)) => {
                let known = self.read(&object);
                self.known.get_or_insert_default().insert(object.name_any(), known);
                News::None
            }
            Ok(watcher::Event::Delete(object)) => {
                self.known.get_or_insert_default().remove(&object.name_any());
                News::None
            }
            Err(watcher::Error::InitialListFailed(kube::Error::Api(status))) if status.code == 404 => {
                self.missing = self.missing.saturating_add(1);
                if self.missing == 1 {
                    tracing::info!("the cluster knows no CanaryPolicy yet; other policies hold");
                }
                if self.known.is_none() || self.missing == GONE {
                    self.known = Some(BTreeMap::new());
                }
                News::Listed
            }
            Err(error) => {
                tracing::warn!(%error, "policies cannot be watched; the last ones hold, and it is tried again");
                News::Failed(error.to_string())
            }
        }
    }

    /// Reads an object. What cannot be used keeps what could be used of the same object before.
    fn read(&self, object: &DynamicObject) -> Known {
        let (name, uid) = (object.name_any(), object.uid().unwrap_or_default());
        let generation = object.metadata.generation.unwrap_or_default();
        let before = self.known.as_ref().and_then(|known| known.get(&name));
        let before = before.filter(|before| before.state.uid == uid);
        let (good, accepted) = match Checked::read(&name, &object.data["spec"], &rules::vocabulary()) {
            Ok(checked) => (Some((checked, generation)), Ok(())),
            Err(why) => {
                let good = before.and_then(|before| before.good.clone());
                let instead = good.as_ref().map_or_else(
                    || "the policy is left out until it is fixed".to_owned(),
                    |(_, generation)| format!("what generation {generation} said holds on until it is fixed"),
                );
                (good, Err(format!("{why}; {instead}")))
            }
        };
        if let Err(why) = &accepted
            && before.is_none_or(|before| before.state.accepted != accepted)
        {
            tracing::warn!(name, generation, why, "a CanaryPolicy cannot be used");
        }
        Known {
            state: PolicyState {
                name,
                uid,
                generation,
                accepted,
            },
            good,
        }
    }

    /// All policies that can be used.
    fn merged(&self) -> Vec<Checked> {
        let objects: BTreeMap<_, _> = self.known.iter().flatten().filter_map(Known::usable).collect();
        let is_of_file = |policy: &&Checked| !objects.contains_key(policy.policy().name.as_str());
        let file = self.file.iter().filter(is_of_file);
        file.chain(objects.values().copied()).cloned().collect()
    }
}

// === impl Known ===

impl Known {
    /// Its name, and what can be used of it.
    fn usable<'a>((name, known): (&'a String, &'a Self)) -> Option<(&'a str, &'a Checked)> {
        Some((name, &known.good.as_ref()?.0))
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::{Value, json};

    use super::*;
    use crate::policy::file;

    fn object(name: &str, generation: i64, spec: &Value) -> DynamicObject {
        let metadata = json!({"name": name, "uid": format!("uid-{name}"), "generation": generation,
            "resourceVersion": generation.to_string()});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).expect("an object")
    }

    fn precedence(value: i32) -> Value {
        json!({"precedence": value})
    }

    fn failed(code: u16) -> Result<watcher::Event<DynamicObject>, watcher::Error> {
        let mut status = Status::failure("no", "Reason");
        status.code = code;
        Err(watcher::Error::InitialListFailed(kube::Error::Api(status.boxed())))
    }

    fn with_file() -> Objects {
        let file = "apiVersion: curfew.dev/v1alpha1\nkind: CanaryPolicy\nmetadata: {name: file}\nspec: {precedence: 7}";
        Objects::new(file::read(file, &rules::vocabulary()).expect("policies"))
    }

    fn listed(objects: &mut Objects, list: impl IntoIterator<Item = DynamicObject>) {
        objects.take(Ok(watcher::Event::Init));
        for object in list {
            objects.take(Ok(watcher::Event::InitApply(object)));
        }
        assert_eq!(objects.take(Ok(watcher::Event::InitDone)), News::Listed);
    }

    /// What holds: names and precedences in order.
    fn holding(objects: &Objects) -> Vec<(String, i32)> {
        let policies = Policies::new(objects.merged());
        policies
            .all()
            .map(|policy| (policy.name.clone(), policy.spec.precedence))
            .collect()
    }

    fn pairs(expected: &[(&str, i32)]) -> Vec<(String, i32)> {
        expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect()
    }

    #[test]
    fn objects_and_the_file_hold_together_by_precedence_and_of_one_name_the_object() {
        let mut objects = with_file();
        listed(
            &mut objects,
            [object("a", 1, &precedence(9)), object("b", 1, &precedence(5))],
        );
        assert_eq!(holding(&objects), pairs(&[("b", 5), ("file", 7), ("a", 9)]));
        objects.take(Ok(watcher::Event::Apply(object("file", 1, &precedence(1)))));
        assert_eq!(holding(&objects), pairs(&[("file", 1), ("b", 5), ("a", 9)]));
        objects.take(Ok(watcher::Event::Delete(object("file", 1, &precedence(1)))));
        objects.take(Ok(watcher::Event::Delete(object("b", 1, &precedence(5)))));
        assert_eq!(holding(&objects), pairs(&[("file", 7), ("a", 9)]));
        listed(&mut objects, []);
        assert_eq!(holding(&objects), pairs(&[("file", 7)]));
    }

    #[test]
    fn what_cannot_be_used_keeps_what_could_and_says_why() {
        let mut objects = with_file();
        let broken = json!({"precedence": 2, "admission": {"deadline": {"min": "2h"}}});
        listed(&mut objects, [object("a", 1, &precedence(1)), object("b", 1, &broken)]);
        assert_eq!(holding(&objects), pairs(&[("a", 1), ("file", 7)]), "b never had any");
        let why = |objects: &Objects, name: &str| {
            let known = objects.known.as_ref().expect("a list");
            known[name].state.accepted.clone().expect_err("not accepted")
        };
        assert_eq!(
            why(&objects, "b"),
            "spec.admission.deadline: min is above max, so no deadline would be admitted; the policy is left out until it \
             is fixed"
        );

        for generation in [2, 3] {
            objects.take(Ok(watcher::Event::Apply(object("a", generation, &broken))));
            assert_eq!(holding(&objects), pairs(&[("a", 1), ("file", 7)]));
            assert!(why(&objects, "a").ends_with("; what generation 1 said holds on until it is fixed"));
        }
        // Also over a list, and when it has another shape altogether.
        listed(&mut objects, [object("a", 4, &json!({"precedence": "high"}))]);
        assert_eq!(holding(&objects), pairs(&[("a", 1), ("file", 7)]));
        objects.take(Ok(watcher::Event::Apply(object("a", 5, &precedence(4)))));
        assert_eq!(holding(&objects), pairs(&[("a", 4), ("file", 7)]));
        let known = objects.known.as_ref().expect("a list");
        assert_eq!((known["a"].state.generation, &known["a"].state.accepted), (5, &Ok(())));
    }

    #[test]
    fn another_object_of_the_same_name_keeps_nothing() {
        let mut objects = Objects::new(Vec::new());
        listed(&mut objects, [object("a", 1, &precedence(1))]);
        let mut other = object("a", 1, &json!({"precedence": "high"}));
        other.metadata.uid = Some("another".to_owned());
        listed(&mut objects, [other]);
        assert_eq!(holding(&objects), []);
    }

    #[test]
    fn an_object_that_could_never_be_used_does_not_take_the_place_of_the_file_s() {
        let mut objects = with_file();
        listed(&mut objects, [object("file", 1, &json!({"precedence": "high"}))]);
        assert_eq!(holding(&objects), pairs(&[("file", 7)]));
    }

    #[test]
    fn without_a_definition_the_file_holds_and_a_failing_watch_changes_nothing() {
        let mut objects = with_file();
        assert!(matches!(objects.take(failed(403)), News::Failed(_)));
        assert!(objects.known.is_none(), "it is not known whether there are any");
        assert_eq!(objects.take(failed(404)), News::Listed);
        assert_eq!(holding(&objects), pairs(&[("file", 7)]));
        listed(&mut objects, [object("a", 1, &precedence(1))]);
        for code in [500, 403, 404, 404] {
            objects.take(failed(code));
            assert_eq!(holding(&objects), pairs(&[("a", 1), ("file", 7)]), "{code}");
        }
        objects.take(failed(404));
        assert_eq!(holding(&objects), pairs(&[("file", 7)]), "the definition is gone");
    }
}
