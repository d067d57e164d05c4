//! `analysis-never-advances`: an analysis that nothing ends, whatever the pods do.

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
    /// An analysis that nothing ends.
    pub const ANALYSIS_NEVER_ADVANCES: Self = Self::named("analysis-never-advances");
}

pub(super) const ANALYSIS_NEVER_ADVANCES: RuleDef = RuleDef {
    rule: Rule::ANALYSIS_NEVER_ADVANCES,
    looks_around: false,
    modes: &[
        (Mode::Enforce, ""),
        (
            Mode::Warn,
            "where it depends on Flagger's own provider and `--flagger-mesh-provider` is not set",
        ),
    ],
    finds: "An analysis without a step to take (`stepWeight: 0`, empty or zero `stepWeights`, `iterations: 0`), and `mirror` with \
                    steps where the provider goes round in circles.",
    why: "Every rollout waits for ever with ready pods ([F15](flagger.md#f15), [F18](flagger.md#f18)).",
    fix: "Set `stepWeight`, rising `stepWeights` or `iterations`; with `mirror`, set `iterations`.",
    check: |input| find(input.canary, input.lookup.provider()).into_iter().collect(),
};

/// Finds an analysis without a step (`docs/flagger.md#f18`), and mirroring that goes round in circles
/// (`docs/flagger.md#f15`). `flaggers` is Flagger's own provider, where that is known.
fn find(canary: &Value, flaggers: Option<&str>) -> Option<Finding> {
    let analysis = AnalysisFields::of(canary).filter(|analysis| !analysis.effective.skip_analysis)?;
    if analysis.effective.strategy != Strategy::Canary {
        return None;
    }
    let provider = provider(canary, flaggers);
    // It moves no traffic, and counts ten checks where none are asked for.
    if provider == Some("kubernetes") {
        return None;
    }
    // Negative steps are no weights.
    let (field, is_endless) = match analysis.number("stepWeight") {
        Some(step) if step != 0 => return mirror(&analysis, provider),
        _ => match analysis.step_weights().next() {
            Some((_, first)) => ("stepWeights[0]", first == 0),
            None if analysis.get("stepWeight").is_null() && !analysis.get("iterations").is_null() => {
                ("iterations", true)
            }
            None if analysis.get("stepWeight").is_null() => ("stepWeights", true),
            None => ("stepWeight", true),
        },
    };
    if !is_endless {
        return mirror(&analysis, provider);
    }
    Some(Finding {
        rule: Rule::ANALYSIS_NEVER_ADVANCES,
        severity: sure(provider),
        at_most: Mode::Enforce,
        field: analysis.path(field),
        value: written(&analysis, field),
        message: "the analysis has no step to take, so that every rollout waits for ever with ready pods".to_owned(),
        fix: "set stepWeight, rising stepWeights, or iterations, of 1 or more".to_owned(),
    })
}

fn mirror(analysis: &AnalysisFields<'_>, provider: Option<&str>) -> Option<Finding> {
    // Istio's router alone says whether it mirrors; the others begin anew with every check.
    if analysis.get("mirror") != true || provider == Some("istio") {
        return None;
    }
    Some(Finding {
        rule: Rule::ANALYSIS_NEVER_ADVANCES,
        severity: sure(provider),
        at_most: Mode::Enforce,
        field: analysis.path("mirror"),
        value: "true".to_owned(),
        message: format!(
            "with {} Flagger mirrors step by step for ever at a weight of 0",
            provider.map_or_else(
                || "any provider but istio".to_owned(),
                |provider| format!("the provider {provider}")
            )
        ),
        fix: "set iterations in place of steps, or leave mirror out".to_owned(),
    })
}

/// Where the provider is Flagger's own and nobody said which that is, nobody can be sure.
fn sure(provider: Option<&str>) -> Mode {
    if provider.is_some() { Mode::Enforce } else { Mode::Warn }
}

fn written(analysis: &AnalysisFields<'_>, field: &str) -> String {
    let value = match field.strip_suffix("[0]") {
        Some(list) => &analysis.get(list)[0],
        None => analysis.get(field),
    };
    if value.is_null() {
        String::new()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(provider: Option<&str>, analysis: &Value) -> Option<(Mode, String)> {
        let mut canary = json!({"spec": {"analysis": analysis}});
        if let Some(provider) = provider {
            canary["spec"]["provider"] = json!(provider);
        }
        let finding = find(&canary, None)?;
        let field = finding.field.trim_start_matches("spec.analysis.").to_owned();
        Some((finding.severity, field))
    }

    #[test]
    fn an_analysis_that_advances_is_fine() {
        for (provider, analysis) in [
            (Some("istio"), json!({"stepWeight": 10})),
            (Some("istio"), json!({"stepWeight": 10, "mirror": true})),
            (Some("gatewayapi:v1"), json!({"stepWeights": [10, 50]})),
            (Some("gatewayapi:v1"), json!({"iterations": 10, "mirror": true})),
            (Some("kubernetes"), json!({"iterations": 0})),
            (Some("kubernetes"), json!({"stepWeight": 10, "mirror": true})),
            (None, json!({"iterations": 1, "stepWeight": 0})),
        ] {
            assert_eq!(found(provider, &analysis), None, "{provider:?} {analysis}");
        }
    }

    #[test]
    fn an_analysis_without_a_step_is_refused() {
        for (analysis, field) in [
            (json!({"stepWeight": 0}), "stepWeight"),
            (json!({"stepWeights": []}), "stepWeights"),
            (json!({"stepWeights": [0, 10]}), "stepWeights[0]"),
            (json!({"iterations": 0}), "iterations"),
            (json!({"iterations": -3}), "iterations"),
            (json!({"iterations": 0, "stepWeight": 0}), "stepWeight"),
        ] {
            let expected = |mode| Some((mode, field.to_owned()));
            assert_eq!(found(Some("istio"), &analysis), expected(Mode::Enforce), "{analysis}");
            assert_eq!(found(None, &analysis), expected(Mode::Warn), "{analysis}");
        }
    }

    #[test]
    fn mirroring_by_steps_is_for_istio_alone() {
        for analysis in [
            json!({"stepWeight": 10, "mirror": true}),
            json!({"stepWeights": [10], "mirror": true}),
        ] {
            let expected = |mode| Some((mode, "mirror".to_owned()));
            assert_eq!(found(Some("gatewayapi:v1"), &analysis), expected(Mode::Enforce));
            assert_eq!(found(None, &analysis), expected(Mode::Warn));
        }
    }

    #[test]
    fn flaggers_own_provider_counts_where_the_canary_names_none() {
        let canary = json!({"spec": {"analysis": {"iterations": 0}}});
        assert_eq!(find(&canary, Some("kubernetes")), None);
        let severity = |flaggers| find(&canary, flaggers).map(|finding| finding.severity);
        assert_eq!(severity(Some("istio")), Some(Mode::Enforce));
        assert_eq!(severity(None), Some(Mode::Warn));
    }

    #[test]
    fn what_is_skipped_need_not_advance() {
        for spec in [json!({"skipAnalysis": true, "analysis": {"iterations": 0}}), json!({})] {
            assert_eq!(find(&json!({"spec": spec}), Some("istio")), None);
        }
    }
}
