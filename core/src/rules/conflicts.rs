//! `apex-service` and `duplicate-target`: two Canaries that want the same thing.

use serde_json::Value;

use super::{
    Finding,
    lookup::{Lookup, LookupResult},
    target::unseen,
};
use crate::{
    policy::{Mode, Rule},
    rollout::target_ref::TargetRef,
};

/// Finds other Canaries of the namespace that have the same target or the same Service for their users.
#[must_use]
pub fn find(canary: &Value, namespace: &str, lookup: &dyn Lookup) -> Vec<Finding> {
    let name = canary["metadata"]["name"].as_str().unwrap_or_default();
    let target = TargetRef::of(&canary["spec"]).name;
    let service = canary["spec"]["service"]["name"]
        .as_str()
        .filter(|service| !service.is_empty());
    let apex = service.unwrap_or(&target);
    let mut findings = Vec::new();
    // What is not named cannot be wanted by two.
    let on_target = if target.is_empty() {
        LookupResult::NotTracked
    } else {
        lookup.others_on_target(namespace, &target, name)
    };
    if let LookupResult::Found(others) = &on_target
        && let Some(others) = named(others)
    {
        findings.push(finding(
            Rule::DuplicateTarget,
            "spec.targetRef.name",
            &target,
            format!("{others} has a target of the same name, which Flagger takes for the same whatever its kind, so that each undoes what the other does"),
            "leave each target to one Canary",
        ));
    }
    if let LookupResult::Unavailable(why) = on_target {
        findings.push(unseen(
            Rule::DuplicateTarget,
            "spec.targetRef.name",
            "the other Canaries",
            &why,
        ));
    }
    if !apex.is_empty()
        && let LookupResult::Found(others) = lookup.others_at_apex(namespace, apex, name)
        && let Some(others) = named(&others)
    {
        let field = if service.is_some() {
            "spec.service.name"
        } else {
            "spec.targetRef.name"
        };
        findings.push(finding(
            Rule::ApexService,
            field,
            apex,
            format!("{others} has its users call the Service {apex} too, and Flagger would point it at both in turn"),
            "give one of them another spec.service.name",
        ));
    }
    findings
}

fn named(others: &[String]) -> Option<String> {
    match others {
        [] => None,
        [one] => Some(format!("Canary {one}")),
        [first, rest @ ..] => Some(format!("Canary {first} (and {} more)", rest.len())),
    }
}

fn finding(rule: Rule, field: &str, value: &str, message: String, fix: &str) -> Finding {
    Finding {
        rule,
        severity: Mode::Enforce,
        at_most: Mode::Enforce,
        field: field.to_owned(),
        value: Value::from(value).to_string(),
        message,
        fix: fix.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::lookup::fixed::FixedLookup;

    fn found(lookup: &FixedLookup, spec: &Value) -> Vec<(Rule, String)> {
        let canary = json!({"metadata": {"name": "web"}, "spec": spec});
        find(&canary, "shop", lookup)
            .into_iter()
            .map(|finding| (finding.rule, finding.message))
            .collect()
    }

    fn lookup(others: &[(&str, &str, &str)]) -> FixedLookup {
        FixedLookup {
            others: Some(
                others
                    .iter()
                    .map(|(name, target, apex)| ((*name).to_owned(), (*target).to_owned(), (*apex).to_owned()))
                    .collect(),
            ),
            ..FixedLookup::default()
        }
    }

    #[test]
    fn canaries_that_share_nothing_are_fine() {
        let lookup = lookup(&[("api", "api", "api"), ("web", "web", "web")]);
        assert_eq!(found(&lookup, &json!({"targetRef": {"name": "web"}})), []);
    }

    #[test]
    fn a_second_canary_on_a_target_is_found_whatever_the_kind() {
        let lookup = lookup(&[("old", "web", "web")]);
        let spec = json!({"targetRef": {"kind": "DaemonSet", "name": "web"}, "service": {"name": "other"}});
        let found = found(&lookup, &spec);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, Rule::DuplicateTarget);
        assert!(
            found[0].1.starts_with("Canary old has a target of the same name"),
            "{found:?}"
        );
    }

    #[test]
    fn a_second_canary_at_a_service_is_found_by_the_name_that_users_call() {
        let lookup = lookup(&[("api", "api", "front"), ("more", "more", "front")]);
        for spec in [
            json!({"targetRef": {"name": "web"}, "service": {"name": "front"}}),
            json!({"targetRef": {"name": "front"}}),
            json!({"service": {"name": "front"}}),
        ] {
            let found = found(&lookup, &spec);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].0, Rule::ApexService);
            assert!(
                found[0].1.starts_with("Canary api (and 1 more) has its users call"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn without_a_target_there_is_nothing_to_share() {
        let lookup = lookup(&[("old", "", "")]);
        assert_eq!(found(&lookup, &json!({})), []);
    }

    #[test]
    fn others_that_could_not_be_looked_at_are_a_warning() {
        let lookup = FixedLookup {
            unseen: Some("forbidden".to_owned()),
            ..FixedLookup::default()
        };
        let canary = json!({"metadata": {"name": "web"}, "spec": {"targetRef": {"name": "web"}}});
        let found = find(&canary, "shop", &lookup);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].rule, found[0].at_most), (Rule::DuplicateTarget, Mode::Warn));
    }
}
