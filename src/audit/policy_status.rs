//! The status of a `CanaryPolicy`: whether it is in force, how many Canaries it applies to, and what the audit found in them.

use jiff::Timestamp;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::findings::Summary;
use crate::{
    cluster::{Cluster, Error, FIELD_MANAGER, ask, policies::PolicyState},
    policy::{
        GROUP,
        crd::{KIND, VERSION},
    },
    rollout::timestamps::time,
};

/// Writes what there is to say about a policy, unless it stands there already.
///
/// # Errors
/// The API server did not do it.
pub async fn write(cluster: &Cluster, policy: &PolicyState, summary: Option<&Summary>) -> Result<(), Error> {
    let kind = GroupVersionKind::gvk(GROUP, VERSION, KIND);
    let resource = ApiResource::from_gvk(&kind);
    let api = Api::<DynamicObject>::all_with(cluster.client.clone(), &resource);
    let Some(stored) = ask("read a CanaryPolicy", api.get_opt(&policy.name)).await? else {
        return Ok(());
    };
    let before = &stored.data["status"];
    let wanted = status(policy, summary, before, cluster.now());
    if *before == wanted {
        return Ok(());
    }
    // Only onto what was just read.
    let patch = json!({"metadata": {"resourceVersion": stored.metadata.resource_version}, "status": wanted});
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    cluster
        .write(
            "write the status of a CanaryPolicy",
            api.patch_status(&policy.name, &params, &Patch::Merge(patch)),
        )
        .await?;
    Ok(())
}

/// The status as it should stand. A condition keeps its time while it says the same.
fn status(policy: &PolicyState, summary: Option<&Summary>, before: &Value, now: Timestamp) -> Value {
    let (accepted, reason, message) = match &policy.accepted {
        Ok(()) => ("True", "Valid", ""),
        Err(why) => ("False", "Invalid", why.as_str()),
    };
    let known = &before["conditions"][0];
    let since = match &known["lastTransitionTime"] {
        Value::String(since) if known["status"] == accepted => since.clone(),
        _ => time(now),
    };
    let nothing = Summary::default();
    let Summary { matched, total, items } = summary.unwrap_or(&nothing);
    let items: Vec<_> = items
        .iter()
        .map(|item| {
            let (namespace, name) = &item.canary;
            json!({
                "namespace": namespace,
                "name": name,
                "rule": item.rule.name(),
                "field": item.field,
                "message": item.message,
            })
        })
        .collect();
    json!({
        "observedGeneration": policy.generation,
        "conditions": [{
            "type": "Accepted",
            "status": accepted,
            "reason": reason,
            "message": message,
            "observedGeneration": policy.generation,
            "lastTransitionTime": since,
        }],
        "matchedCanaries": matched,
        "findings": {"total": total, "items": items},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::findings::Item, policy::Rule};

    fn at(time: &str) -> Timestamp {
        time.parse().expect("a time")
    }

    fn state(accepted: Result<(), String>) -> PolicyState {
        PolicyState {
            name: "default".to_owned(),
            uid: "1".to_owned(),
            generation: 3,
            accepted,
        }
    }

    #[test]
    fn a_policy_in_force_says_what_it_applies_to_and_what_was_found() {
        let summary = Summary {
            matched: 12,
            total: 1,
            items: vec![Item {
                canary: ("shop".to_owned(), "web".to_owned()),
                rule: Rule::PROBES,
                field: "spec.targetRef".to_owned(),
                message: "no probe".to_owned(),
            }],
        };
        let status = status(&state(Ok(())), Some(&summary), &Value::Null, at("2026-11-23T14:00:00Z"));
        assert_eq!(
            status,
            json!({
                "observedGeneration": 3,
                "conditions": [{"type": "Accepted", "status": "True", "reason": "Valid", "message": "",
                    "observedGeneration": 3, "lastTransitionTime": "2026-11-23T14:00:00Z"}],
                "matchedCanaries": 12,
                "findings": {"total": 1, "items": [{"namespace": "shop", "name": "web", "rule": "probes",
                    "field": "spec.targetRef", "message": "no probe"}]},
            })
        );
    }

    #[test]
    fn a_condition_keeps_its_time_until_it_says_something_else() {
        let first = status(&state(Ok(())), None, &Value::Null, at("2026-11-23T14:00:00Z"));
        assert_eq!(status(&state(Ok(())), None, &first, at("2026-11-23T15:00:00Z")), first);
        let refused = state(Err("min is above max".to_owned()));
        let refused = status(&refused, None, &first, at("2026-11-23T15:00:00Z"));
        let condition = &refused["conditions"][0];
        assert_eq!(condition["lastTransitionTime"], "2026-11-23T15:00:00Z");
        assert_eq!(
            (&condition["status"], &condition["message"]),
            (&json!("False"), &json!("min is above max"))
        );
    }
}
