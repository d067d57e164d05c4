//! `apex-service` and `duplicate-target`: two Canaries that want the same thing.

use serde_json::Value;

use super::{
    Finding,
    lookup::LookupResult,
    rule_def::{RuleDef, RuleInput},
    target::unseen,
};
use crate::{
    policy::{Mode, Rule},
    rollout::target_ref::TargetRef,
};

impl Rule {
    /// Two Canaries whose users call one Service.
    pub const APEX_SERVICE: Self = Self::named("apex-service");
}

pub(super) const APEX_SERVICE: RuleDef = RuleDef {
    rule: Rule::APEX_SERVICE,
    looks_around: true,
    modes: &[(Mode::Enforce, "")],
    finds: "Another Canary of the namespace whose users call a Service of the same name (`service.name`, or the target's name).",
    why: "Flagger points that one Service at both in turn.",
    fix: "Give one of them another `service.name`.",
    check: apex_service,
};

impl Rule {
    /// Two Canaries on targets of one name.
    pub const DUPLICATE_TARGET: Self = Self::named("duplicate-target");
}

pub(super) const DUPLICATE_TARGET: RuleDef = RuleDef {
    rule: Rule::DUPLICATE_TARGET,
    looks_around: true,
    modes: &[(Mode::Enforce, "")],
    finds: "Another Canary of the namespace on a target of the same name, of whatever kind.",
    why: "Flagger compares names and not kinds: both make the same primary and the same Services, and each undoes what the other \
                  does.",
    fix: "Leave each target to one Canary.",
    check: duplicate_target,
};

/// Finds other Canaries of the namespace that have the same target.
fn duplicate_target(input: &RuleInput<'_>) -> Vec<Finding> {
    let target = TargetRef::of(&input.canary["spec"]).name;
    // What is not named cannot be wanted by two.
    if target.is_empty() {
        return Vec::new();
    }
    let field = "spec.targetRef.name";
    let others = input
        .lookup
        .others_on_target(input.namespace, &target, own_name(input.canary));
    let found = match others {
        LookupResult::Found(others) => named(&others).map(|others| {
            finding(
                Rule::DUPLICATE_TARGET,
                field,
                &target,
                format!("{others} has a target of the same name, which Flagger takes for the same whatever its kind, so that each undoes what the other does"),
                "leave each target to one Canary",
            )
        }),
        LookupResult::Unavailable(why) => Some(unseen(Rule::DUPLICATE_TARGET, field, "the other Canaries", &why)),
        LookupResult::Missing | LookupResult::NotTracked => None,
    };
    found.into_iter().collect()
}

/// Finds other Canaries of the namespace that have the same Service for their users.
fn apex_service(input: &RuleInput<'_>) -> Vec<Finding> {
    let target = TargetRef::of(&input.canary["spec"]).name;
    let service = input.canary["spec"]["service"]["name"]
        .as_str()
        .filter(|service| !service.is_empty());
    let apex = service.unwrap_or(&target);
    let others = match input
        .lookup
        .others_at_apex(input.namespace, apex, own_name(input.canary))
    {
        LookupResult::Found(others) if !apex.is_empty() => named(&others),
        _ => None,
    };
    let field = if service.is_some() {
        "spec.service.name"
    } else {
        "spec.targetRef.name"
    };
    let found = others.map(|others| {
        finding(
            Rule::APEX_SERVICE,
            field,
            apex,
            format!("{others} has its users call the Service {apex} too, and Flagger would point it at both in turn"),
            "give one of them another spec.service.name",
        )
    });
    found.into_iter().collect()
}

fn own_name(canary: &Value) -> &str {
    canary["metadata"]["name"].as_str().unwrap_or_default()
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
        find(&canary, lookup)
            .into_iter()
            .map(|finding| (finding.rule, finding.message))
            .collect()
    }

    fn find(canary: &Value, lookup: &FixedLookup) -> Vec<Finding> {
        let policy = crate::policy::CanaryPolicySpec::default();
        let input = RuleInput {
            canary,
            namespace: "shop",
            policy: &policy,
            lookup,
        };
        duplicate_target(&input)
            .into_iter()
            .chain(apex_service(&input))
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
        assert_eq!(found[0].0, Rule::DUPLICATE_TARGET);
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
            assert_eq!(found[0].0, Rule::APEX_SERVICE);
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
        let found = find(&canary, &lookup);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].rule, found[0].at_most), (Rule::DUPLICATE_TARGET, Mode::Warn));
    }
}
