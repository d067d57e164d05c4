//! What the shape of the fields does not say: bounds that contradict each other, actions that a clock refuses.
//!
//! Each condition stands here twice, in Rust for policies from files and those that are stored already, and in CEL for the
//! API server, which so refuses the same policies with the same words.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use super::{
    CanaryPolicySpec, Fault, Vocabulary,
    action::Action,
    clock_policy::{ClockField, ClockPolicy, ClockSettings},
    sizes::{LONGEST_REASON, MOST_EXEMPTIONS, MOST_EXPRESSIONS},
};

/// Something that a policy must keep to.
struct Condition {
    /// The field that it is about, below `spec`.
    field: String,
    /// What the API server evaluates, with `self` the spec.
    cel: String,
    /// What is wrong where it does not hold.
    message: String,
    /// The same as `cel`.
    holds: Box<dyn Fn(&CanaryPolicySpec) -> bool>,
}

// How a field is read, beside its name in a policy.
type ReadLimit = fn(&CanaryPolicySpec) -> Option<Duration>;
type ReadSelector = fn(&CanaryPolicySpec) -> &LabelSelector;

/// What is no limit when it is zero.
const LIMITS: [(&str, ReadLimit); 3] = [
    ("admission.deadline.max", |spec| Some(spec.admission.deadline.max)),
    ("admission.interval.max", |spec| Some(spec.admission.interval.max)),
    ("enforcement.breaker.window", |spec| {
        Some(spec.enforcement.breaker.window)
    }),
];

/// What selects.
const SELECTORS: [(&str, ReadSelector); 2] = [
    ("namespaceSelector", |spec| &spec.namespace_selector),
    ("canarySelector", |spec| &spec.canary_selector),
];

// === impl CanaryPolicySpec ===

impl CanaryPolicySpec {
    /// What is wrong with it, in words for its author.
    pub(super) fn contradictions(&self, vocabulary: &Vocabulary) -> Vec<Fault> {
        let unknown = unknown_names(self, vocabulary);
        let conditions = conditions(vocabulary).into_iter();
        let wrong = conditions
            .filter(|condition| !(condition.holds)(self))
            .map(|condition| Fault {
                field: format!("spec.{}", condition.field),
                why: condition.message,
            });
        unknown.into_iter().chain(wrong).collect()
    }
}

/// What an API server does not let through, since its definition has no such fields.
fn unknown_names(spec: &CanaryPolicySpec, vocabulary: &Vocabulary) -> Vec<Fault> {
    let names: Vec<_> = vocabulary.clocks.iter().map(|settings| settings.clock.name()).collect();
    let unknown = |(name, policy): (&String, &ClockPolicy)| {
        let Some(settings) = vocabulary.clocks.iter().find(|settings| settings.clock.name() == name) else {
            let why = format!("there is no such clock; the clocks are {}", names.join(", "));
            return Some((name.clone(), why));
        };
        let field = ClockField::ALL
            .into_iter()
            .find(|field| field.is_written(policy) && !settings.fields.contains(field))?;
        let why = format!("this clock has no {}; leave it out", field.name());
        Some((format!("{name}.{}", field.name()), why))
    };
    let clocks = spec.enforcement.clocks.0.iter().filter_map(unknown);
    let clocks = clocks.map(|(field, why)| Fault {
        field: format!("spec.enforcement.clocks.{field}"),
        why,
    });
    let rules = spec.admission.rules.keys();
    let rules = rules.filter(|rule| !vocabulary.rules.contains(&rule.as_str()));
    let rules = rules.map(|rule| Fault {
        field: "spec.admission.rules".to_owned(),
        why: format!(
            "there is no rule {rule:?}; the rules are {}",
            vocabulary.rules.join(", ")
        ),
    });
    clocks.chain(rules).collect()
}

/// The conditions as the API server reads them, with `self` the spec.
pub(super) fn validations(vocabulary: &Vocabulary) -> Value {
    conditions(vocabulary)
        .into_iter()
        .map(|condition| {
            json!({
                "rule": condition.cel,
                "fieldPath": format!(".{}", condition.field),
                "message": condition.message,
                "reason": "FieldValueInvalid",
            })
        })
        .collect()
}

fn conditions(vocabulary: &Vocabulary) -> Vec<Condition> {
    let mut all = bounds(&vocabulary.rules);
    all.extend(LIMITS.map(|(field, limit)| above_zero(field.to_owned(), limit)));
    all.extend(vocabulary.clocks.iter().flat_map(|settings| limits(settings)));
    all.extend(vocabulary.clocks.iter().flat_map(|settings| actions(settings)));
    all.extend(vocabulary.clocks.iter().filter_map(|settings| restarts(settings)));
    all.extend(numbers());
    all.extend(SELECTORS.map(|(field, selector)| {
        condition(
            field,
            &format!(
                "!has(self.{field}.matchExpressions) || size(self.{field}.matchExpressions) <= {MOST_EXPRESSIONS}"
            ),
            &format!("{MOST_EXPRESSIONS} expressions at the most"),
            move |spec| selector(spec).match_expressions.iter().flatten().count() <= MOST_EXPRESSIONS,
        )
    }));
    all.extend(SELECTORS.map(|(field, selector)| {
        let expressions = format!("self.{field}.matchExpressions");
        Condition {
            field: field.to_owned(),
            cel: format!(
                "!has({expressions}) || {expressions}.all(e, e.operator in ['In', 'NotIn'] == (has(e.values) && \
                 size(e.values) > 0))"
            ),
            message: "In and NotIn need values, and Exists and DoesNotExist take none".to_owned(),
            holds: Box::new(move |spec| {
                let all = selector(spec).match_expressions.iter().flatten();
                all.into_iter().all(|requirement| {
                    let wants_values = ["In", "NotIn"].contains(&requirement.operator.as_str());
                    wants_values == requirement.values.as_ref().is_some_and(|values| !values.is_empty())
                })
            }),
        }
    }));
    all.extend(exemptions());
    all
}

fn condition(field: &str, cel: &str, message: &str, holds: impl Fn(&CanaryPolicySpec) -> bool + 'static) -> Condition {
    Condition {
        field: field.to_owned(),
        cel: cel.to_owned(),
        message: message.to_owned(),
        holds: Box::new(holds),
    }
}

fn bounds(names: &[&'static str]) -> Vec<Condition> {
    let known = names.to_vec();
    vec![
        condition(
            "admission.rules",
            &format!("self.admission.rules.all(rule, rule in ['{}'])", names.join("', '")),
            &format!("there is no such rule; the rules are {}", names.join(", ")),
            move |spec| spec.admission.rules.keys().all(|rule| known.contains(&rule.as_str())),
        ),
        condition(
            "admission.deadline",
            "duration(self.admission.deadline.min) <= duration(self.admission.deadline.max)",
            "min is above max, so no deadline would be admitted",
            |spec| spec.admission.deadline.min <= spec.admission.deadline.max,
        ),
        condition(
            "admission.deadline.default",
            "!has(self.admission.deadline.default) || (duration(self.admission.deadline.default) >= \
             duration(self.admission.deadline.min) && duration(self.admission.deadline.default) <= \
             duration(self.admission.deadline.max))",
            "what is filled in must itself be admitted, so write one from min to max",
            |spec| {
                let bounds = &spec.admission.deadline;
                let within = |default| bounds.min <= default && default <= bounds.max;
                bounds.default.is_none_or(within)
            },
        ),
        condition(
            "admission.deadline.default",
            "!has(self.admission.deadline.default) || \
             (duration(self.admission.deadline.default).getMilliseconds() % 1000 == 0 && \
             duration(self.admission.deadline.default).getSeconds() >= 1 && \
             duration(self.admission.deadline.default).getSeconds() <= 2147483647)",
            "Flagger counts a deadline in whole seconds, from 1 to 2147483647",
            |spec| {
                let default = spec.admission.deadline.default;
                default.is_none_or(|default| {
                    default.subsec_millis() == 0 && (1..=i32::MAX.unsigned_abs().into()).contains(&default.as_secs())
                })
            },
        ),
        condition(
            "admission.interval",
            "duration(self.admission.interval.min) <= duration(self.admission.interval.max)",
            "min is above max, so every interval would be told of",
            |spec| spec.admission.interval.min <= spec.admission.interval.max,
        ),
    ]
}

fn above_zero(field: String, limit: impl Fn(&CanaryPolicySpec) -> Option<Duration> + 'static) -> Condition {
    Condition {
        cel: format!("!has(self.{field}) || duration(self.{field}) > duration('0s')"),
        field,
        message: "must be above zero, since nothing could keep to it".to_owned(),
        holds: Box::new(move |spec| limit(spec) != Some(Duration::ZERO)),
    }
}

/// Every span of time that a clock takes.
fn limits(settings: &'static ClockSettings) -> impl Iterator<Item = Condition> {
    let spans = settings.fields.iter().filter(|field| **field != ClockField::Restarts);
    spans.map(move |field| {
        let path = format!("enforcement.clocks.{}.{}", settings.clock.name(), field.name());
        above_zero(path, move |spec| field.duration(&spec.enforcement.clocks.of(settings)))
    })
}

/// What may not happen at a clock's deadline.
fn actions(settings: &'static ClockSettings) -> impl Iterator<Item = Condition> {
    let refused = [
        // In such a phase a rollback is an outage (docs/flagger.md#l8).
        (Action::RollBack, "RollBack would do harm in this phase; use Report"),
        (
            Action::Hold,
            "Hold belongs to the initialization clock alone; use Report",
        ),
    ];
    let refused = refused
        .into_iter()
        .filter(move |(action, _)| !settings.allowed.contains(action));
    refused.map(move |(action, message)| {
        let field = format!("enforcement.clocks.{}.action", settings.clock.name());
        condition(&field, &format!("self.{field} != '{action:?}'"), message, move |spec| {
            spec.enforcement.clocks.of(settings).action != Some(action)
        })
    })
}

fn restarts(settings: &'static ClockSettings) -> Option<Condition> {
    let field = format!("enforcement.clocks.{}.restarts", settings.clock.name());
    settings.fields.contains(&ClockField::Restarts).then(|| {
        condition(
            &field,
            &format!("self.{field} >= 1"),
            "must be 1 or more, since no rollout could keep to none",
            move |spec| spec.enforcement.clocks.of(settings).restarts != Some(0),
        )
    })
}

fn numbers() -> [Condition; 2] {
    [
        condition(
            "enforcement.warnAtPercent",
            "self.enforcement.warnAtPercent <= 100",
            "a percentage, 0 to 100",
            |spec| spec.enforcement.warn_at_percent <= 100,
        ),
        condition(
            "enforcement.breaker.percent",
            "self.enforcement.breaker.percent <= 100",
            "a percentage, 0 to 100",
            |spec| spec.enforcement.breaker.percent <= 100,
        ),
    ]
}

fn exemptions() -> [Condition; 6] {
    [
        condition(
            "exemptions",
            &format!("size(self.exemptions) <= {MOST_EXEMPTIONS}"),
            &format!("{MOST_EXEMPTIONS} at the most; name more by `*`, or write another policy for them"),
            |spec| spec.exemptions.len() <= MOST_EXEMPTIONS,
        ),
        condition(
            "exemptions",
            &format!("self.exemptions.all(e, size(e.reason) <= {LONGEST_REASON})"),
            &format!("a reason has {LONGEST_REASON} characters at the most"),
            |spec| {
                let mut all = spec.exemptions.iter();
                all.all(|exemption| exemption.reason.chars().count() <= LONGEST_REASON)
            },
        ),
        condition(
            "exemptions",
            "self.exemptions.all(e, has(e.namespaces) || has(e.canaries))",
            "each must name namespaces or canaries, since one without both would let everybody off; write [\"*\"] if \
             that is meant",
            |spec| {
                let mut all = spec.exemptions.iter();
                all.all(|exemption| exemption.namespaces.is_some() || exemption.canaries.is_some())
            },
        ),
        condition(
            "exemptions",
            "self.exemptions.all(e, (!has(e.namespaces) || size(e.namespaces) > 0) && (!has(e.canaries) || \
             size(e.canaries) > 0) && (!has(e.from) || size(e.from) > 0))",
            "an empty list lets nobody off; leave it out to mean all",
            |spec| {
                spec.exemptions.iter().all(|exemption| {
                    let names = [&exemption.namespaces, &exemption.canaries];
                    let is_said = |names: &Option<Vec<String>>| names.as_ref().is_none_or(|names| !names.is_empty());
                    names.into_iter().all(is_said) && exemption.from.as_ref().is_none_or(|from| !from.is_empty())
                })
            },
        ),
        condition(
            "exemptions",
            "self.exemptions.all(e, e.reason.matches('[^\\\\t\\\\n\\\\f\\\\r ]'))",
            "each needs a reason, for those who find it later",
            |spec| {
                let is_said = |reason: &str| !reason.chars().all(|c| "\t\n\u{c}\r ".contains(c));
                spec.exemptions.iter().all(|exemption| is_said(&exemption.reason))
            },
        ),
        condition(
            "exemptions",
            "self.exemptions.all(e, !has(e.until) || timestamp(e.until) >= timestamp('1970-01-01T00:00:00Z'))",
            "until must be a moment from 1970 on",
            |spec| {
                let mut ends = spec.exemptions.iter().filter_map(|exemption| exemption.until);
                ends.all(|until| until.as_second() >= 0)
            },
        ),
    ]
}
