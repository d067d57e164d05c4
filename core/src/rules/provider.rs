//! `kubernetes-provider`: what the provider `kubernetes` does not do.

use serde_json::Value;

use super::{Finding, rule_def::RuleDef};
use crate::{
    flagger::{
        analysis_fields::{AnalysisFields, provider},
        effective::Strategy,
    },
    policy::{Mode, Rule},
};

impl Rule {
    /// Steps or match conditions with the provider `kubernetes`.
    pub const KUBERNETES_PROVIDER: Self = Self::named("kubernetes-provider");
}

pub(super) const KUBERNETES_PROVIDER: RuleDef = RuleDef {
    rule: Rule::KUBERNETES_PROVIDER,
    looks_around: false,
    modes: &[(Mode::Warn, "")],
    finds: "Weights or `match` conditions with the provider `kubernetes`, the Canary's own or Flagger's where \
            `--flagger-mesh-provider` says so.",
    why: "Flagger moves no traffic with it: it drops the conditions, makes ten checks where no `iterations` are set, and then \
          lets all users have the new version at once.",
    fix: "Set `iterations` in place of weights and conditions, or a provider that moves traffic.",
    check: |input| find(input.canary, input.lookup.provider()),
};

/// Finds what Flagger replaces in silence, but for an Event (`advanceCanary` in its `pkg/controller/scheduler.go`).
fn find(canary: &Value, flaggers: Option<&str>) -> Vec<Finding> {
    let analysis = AnalysisFields::of(canary).filter(|analysis| !analysis.effective.skip_analysis);
    let Some(analysis) = analysis.filter(|_| provider(canary, flaggers) == Some("kubernetes")) else {
        return Vec::new();
    };
    let conditions = analysis
        .get("match")
        .as_array()
        .filter(|conditions| !conditions.is_empty());
    let steps = ["stepWeight", "stepWeights"]
        .into_iter()
        .find(|field| analysis.number(field).is_some_and(|step| step > 0) || analysis.get(field).is_array())
        .filter(|_| analysis.effective.strategy == Strategy::Canary);
    let conditions = conditions.map(|_| {
        (
            "match",
            "the conditions are dropped, and all users get the new version at once",
        )
    });
    let steps = steps.map(|field| {
        (
            field,
            "the traffic is not moved in steps: after ten checks all of it moves at once",
        )
    });
    let found = conditions.into_iter().chain(steps);
    found
        .map(|(field, matters)| Finding {
            rule: Rule::KUBERNETES_PROVIDER,
            severity: Mode::Warn,
            at_most: Mode::Enforce,
            field: analysis.path(field),
            value: analysis.get(field).to_string(),
            message: format!("with the provider kubernetes {matters}"),
            fix: "set iterations instead, or a provider that moves traffic".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(own: Option<&str>, flaggers: Option<&str>, analysis: &Value) -> Vec<String> {
        let canary = json!({"spec": {"provider": own, "analysis": analysis}});
        let findings = find(&canary, flaggers).into_iter();
        findings
            .map(|finding| finding.field.trim_start_matches("spec.analysis.").to_owned())
            .collect()
    }

    #[test]
    fn steps_and_conditions_are_found_where_the_provider_moves_no_traffic() {
        let conditions = json!([{"headers": {"x-beta": {"exact": "yes"}}}]);
        for (own, flaggers, analysis, fields) in [
            (Some("kubernetes"), None, json!({"stepWeight": 10}), &["stepWeight"][..]),
            (
                Some("kubernetes"),
                Some("istio"),
                json!({"stepWeights": [10, 50]}),
                &["stepWeights"],
            ),
            (
                None,
                Some("kubernetes"),
                json!({"stepWeight": 10, "match": conditions}),
                &["match", "stepWeight"],
            ),
            (
                Some("kubernetes"),
                None,
                json!({"iterations": 5, "match": conditions}),
                &["match"],
            ),
            (
                Some("kubernetes"),
                None,
                json!({"iterations": 5, "stepWeight": 10}),
                &[],
            ),
            (Some("kubernetes"), None, json!({"iterations": 5}), &[]),
            (Some("kubernetes"), None, json!({"match": []}), &[]),
            (Some("istio"), Some("kubernetes"), json!({"stepWeight": 10}), &[]),
            (None, None, json!({"stepWeight": 10}), &[]),
        ] {
            assert_eq!(
                found(own, flaggers, &analysis),
                fields,
                "{own:?} {flaggers:?} {analysis}"
            );
        }
    }

    #[test]
    fn what_is_not_analysed_is_not_found() {
        let canary = json!({"spec": {"provider": "kubernetes", "skipAnalysis": true, "analysis": {"stepWeight": 10}}});
        assert_eq!(find(&canary, None), []);
    }
}
