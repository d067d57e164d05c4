//! The mutating half: Curfew's own annotations say what Curfew saw, not what somebody wrote, and a deadline is filled in
//! where the policy in force says so.
//!
//! On CREATE all of them are dropped, since a restored backup must not bring old stamps, and the start is
//! stamped. On UPDATE whatever the request does to them is undone. Applying it twice changes nothing more, and nothing is
//! stored anywhere, so that a dry run shows exactly what a real request would do.
//!
//! A patch must apply to whatever is sent, since one that does not is an error even where the webhook may fail: what is
//! not as the patch needs it is left to the validating half.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, jsonptr::PointerBuf};
use serde_json::{Value, json};

use super::{
    annotations::ours,
    review::{Answer, Operation, Request},
};
use crate::{
    policy::{Policies, ROLLOUT_DEADLINE, Subject},
    rollout::{
        stamp::{self, STARTED_AT},
        timestamps,
    },
    rules::case::labels,
};

/// How old a `started-at` may be on CREATE to count as our own from an earlier round of the same request.
const SAME_REQUEST: SignedDuration = SignedDuration::from_secs(30);

/// The field of the spec that is filled in.
const DEADLINE: &str = "progressDeadlineSeconds";

/// What must change in the object before it is stored.
#[must_use]
pub fn mutate(
    request: &Request,
    policies: &Policies,
    namespace_labels: &BTreeMap<String, String>,
    now: Timestamp,
) -> Answer {
    if !request.is_canary() || request.is_being_deleted() {
        return Answer::allow();
    }
    let wanted: BTreeMap<&str, String> = match request.operation {
        Operation::Create => BTreeMap::from([(STARTED_AT, started_at(&request.object, now))]),
        Operation::Update => ours(&request.old_object)
            .into_iter()
            .map(|(key, value)| (key, value.to_owned()))
            .collect(),
        Operation::Delete | Operation::Connect => return Answer::allow(),
    };
    let mut patch = patch(&request.object, &wanted);
    patch.0.extend(deadline(request, policies, namespace_labels, now));
    if patch.0.is_empty() {
        Answer::allow()
    } else {
        Answer::Patch {
            patch,
            warnings: refused(request),
        }
    }
}

/// What the user wrote that is not kept, in words: nobody else would tell that it did nothing. That a backup
/// brings what Curfew wrote once is no news.
fn refused(request: &Request) -> Vec<String> {
    let before = ours(&request.old_object);
    let changed = ours(&request.object)
        .into_iter()
        .filter(|(key, value)| before.get(key) != Some(value));
    changed
        .filter_map(|(key, _)| {
            if !stamp::ALL.contains(&key) {
                Some(format!(
                    "metadata.annotations[{key}]: Curfew has no such annotation, and it is not kept; users write {ROLLOUT_DEADLINE} alone"
                ))
            } else if request.operation == Operation::Update {
                Some(format!(
                    "metadata.annotations[{key}]: Curfew alone writes this, and it is put back; to give a rollout more \
                     time raise spec.progressDeadlineSeconds, or set {ROLLOUT_DEADLINE} for the whole of it"
                ))
            } else {
                None
            }
        })
        .collect()
}

fn started_at(object: &Value, now: Timestamp) -> String {
    let stamped = ours(object)
        .get(STARTED_AT)
        .and_then(|text| text.parse::<Timestamp>().ok());
    let ours = stamped.filter(|stamped| {
        let age = now.duration_since(*stamped);
        age < SAME_REQUEST && age > -SignedDuration::from_secs(1)
    });
    timestamps::time(ours.unwrap_or(now))
}

/// The deadline that is filled in, where there is none and the policy in force has one for those. Who leaves the spec
/// alone keeps it as it is: a rollout that runs must not lose time for an annotation.
fn deadline(
    request: &Request,
    policies: &Policies,
    namespace_labels: &BTreeMap<String, String>,
    now: Timestamp,
) -> Option<PatchOperation> {
    let spec = request.object["spec"].as_object()?;
    if request.operation == Operation::Update && request.object["spec"] == request.old_object["spec"] {
        return None;
    }
    if !spec.get(DEADLINE).unwrap_or(&Value::Null).is_null() {
        return None;
    }
    let labels = labels(&request.object);
    let subject = Subject {
        namespace: &request.namespace,
        namespace_labels,
        name: &request.name,
        labels: &labels,
    };
    let seconds = policies.applying(subject).default_deadline(subject, now)?;
    // Adding a member that is there already, as null, replaces it.
    Some(PatchOperation::Add(AddOperation {
        path: PointerBuf::from_tokens(["spec", DEADLINE]),
        value: json!(seconds),
    }))
}

/// The patch that makes Curfew's annotations of `object` exactly those that are wanted.
fn patch(object: &Value, wanted: &BTreeMap<&str, String>) -> Patch {
    if !object["metadata"]["annotations"].is_object() {
        // Whatever stands there is replaced: an absent map cannot be added to, and nothing else than a map is stored.
        let all: Value = wanted
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        return Patch(if wanted.is_empty() {
            Vec::new()
        } else {
            vec![PatchOperation::Add(AddOperation {
                path: pointer(None),
                value: all,
            })]
        });
    }
    let present = ours(object);
    let dropped = present.keys().filter(|key| !wanted.contains_key(*key));
    let removals = dropped
        .map(|key| {
            PatchOperation::Remove(RemoveOperation {
                path: pointer(Some(key)),
            })
        })
        .collect::<Vec<_>>();
    let additions = wanted
        .iter()
        .filter(|(key, value)| present.get(*key) != Some(&value.as_str()))
        .map(|(key, value)| {
            PatchOperation::Add(AddOperation {
                path: pointer(Some(key)),
                value: json!(value),
            })
        });
    Patch(removals.into_iter().chain(additions).collect())
}

fn pointer(annotation: Option<&str>) -> PointerBuf {
    PointerBuf::from_tokens(["metadata", "annotations"].into_iter().chain(annotation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::file;

    const NOW: &str = "2026-11-23T14:00:05Z";

    fn request(operation: &str, annotations: &Value, old: &Value) -> Request {
        serde_json::from_value(json!({
            "uid": "1", "operation": operation, "name": "web",
            "object": {"metadata": {"name": "web", "annotations": annotations}},
            "oldObject": {"metadata": {"name": "web", "annotations": old}},
            "resource": {"group": "flagger.app", "resource": "canaries"},
        }))
        .expect("a request")
    }

    fn answer(request: &Request, policy: &str, now: Timestamp) -> Answer {
        let policies = file::parse(policy, &crate::rules::vocabulary()).expect("policies");
        mutate(request, &policies, &BTreeMap::new(), now)
    }

    /// The object after the patch, which must apply, and after which a second round must change nothing.
    fn stored(mut request: Request, policy: &str) -> Value {
        let now: Timestamp = NOW.parse().expect("a time");
        if let Answer::Patch { patch, .. } = answer(&request, policy, now) {
            json_patch::patch(&mut request.object, &patch).expect("the patch applies");
        }
        let later = now + SignedDuration::from_secs(2);
        let again = answer(&request, policy, later);
        assert_eq!(again, Answer::allow(), "a second round changes nothing");
        request.object
    }

    fn mutated(operation: &str, annotations: &Value, old: &Value) -> Value {
        stored(request(operation, annotations, old), "")["metadata"]["annotations"].take()
    }

    /// The spec after the patch.
    fn filled_in(operation: &str, spec: &Value, policy: &str) -> Value {
        let policy =
            format!("apiVersion: curfew.dev/v1alpha1\nkind: CanaryPolicy\nmetadata: {{name: p}}\nspec: {policy}");
        let mut request = request(operation, &Value::Null, &Value::Null);
        request.namespace = "shop".to_owned();
        request.object["spec"] = spec.clone();
        stored(request, &policy)["spec"].take()
    }

    const DEFAULTS: &str = "{admission: {deadline: {default: 5m}}}";

    #[test]
    fn a_missing_deadline_is_filled_in_where_the_policy_has_one() {
        for operation in ["CREATE", "UPDATE"] {
            for spec in [json!({}), json!({"progressDeadlineSeconds": null})] {
                let filled = json!({"progressDeadlineSeconds": 300});
                assert_eq!(filled_in(operation, &spec, DEFAULTS), filled, "{operation} {spec}");
                assert_eq!(filled_in(operation, &spec, "{}"), spec, "{operation} {spec}");
            }
        }
    }

    #[test]
    fn an_update_that_leaves_the_spec_alone_fills_in_nothing() {
        let policy =
            format!("apiVersion: curfew.dev/v1alpha1\nkind: CanaryPolicy\nmetadata: {{name: p}}\nspec: {DEFAULTS}");
        let mut request = request("UPDATE", &json!({"curfew.dev/rollout-deadline": "2h"}), &Value::Null);
        for spec in [json!({}), json!({"progressDeadlineSeconds": null})] {
            request.object["spec"] = spec.clone();
            request.old_object["spec"] = spec.clone();
            assert_eq!(stored(request.clone(), &policy)["spec"], spec);
        }
    }

    #[test]
    fn what_is_there_is_left_as_it_is_whatever_it_is() {
        for deadline in [json!(60), json!(0), json!(180.5), json!("5m"), json!([]), json!(false)] {
            let spec = json!({"progressDeadlineSeconds": deadline});
            assert_eq!(filled_in("CREATE", &spec, DEFAULTS), spec);
        }
        for spec in [json!(null), json!("x"), json!([]), json!(1)] {
            assert_eq!(filled_in("CREATE", &spec, DEFAULTS), spec);
        }
    }

    #[test]
    fn nothing_is_filled_in_for_whom_the_policy_lets_off() {
        let without = |more: &str| format!("{{admission: {{{more}, deadline: {{default: 5m}}}}}}");
        let exempt = |more: &str| {
            format!(
                "{{admission: {{deadline: {{default: 5m}}}}, exemptions: [{{canaries: [web], reason: x, {more}}}]}}"
            )
        };
        let spec = json!({});
        let filled = json!({"progressDeadlineSeconds": 300});
        for (policy, stored) in [
            (without("mode: Disabled"), &spec),
            (without("mode: Audit"), &filled),
            (without("rules: {deadline-required: Disabled}"), &filled),
            (exempt("from: [Admission]"), &spec),
            (exempt("from: [Enforcement]"), &filled),
            (exempt("until: \"2026-11-23T14:00:05Z\""), &filled),
            (exempt("until: \"2026-11-23T14:01:00Z\""), &spec),
            (
                "{canarySelector: {matchLabels: {a: b}}, admission: {deadline: {default: 5m}}}".to_owned(),
                &spec,
            ),
        ] {
            assert_eq!(filled_in("CREATE", &spec, &policy), *stored, "{policy}");
        }
    }

    #[test]
    fn a_new_canary_is_stamped() {
        let stamped = json!({"curfew.dev/started-at": NOW});
        assert_eq!(mutated("CREATE", &Value::Null, &Value::Null), stamped);
        assert_eq!(mutated("CREATE", &json!({}), &Value::Null), stamped);
        assert_eq!(
            mutated("CREATE", &json!({"team": "a/b~c"}), &Value::Null),
            json!({"team": "a/b~c", "curfew.dev/started-at": NOW})
        );
    }

    #[test]
    fn a_restored_backup_brings_no_old_stamps() {
        let backup = json!({"curfew.dev/started-at": "2026-01-01T00:00:00Z", "curfew.dev/verdict": "{}",
            "curfew.dev/deadline": "2099-01-01T00:00:00Z", "curfew.dev/rollout-deadline": "2h"});
        let restored = mutated("CREATE", &backup, &Value::Null);
        assert_eq!(
            restored,
            json!({"curfew.dev/started-at": NOW, "curfew.dev/rollout-deadline": "2h"})
        );
    }

    #[test]
    fn a_start_in_the_future_is_not_believed() {
        let forged = json!({"curfew.dev/started-at": "2099-01-01T00:00:00Z"});
        assert_eq!(
            mutated("CREATE", &forged, &Value::Null),
            json!({"curfew.dev/started-at": NOW})
        );
    }

    #[test]
    fn an_update_cannot_touch_what_is_ours() {
        let old = json!({"curfew.dev/started-at": "2026-11-23T13:00:00Z", "curfew.dev/unready": "5s, ready since x"});
        for new in [
            json!(null),
            json!({}),
            json!({"curfew.dev/started-at": "2026-11-23T13:59:59Z"}),
            json!({"curfew.dev/deadline": "2099-01-01T00:00:00Z", "curfew.dev/unready": "0s, ready since y"}),
        ] {
            assert_eq!(mutated("UPDATE", &new, &old), old, "{new}");
        }
        let mine = json!({"curfew.dev/rollout-deadline": "2h", "team": "web"});
        let merged = mutated("UPDATE", &mine, &old);
        assert_eq!(merged["curfew.dev/rollout-deadline"], "2h");
        assert_eq!(merged["curfew.dev/unready"], old["curfew.dev/unready"]);
    }

    #[test]
    fn the_user_is_told_what_is_not_kept() {
        let told = |operation: &str, new: &Value| {
            let request = request(operation, new, &json!({"curfew.dev/deadline": NOW}));
            match answer(&request, "", NOW.parse().expect("a time")) {
                Answer::Patch { warnings, .. } => warnings.join("\n"),
                Answer::Allow { .. } | Answer::Deny { .. } => String::new(),
            }
        };
        let misspelt = json!({"curfew.dev/deadline": NOW, "curfew.dev/rollout-dealine": "3h"});
        let forged = json!({"curfew.dev/deadline": "2099-01-01T00:00:00Z", "curfew.dev/rollout-deadline": "3h"});
        let no_such = "metadata.annotations[curfew.dev/rollout-dealine]: Curfew has no such annotation, and it is not \
                       kept; users write curfew.dev/rollout-deadline alone";
        assert_eq!(told("CREATE", &misspelt), no_such);
        assert_eq!(told("UPDATE", &misspelt), no_such);
        assert_eq!(told("CREATE", &forged), "", "a backup");
        let forged = told("UPDATE", &forged);
        assert!(
            forged.starts_with("metadata.annotations[curfew.dev/deadline]: Curfew alone writes this")
                && forged.lines().count() == 1
                && forged.chars().count() <= 256,
            "{forged}"
        );
        // What is only taken away is put back.
        assert_eq!(told("UPDATE", &json!({})), "");
    }

    #[test]
    fn a_canary_from_before_curfew_gets_no_stamp_from_an_update() {
        assert_eq!(
            mutated("UPDATE", &json!({"curfew.dev/started-at": NOW}), &json!({})),
            json!({})
        );
        assert_eq!(
            mutated("UPDATE", &json!({"team": "web"}), &Value::Null),
            json!({"team": "web"})
        );
    }

    #[test]
    fn deletions_are_left_alone() {
        let mut leaving = request("UPDATE", &json!({}), &json!({"curfew.dev/started-at": NOW}));
        leaving.object["metadata"]["deletionTimestamp"] = json!(NOW);
        let now: Timestamp = NOW.parse().expect("a time");
        leaving.object["spec"] = json!({});
        for request in [leaving, request("DELETE", &json!({}), &json!({}))] {
            assert_eq!(answer(&request, "", now), Answer::allow());
        }
    }
}
