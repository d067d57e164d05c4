//! The mutating half: Curfew's own annotations say what Curfew saw, not what somebody wrote.
//!
//! On CREATE all of them are dropped, since a restored backup must not bring old stamps, and the start is
//! stamped. On UPDATE whatever the request does to them is undone. Applying it twice changes nothing more, and nothing is
//! stored anywhere, so that a dry run shows exactly what a real request would do.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, jsonptr::PointerBuf};
use serde_json::{Value, json};

use super::{
    annotations::ours,
    review::{Answer, Operation, Request},
};
use crate::deadline::stamp::{self, STARTED_AT};

/// How old a `started-at` may be on CREATE to count as our own from an earlier round of the same request.
const SAME_REQUEST: SignedDuration = SignedDuration::from_secs(30);

/// What must change in the object before it is stored.
#[must_use]
pub fn mutate(request: &Request, now: Timestamp) -> Answer {
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
    let patch = patch(&request.object, &wanted);
    if patch.0.is_empty() {
        Answer::allow()
    } else {
        Answer::Patch(patch)
    }
}

fn started_at(object: &Value, now: Timestamp) -> String {
    let stamped = ours(object)
        .get(STARTED_AT)
        .and_then(|text| text.parse::<Timestamp>().ok());
    let ours = stamped.filter(|stamped| {
        let age = now.duration_since(*stamped);
        age < SAME_REQUEST && age > -SignedDuration::from_secs(1)
    });
    stamp::time(ours.unwrap_or(now))
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

    const NOW: &str = "2026-11-23T14:00:05Z";

    fn request(operation: &str, annotations: &Value, old: &Value) -> Request {
        serde_json::from_value(json!({
            "uid": "1", "operation": operation,
            "object": {"metadata": {"name": "web", "annotations": annotations}},
            "oldObject": {"metadata": {"name": "web", "annotations": old}},
            "resource": {"group": "flagger.app", "resource": "canaries"},
        }))
        .expect("a request")
    }

    /// The annotations after the patch, which must apply, and after which a second round must change nothing.
    fn mutated(operation: &str, annotations: &Value, old: &Value) -> Value {
        let mut request = request(operation, annotations, old);
        let now: Timestamp = NOW.parse().expect("a time");
        if let Answer::Patch(patch) = mutate(&request, now) {
            json_patch::patch(&mut request.object, &patch).expect("the patch applies");
        }
        let later = now + SignedDuration::from_secs(2);
        assert_eq!(
            mutate(&request, later),
            Answer::allow(),
            "a second round changes nothing"
        );
        request.object["metadata"]["annotations"].take()
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
        assert_eq!(mutate(&leaving, now), Answer::allow());
        assert_eq!(mutate(&request("DELETE", &json!({}), &json!({})), now), Answer::allow());
    }
}
