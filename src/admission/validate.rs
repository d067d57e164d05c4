//! The validating half: is this Canary one that can work?

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde_json::Value;

use super::review::{Answer, LONGEST_WARNING, Operation, Request, StatusCause};
use crate::{
    policy::{Mode, Policies, ROLLOUT_DEADLINE},
    rules::{
        self, Finding, Lookup,
        case::{Case, Judged},
    },
};

/// A decision and what it rests on, for the log and the metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What the API server is told.
    pub answer: Answer,
    /// What was found, with the mode in force for it.
    pub findings: Vec<(Finding, Mode)>,
    /// The policy that was applied.
    pub policy: String,
}

/// So many findings of one Canary are told; of the others, how many there are.
const MOST_TOLD: usize = 50;

/// So many characters of one are told: what users write is part of it.
const LONGEST_TOLD: usize = 1024;

/// Judges a request.
///
/// An object that is being deleted and a change that leaves `spec` and the rollout deadline alone always pass,
/// and an update is refused only for what is new in it. `undecodable` is never exempt: it would stop Flagger for others.
#[must_use]
pub fn validate(
    request: &Request,
    policies: &Policies,
    namespace_labels: &BTreeMap<String, String>,
    lookup: &dyn Lookup,
    now: Timestamp,
) -> Decision {
    let case = Case {
        canary: &request.object,
        namespace: &request.namespace,
        namespace_labels,
        name: &request.name,
    };
    if !asks(request) {
        return Decision {
            answer: Answer::allow(),
            findings: Vec::new(),
            policy: String::new(),
        };
    }
    let Judged { policy, mut findings } = case.judge(policies, lookup, now);
    if request.operation == Operation::Update && findings.iter().any(|(_, mode)| *mode == Mode::Enforce) {
        let known = rules::findings(&request.old_object, &request.namespace, &policy.spec, lookup);
        let known: HashSet<_> = known.iter().map(Finding::fault).collect();
        for (finding, mode) in &mut findings {
            if known.contains(&finding.fault()) {
                *mode = (*mode).min(Mode::Warn);
            }
        }
    }
    Decision {
        answer: answer(request, &findings, &policy.name),
        findings,
        policy: policy.name.clone(),
    }
}

fn answer(request: &Request, findings: &[(Finding, Mode)], policy: &str) -> Answer {
    let of = |wanted: Mode| {
        findings
            .iter()
            .filter(move |(_, mode)| *mode == wanted)
            .map(|(finding, _)| finding)
    };
    let warnings = of(Mode::Warn).map(|finding| finding.within(LONGEST_WARNING)).collect();
    let audit = if findings.is_empty() {
        Vec::new()
    } else {
        let mut list: Vec<_> = findings
            .iter()
            .take(MOST_TOLD)
            .map(|(finding, mode)| format!("{}={mode:?}", finding.rule))
            .collect();
        if findings.len() > MOST_TOLD {
            list.push(format!("and {} more", findings.len() - MOST_TOLD));
        }
        vec![("findings", list.join(",")), ("policy", policy.to_owned())]
    };
    let refused: Vec<_> = of(Mode::Enforce).collect();
    if refused.is_empty() {
        return Answer::Allow { warnings, audit };
    }
    let short: Vec<_> = refused
        .iter()
        .take(MOST_TOLD)
        .map(|finding| finding.shortened(LONGEST_TOLD))
        .collect();
    let mut told: Vec<_> = short.iter().map(ToString::to_string).collect();
    if refused.len() > MOST_TOLD {
        told.push(format!("and {} more", refused.len() - MOST_TOLD));
    }
    Answer::Deny {
        message: format!(
            "Canary {}/{} is refused by Curfew: {}",
            request.namespace,
            name(request),
            told.join(" | ")
        ),
        causes: if short
            .iter()
            .all(|finding| rules::definition(finding.rule).is_some_and(|definition| definition.looks_around))
        {
            Vec::new()
        } else {
            short.iter().map(|finding| cause(finding)).collect()
        },
        warnings,
        audit,
    }
}

fn cause(finding: &Finding) -> StatusCause {
    let Finding {
        rule,
        severity: _,
        at_most: _,
        field,
        value,
        message,
        fix,
    } = finding;
    StatusCause {
        reason: if value.is_empty() {
            "FieldValueRequired"
        } else {
            "FieldValueInvalid"
        },
        message: format!("{message}; {fix} [{rule}]"),
        field: field.clone(),
    }
}

/// The object's name; where it is not chosen yet (`generateName`) the prefix, which is all that there is.
fn name(request: &Request) -> &str {
    if request.name.is_empty() {
        request.object["metadata"]["generateName"].as_str().unwrap_or_default()
    } else {
        &request.name
    }
}

/// Whether there is anything to judge: nothing in deletions and in what leaves the spec alone.
#[must_use]
pub fn asks(request: &Request) -> bool {
    match request.operation {
        Operation::Delete | Operation::Connect => false,
        Operation::Create | Operation::Update => {
            request.is_canary() && !request.is_being_deleted() && !is_untouched(request)
        }
    }
}

fn is_untouched(request: &Request) -> bool {
    let (new, old) = (&request.object, &request.old_object);
    let deadline = |object: &Value| object["metadata"]["annotations"][ROLLOUT_DEADLINE].clone();
    request.operation == Operation::Update && new["spec"] == old["spec"] && deadline(new) == deadline(old)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{
        flagger::{canary::AutoscalerRef, workload::Workload},
        policy::{Rule, file},
        rollout::target_ref::TargetRef,
        rules::lookup::{LookupResult, NoLookup},
    };

    /// A world in which another Canary, `old`, has every target too.
    struct SharedTarget;

    impl Lookup for SharedTarget {
        fn provider(&self) -> Option<&str> {
            None
        }

        fn selector_labels(&self) -> Option<&[String]> {
            None
        }

        fn workload(&self, _: &str, _: &TargetRef) -> LookupResult<Arc<Workload>> {
            LookupResult::NotTracked
        }

        fn scaler(&self, _: &str, _: &AutoscalerRef) -> LookupResult<()> {
            LookupResult::NotTracked
        }

        fn others_on_target(&self, _: &str, _: &str, _: &str) -> LookupResult<Vec<String>> {
            LookupResult::Found(vec!["old".to_owned()])
        }

        fn others_at_apex(&self, _: &str, _: &str, _: &str) -> LookupResult<Vec<String>> {
            LookupResult::NotTracked
        }
    }

    fn request(operation: &str, object: &Value, old: &Value) -> Request {
        serde_json::from_value(json!({
            "uid": "1", "operation": operation, "namespace": "shop", "name": "web", "object": object, "oldObject": old,
            "resource": {"group": "flagger.app", "version": "v1beta1", "resource": "canaries"},
        }))
        .expect("a request")
    }

    fn canary(deadline: &Value) -> Value {
        json!({"metadata": {"name": "web"}, "spec": {"progressDeadlineSeconds": deadline,
            "service": {"port": 80}, "analysis": {"interval": "30s", "threshold": 5, "iterations": 3}}})
    }

    fn decide_under(policies: &str, request: &Request) -> Decision {
        let policies = file::parse(policies, &rules::vocabulary()).expect("policies");
        validate(
            request,
            &policies,
            &BTreeMap::new(),
            &NoLookup,
            "2026-11-23T14:00:00Z".parse().expect("a time"),
        )
    }

    fn decide(request: &Request) -> Decision {
        decide_under("", request)
    }

    fn refused(decision: &Decision) -> Vec<Rule> {
        let enforced = decision.findings.iter().filter(|(_, mode)| *mode == Mode::Enforce);
        let rules: Vec<_> = enforced.map(|(finding, _)| finding.rule).collect();
        assert_eq!(matches!(decision.answer, Answer::Deny { .. }), !rules.is_empty());
        rules
    }

    #[test]
    fn a_sound_canary_passes_without_a_word() {
        let decision = decide(&request("CREATE", &canary(&json!(180)), &Value::Null));
        assert_eq!((decision.answer, decision.findings), (Answer::allow(), Vec::new()));
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let mut object = canary(&json!(180.5));
        object["spec"]["analysis"]["interval"] = json!("5m30");
        let decision = decide(&request("CREATE", &object, &Value::Null));
        assert_eq!(refused(&decision), [Rule::UNDECODABLE, Rule::INTERVAL]);
        let Answer::Deny { message, causes, .. } = decision.answer else {
            panic!("not refused")
        };
        assert!(
            message.starts_with("Canary shop/web is refused by Curfew: spec.progressDeadlineSeconds: "),
            "{message}"
        );
        let fields: Vec<_> = causes
            .iter()
            .map(|cause| (cause.reason, cause.field.as_str()))
            .collect();
        assert_eq!(
            fields,
            [
                ("FieldValueInvalid", "spec.progressDeadlineSeconds"),
                ("FieldValueInvalid", "spec.analysis.interval")
            ]
        );
    }

    #[test]
    fn what_is_only_around_a_canary_is_forbidden_and_what_is_in_it_is_invalid() {
        let status = |deadline: i64| {
            let mut object = canary(&json!(deadline));
            object["spec"]["targetRef"] = json!({"kind": "Deployment", "name": "web"});
            let request = request("CREATE", &object, &Value::Null);
            let now = "2026-11-23T14:00:00Z".parse().expect("a time");
            let decision = validate(&request, &Policies::default(), &BTreeMap::new(), &SharedTarget, now);
            request.answer(decision.answer).into_json()["response"]["status"].take()
        };
        let around = status(180);
        assert_eq!((&around["code"], &around["reason"]), (&json!(403), &json!("Forbidden")));
        let message = around["message"].as_str().expect("a message");
        assert!(
            message.contains("Canary old has a target of the same name"),
            "{message}"
        );
        let both = status(5);
        assert_eq!((&both["code"], &both["reason"]), (&json!(422), &json!("Invalid")));
        assert_eq!(both["details"]["causes"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn whatever_somebody_writes_a_refusal_stays_short() {
        let mut object = canary(&json!(180));
        let long = format!("{}s", "0".repeat(1 << 20));
        let hooks = vec![json!({"timeout": "0s"}); 1_000];
        object["spec"]["analysis"]["webhooks"] = [vec![json!({"timeout": long})], hooks].concat().into();
        let Answer::Deny {
            message, causes, audit, ..
        } = decide(&request("CREATE", &object, &Value::Null)).answer
        else {
            panic!("not refused")
        };
        let told: usize = causes.iter().map(|cause| cause.message.len() + cause.field.len()).sum();
        let recorded: usize = audit.iter().map(|(_, text)| text.len()).sum();
        for length in [message.len(), told, recorded] {
            assert!(length < MOST_TOLD * (LONGEST_TOLD + 100), "{length}");
        }
        assert!(message.ends_with("and 50 more") && recorded < 2_000, "{recorded}");
    }

    #[test]
    fn a_missing_deadline_is_a_required_field() {
        let decision = decide(&request("CREATE", &canary(&Value::Null), &Value::Null));
        assert_eq!(refused(&decision), [Rule::DEADLINE_REQUIRED]);
        let Answer::Deny { causes, .. } = decision.answer else {
            panic!("not refused")
        };
        assert_eq!(causes[0].reason, "FieldValueRequired");
    }

    #[test]
    fn what_was_wrong_before_does_not_block_a_change() {
        let old = canary(&json!(30));
        let mut new = old.clone();
        new["spec"]["analysis"]["threshold"] = json!(6);
        let decision = decide(&request("UPDATE", &new, &old));
        assert_eq!(refused(&decision), []);
        let Answer::Allow { warnings, .. } = decision.answer else {
            panic!("refused")
        };
        assert_eq!(warnings.len(), 1, "{warnings:?}");

        assert_eq!(
            refused(&decide(&request("UPDATE", &canary(&json!(20)), &old))),
            [Rule::DEADLINE_BOUNDS]
        );
        assert_eq!(
            refused(&decide(&request("UPDATE", &canary(&Value::Null), &old))),
            [Rule::DEADLINE_REQUIRED]
        );
    }

    #[test]
    fn deletion_and_changes_elsewhere_always_pass() {
        let broken = canary(&json!(180.5));
        let mut labelled = broken.clone();
        labelled["metadata"]["labels"] = json!({"a": "b"});
        let mut leaving = canary(&json!(0));
        leaving["metadata"]["deletionTimestamp"] = json!("2026-11-23T14:00:00Z");
        for request in [
            request("UPDATE", &labelled, &broken),
            request("UPDATE", &leaving, &broken),
            request("DELETE", &Value::Null, &broken),
        ] {
            assert_eq!(decide(&request).findings, []);
        }
    }

    #[test]
    fn policies_set_the_mode() {
        let policy = |admission: &str| {
            format!(
                "apiVersion: curfew.dev/v1alpha1\nkind: CanaryPolicy\nmetadata: {{name: p}}\nspec: {{admission: {admission}}}"
            )
        };
        let request = request("CREATE", &canary(&json!(30)), &Value::Null);
        let mode = |admission: &str| {
            let decision = decide_under(&policy(admission), &request);
            assert_eq!(decision.policy, "p");
            decision.findings.first().map(|(_, mode)| *mode)
        };
        assert_eq!(mode("{}"), Some(Mode::Enforce));
        assert_eq!(mode("{mode: Warn}"), Some(Mode::Warn));
        assert_eq!(mode("{mode: Audit}"), Some(Mode::Audit));
        assert_eq!(mode("{mode: Disabled}"), None);
        assert_eq!(mode("{rules: {deadline-bounds: Warn}}"), Some(Mode::Warn));
        assert_eq!(mode("{rules: {deadline-bounds: Disabled}}"), None);
        assert_eq!(mode("{deadline: {min: 10s}}"), None);
    }

    #[test]
    fn exemptions_never_cover_what_would_stop_flagger() {
        let policy = "apiVersion: curfew.dev/v1alpha1\nkind: CanaryPolicy\nmetadata: {name: p}\nspec: \
                      {exemptions: [{namespaces: [shop], reason: legacy}]}";
        let create = |deadline: Value| decide_under(policy, &request("CREATE", &canary(&deadline), &Value::Null));
        assert_eq!(refused(&create(json!(0))), []);
        assert_eq!(refused(&create(json!(0.5))), [Rule::UNDECODABLE]);
    }

    #[test]
    fn of_very_many_faults_so_many_are_told_and_how_many_more_there_are() {
        let mut object = canary(&json!(180));
        let hook = json!({"name": "gate", "url": "http://gate/", "timeout": "5m30"});
        object["spec"]["analysis"]["webhooks"] = json!(vec![hook; MOST_TOLD + 7]);
        let Answer::Deny { message, causes, .. } = decide(&request("CREATE", &object, &Value::Null)).answer else {
            panic!("not refused")
        };
        assert_eq!(causes.len(), MOST_TOLD);
        assert!(message.ends_with(" | and 7 more"), "{message}");
    }

    #[test]
    fn what_is_no_canary_is_not_our_business() {
        let mut other = request("CREATE", &json!({"spec": {}}), &Value::Null);
        other.resource.resource = "alertproviders".to_owned();
        assert_eq!(decide(&other).findings, []);
    }
}
