//! `thresholds`: how many pods must be available, per cent, and how many checks may fail.

use serde_json::Value;

use super::{
    Finding,
    lookup::{Lookup, LookupResult},
    rule_def::RuleDef,
    target::replicas,
};
use crate::{
    flagger::{analysis_fields::AnalysisFields, ready::share},
    policy::{Mode, Rule},
    rollout::target_ref::TargetRef,
};

impl Rule {
    /// Ready thresholds that no pods can meet, or that promote what cannot be promoted.
    pub const THRESHOLDS: Self = Self::named("thresholds");
}

pub(super) const THRESHOLDS: RuleDef = RuleDef {
    rule: Rule::THRESHOLDS,
    looks_around: false,
    modes: &[(Mode::Enforce, "outside 1 to 100"), (Mode::Warn, "")],
    finds: "`primaryReadyThreshold` or `canaryReadyThreshold` outside 1 to 100; a canary's threshold below the primary's; a share \
                    that rounds down to no pod at all; a `threshold` of failed checks below 1.",
    why: "No number of pods is 150 % ([F18](flagger.md#f18)); a version that is ready enough as a canary may never be as a primary, \
                  and its promotion hangs ([F14](flagger.md#f14)); none of none counts as ready.",
    fix: "Write whole numbers from 1 to 100, the canary's no lower than the primary's.",
    check: |input| find(input.canary, input.namespace, input.lookup),
};

const PRIMARY: &str = "primaryReadyThreshold";
const CANARY: &str = "canaryReadyThreshold";

/// Finds ready thresholds that no number of pods can meet or that none are needed for (`docs/flagger.md#f18`), those that
/// promote what the primary cannot reach (`docs/flagger.md#f14`), and a number of failed checks that Flagger replaces.
fn find(canary: &Value, namespace: &str, lookup: &dyn Lookup) -> Vec<Finding> {
    let Some(analysis) = AnalysisFields::of(canary) else {
        return Vec::new();
    };
    let mut findings: Vec<_> = [PRIMARY, CANARY]
        .into_iter()
        .filter_map(|field| {
            let threshold = analysis.number(field)?;
            let matters = match threshold {
                ..1 => "pods would be taken for ready although none is",
                1..=100 => return None,
                101.. => "no number of pods would ever be ready enough",
            };
            Some(finding(
                Mode::Enforce,
                analysis.path(field),
                threshold,
                matters,
                "write a whole number from 1 to 100",
            ))
        })
        .collect();
    let can_be_met = findings.is_empty();
    findings.extend(of_no_pods(canary, &analysis, namespace, lookup));
    if analysis.effective.skip_analysis {
        return findings;
    }
    let primary = analysis.effective.primary_ready_threshold;
    let canarys = analysis.effective.canary_ready_threshold;
    if can_be_met && canarys < primary {
        findings.push(finding(
            Mode::Warn,
            analysis.path(CANARY),
            canarys,
            &format!(
                "a version is promoted with {canarys} % of its pods available, and then the primary must reach {primary} % \
                 with the same version, or the promotion hangs"
            ),
            &format!("write at least {primary}, or lower {PRIMARY}"),
        ));
    }
    if let Some(threshold) = analysis.number("threshold").filter(|threshold| *threshold < 1) {
        findings.push(finding(
            Mode::Warn,
            analysis.path("threshold"),
            threshold,
            "Flagger silently uses 1, so the first failed check rolls back",
            "write how many failed checks a rollout may have, such as 5",
        ));
    }
    findings
}

/// A share of the pods that Flagger rounds down to none.
fn of_no_pods(canary: &Value, analysis: &AnalysisFields<'_>, namespace: &str, lookup: &dyn Lookup) -> Vec<Finding> {
    let reference = TargetRef::of(&canary["spec"]);
    let LookupResult::Found(target) = lookup.workload(namespace, &reference) else {
        return Vec::new();
    };
    let Some(replicas) = replicas(namespace, &reference, &target, lookup) else {
        return Vec::new();
    };
    [PRIMARY, CANARY]
        .into_iter()
        .filter_map(|field| {
            let threshold = analysis.number(field).filter(|threshold| share(replicas, *threshold) == 0)?;
            Some(finding(
                Mode::Warn,
                analysis.path(field),
                threshold,
                &format!("of {replicas} pods Flagger rounds that down to none, so that a version without a single pod counts as ready"),
                &format!("write {} or more", (100 + replicas - 1) / replicas),
            ))
        })
        .collect()
}

fn finding(severity: Mode, field: String, value: i64, matters: &str, fix: &str) -> Finding {
    Finding {
        rule: Rule::THRESHOLDS,
        severity,
        at_most: Mode::Enforce,
        field,
        value: value.to_string(),
        message: format!("{value}: {matters}"),
        fix: fix.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        flagger::workload::Workload,
        rules::lookup::{NoLookup, fixed::FixedLookup},
    };

    fn found(mut analysis: Value) -> Vec<(Mode, String)> {
        if analysis["threshold"].is_null() {
            analysis["threshold"] = json!(5);
        }
        find(&json!({"spec": {"analysis": analysis}}), "shop", &NoLookup)
            .into_iter()
            .map(|finding| (finding.severity, format!("{} {}", finding.field, finding.message)))
            .collect()
    }

    #[test]
    fn thresholds_that_pods_can_meet_are_fine() {
        for analysis in [
            json!({}),
            json!({PRIMARY: 1, CANARY: 1}),
            json!({PRIMARY: 50, CANARY: 100}),
            json!({PRIMARY: 50}),
        ] {
            assert_eq!(found(analysis.clone()), [], "{analysis}");
        }
    }

    #[test]
    fn each_threshold_that_cannot_be_is_refused() {
        for (analysis, expected) in [
            (
                json!({PRIMARY: 0}),
                "primaryReadyThreshold 0: pods would be taken for ready although none is",
            ),
            (
                json!({CANARY: -5}),
                "canaryReadyThreshold -5: pods would be taken for ready although none is",
            ),
            (
                json!({CANARY: 101}),
                "canaryReadyThreshold 101: no number of pods would ever be ready enough",
            ),
            (
                json!({PRIMARY: 150}),
                "primaryReadyThreshold 150: no number of pods would ever be ready enough",
            ),
        ] {
            let expected = (Mode::Enforce, format!("spec.analysis.{expected}"));
            assert_eq!(found(analysis.clone()), [expected], "{analysis}");
        }
    }

    #[test]
    fn a_version_that_the_primary_may_not_reach_is_warned_of() {
        for (analysis, primary) in [(json!({CANARY: 50}), 100), (json!({CANARY: 50, PRIMARY: 51}), 51)] {
            let [(mode, text)] = &found(analysis)[..] else {
                panic!("one finding")
            };
            assert_eq!(*mode, Mode::Warn);
            assert!(text.contains(&format!("must reach {primary} %")), "{text}");
        }
    }

    #[test]
    fn a_number_of_failed_checks_that_flagger_replaces_is_warned_of() {
        for threshold in [0, -1] {
            let [(mode, text)] = &found(json!({"threshold": threshold}))[..] else {
                panic!("one finding")
            };
            assert_eq!(*mode, Mode::Warn);
            assert!(text.contains("Flagger silently uses 1"), "{text}");
        }
    }

    #[test]
    fn where_the_analysis_is_skipped_only_what_no_pods_can_meet_matters() {
        let skipped = |analysis: Value| {
            find(
                &json!({"spec": {"skipAnalysis": true, "analysis": analysis}}),
                "shop",
                &NoLookup,
            )
            .len()
        };
        assert_eq!(skipped(json!({"threshold": 0, CANARY: 50})), 0);
        assert_eq!(skipped(json!({"threshold": 5, CANARY: 150})), 1);
    }

    #[test]
    fn a_share_that_rounds_down_to_no_pod_is_warned_of() {
        let of = |replicas: i64, threshold: i64| {
            let target = Workload::deployment(&json!({"spec": {"replicas": replicas}}));
            let lookup = FixedLookup {
                workloads: Some(vec![("web".to_owned(), target)]),
                ..FixedLookup::default()
            };
            let canary = json!({"spec": {"targetRef": {"name": "web"}, "skipAnalysis": true,
                "analysis": {"threshold": 5, CANARY: threshold}}});
            find(&canary, "shop", &lookup)
        };
        assert_eq!(of(2, 50), []);
        assert_eq!(of(3, 34), []);
        let found = of(3, 33);
        assert_eq!((found.len(), found[0].severity), (1, Mode::Warn), "{found:?}");
        assert_eq!(found[0].fix, "write 34 or more");
        assert_eq!(of(1, 99).len(), 1);
        // Nobody knows how many there will be.
        assert_eq!(of(0, 1), []);
    }
}
