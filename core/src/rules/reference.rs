//! The reference of the rules: what `docs/rules.md` holds.

use std::fmt::Write as _;

use crate::policy::Rule;

/// What there is to know about a rule.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// How strictly its findings are taken where no policy says otherwise.
    pub default: &'static str,
    /// What it finds.
    pub finds: &'static str,
    /// Why that matters, with the fact behind it.
    pub why: &'static str,
    /// How to fix it.
    pub fix: &'static str,
}

/// What there is to know about a rule.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a table")]
pub const fn about(rule: Rule) -> About {
    match rule {
        Rule::Undecodable => About {
            default: "Enforce",
            finds: "A value that Flagger's Go types cannot hold: `180.5` or `2147483648` seconds, `threshold: 2.5`, a port of -1. The whole \
                    spec is judged, field by field.",
            why: "While one such Canary is stored, Flagger sees no new Canary in the whole cluster, and at its next restart it exits \
                  ([F7](flagger.md#f7)). So no exemption covers this rule.",
            fix: "Write what the message names: a whole number mostly, within its range.",
        },
        Rule::DeadlineRequired => About {
            default: "Enforce",
            finds: "No `progressDeadlineSeconds`, unless the policy fills it in (`spec.admission.deadline.default`).",
            why: "Flagger then takes 600 s, which pods that crash and restart never reach ([F1b](flagger.md#f1b)), and nobody chose it.",
            fix: "Set it to a little more than the pods need to become ready, such as 180.",
        },
        Rule::DeadlineBounds => About {
            default: "Enforce",
            finds: "A `progressDeadlineSeconds` below the policy's `spec.admission.deadline.min` (60 s) or above its `max` (1 h).",
            why: "With 0 or less every rollout fails at once ([F10](flagger.md#f10)); a deadline of hours leaves users on a broken version \
                  for hours.",
            fix: "Write a whole number within the bounds, or have the policy's bounds moved.",
        },
        Rule::Interval => About {
            default: "Enforce where it does not parse, else Warn",
            finds: "An analysis interval that does not parse as a Go duration; one that is shorter than 10 s or outside the policy's bounds.",
            why: "Flagger silently uses 60 s in place of `5m30`, and 10 s in place of anything shorter ([F11](flagger.md#f11)).",
            fix: "Write a duration such as `30s`, `1m` or `5m30s`.",
        },
        Rule::AnalysisNeverAdvances => About {
            default: "Enforce; Warn where it depends on Flagger's own provider and `--flagger-mesh-provider` is not set",
            finds: "An analysis without a step to take (`stepWeight: 0`, empty or zero `stepWeights`, `iterations: 0`), and `mirror` with \
                    steps where the provider goes round in circles.",
            why: "Every rollout waits for ever with ready pods ([F15](flagger.md#f15), [F18](flagger.md#f18)).",
            fix: "Set `stepWeight`, rising `stepWeights` or `iterations`; with `mirror`, set `iterations`.",
        },
        Rule::Weights => About {
            default: "Enforce",
            finds: "Weights that are no share of the traffic: outside 1 to 100 (`stepWeightPromotion`: 0 to 100), a step above `maxWeight`, \
                    `stepWeights` that do not rise.",
            why: "The traffic never gets to the canary, or all of it at once, or a promotion gives the canary ever more ([F18](flagger.md#f18)).",
            fix: "Write whole numbers from 1 to 100, steps in rising order.",
        },
        Rule::Thresholds => About {
            default: "Enforce outside 1 to 100, else Warn",
            finds: "`primaryReadyThreshold` or `canaryReadyThreshold` outside 1 to 100; a canary's threshold below the primary's; a share \
                    that rounds down to no pod at all; a `threshold` of failed checks below 1.",
            why: "No number of pods is 150 % ([F18](flagger.md#f18)); a version that is ready enough as a canary may never be as a primary, \
                  and its promotion hangs ([F14](flagger.md#f14)); none of none counts as ready.",
            fix: "Write whole numbers from 1 to 100, the canary's no lower than the primary's.",
        },
        Rule::ServicePort => About {
            default: "Enforce",
            finds: "No `service.port`, or one that is no port. A target that is a Service itself needs none.",
            why: "Flagger cannot make the Services and never gets further ([F18](flagger.md#f18)).",
            fix: "Write the port that clients use, 1 to 65535.",
        },
        Rule::ApexService => About {
            default: "Enforce",
            finds: "Another Canary of the namespace whose users call a Service of the same name (`service.name`, or the target's name).",
            why: "Flagger points that one Service at both in turn.",
            fix: "Give one of them another `service.name`.",
        },
        Rule::AbIterations => About {
            default: "Warn",
            finds: "`match` conditions without `iterations`.",
            why: "That is no A/B test: Flagger looks at the conditions only where there are iterations, and moves everybody's traffic by \
                  weights.",
            fix: "Set `iterations`, or leave `match` out.",
        },
        Rule::WebhookTimeout => About {
            default: "Enforce",
            finds: "A hook's `timeout` that does not parse, or that is zero or less.",
            why: "Every call of that hook fails, or one that is not answered stops this rollout for ever.",
            fix: "Write a duration such as `30s` or `1m`.",
        },
        Rule::DuplicateTarget => About {
            default: "Enforce",
            finds: "Another Canary of the namespace on a target of the same name, of whatever kind.",
            why: "Flagger compares names and not kinds: both make the same primary and the same Services, and each undoes what the other \
                  does.",
            fix: "Leave each target to one Canary.",
        },
        Rule::TargetSelector => About {
            default: "Enforce; Warn where `--flagger-selector-labels` is not set",
            finds: "A target whose `selector.matchLabels` has none of the labels that Flagger goes by (`app`, `name`, \
                    `app.kubernetes.io/name`, or its `-selector-labels`).",
            why: "Flagger refuses the target and never initializes it.",
            fix: "Give the target's selector and its pods one of the labels.",
        },
        Rule::TargetMissing => About {
            default: "Warn",
            finds: "A target that does not exist (yet). `curfew check`, which sees only what it is given, stays silent.",
            why: "Flagger waits until it does; a misspelt name is waited for without end.",
            fix: "Create it, or correct `targetRef`.",
        },
        Rule::TargetDeadline => About {
            default: "Enforce for 2147483647, else Warn",
            finds: "A Deployment with a `progressDeadlineSeconds` of 2147483647, or one shorter than the Canary's.",
            why: "With the first Kubernetes reports no progress at all, so that neither Flagger's deadline nor Curfew's can hold \
                  ([L10](flagger.md#l10)). The second ends a version that is pushed in mid-rollout earlier than the Canary says \
                  ([F2](flagger.md#f2)).",
            fix: "Leave it out of the Deployment (600 s), or write the Canary's or more.",
        },
        Rule::ScalerMissing => About {
            default: "Warn",
            finds: "An `autoscalerRef` to a HorizontalPodAutoscaler or ScaledObject that does not exist (yet).",
            why: "Flagger cannot make the primary's autoscaler, and the initialization waits for it.",
            fix: "Create it, or correct `autoscalerRef`.",
        },
        Rule::IntervalAboveDeadline => About {
            default: "Warn; Enforce for a DaemonSet",
            finds: "An interval longer than the deadline; for a DaemonSet, one as long.",
            why: "Flagger acts on a passed deadline at its next check, so that a failed version stays an interval longer. A DaemonSet is \
                  failed by Flagger itself when one pod is unready at that moment ([F16](flagger.md#f16)).",
            fix: "Shorten the interval to a third of the deadline or less.",
        },
        Rule::DeadlineBelowStartup => About {
            default: "Warn",
            finds: "A deadline shorter than `minReadySeconds` and the time that the slowest container's own probes allow it.",
            why: "A healthy version can fail. While a workload is initialized, Flagger scales its serving pods to 0 at the deadline \
                  ([F8](flagger.md#f8)), unless Curfew holds the initialization.",
            fix: "Lengthen the deadline, or shorten the probes' budget.",
        },
        Rule::DeadlineFit => About {
            default: "Warn",
            finds: "A deadline under 1.5 times what the slowest of the last rollouts needed (`curfew.dev/ready-after`), or above 10 times.",
            why: "A deadline should be a little above what the pods need: below, the next healthy version may fail; far above, users wait \
                  for a broken one.",
            fix: "Write what the message says would fit.",
        },
        Rule::PartialAvailability => About {
            default: "Audit",
            finds: "A Deployment whose `maxUnavailable` comes to a pod or more, with a `canaryReadyThreshold` of 100.",
            why: "Kubernetes takes it for available with a pod missing, and then Flagger's own deadline never begins \
                  ([F1](flagger.md#f1)). Curfew's does, so this is only recorded.",
            fix: "Set `maxUnavailable: 0`, or leave it to Curfew.",
        },
        Rule::GateWithoutDeadline => About {
            default: "Audit",
            finds: "A `confirm-…` hook, where the policy sets no limit for gates.",
            why: "Nobody is told however long an approval is waited for.",
            fix: "Let the policy set `spec.enforcement.clocks.gate.limit`.",
        },
        Rule::Probes => About {
            default: "Warn without a readiness probe, Audit without a liveness probe",
            finds: "A target none of whose containers has a readiness probe, or a liveness probe.",
            why: "Without a readiness probe a pod counts as ready as soon as it runs, and one that crashes a moment later is promoted \
                  ([F4](flagger.md#f4)).",
            fix: "Give the container that serves a readiness probe, and one that may hang a liveness probe.",
        },
        Rule::RolloutDeadline => About {
            default: "Enforce",
            finds: "An annotation `curfew.dev/rollout-deadline` that does not parse, is above the policy's \
                    `spec.enforcement.clocks.rollout.maxLimit`, or is shorter than the interval times the steps.",
            why: "It would not hold, or would roll back every rollout, smooth ones too.",
            fix: "Write a duration such as `2h`.",
        },
    }
}

/// The page, as `docs/rules.md` holds it.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# The rules\n\n\
         What Curfew finds in a Canary: at `kubectl apply`, with `curfew check`, and in what is stored already. This page is written by\n\
         the code (`core/src/rules/reference.rs`).\n\n\
         The mode in force for a finding decides what is done about it: `Enforce` refuses the request, `Warn` warns the user, `Audit`\n\
         records it in the policy's status and the metrics, `Disabled` forgets it. The modes below are the defaults; a `CanaryPolicy` sets others,\n\
         for a rule by its name:\n\n\
         ```yaml\nspec:\n  admission:\n    rules: {probes: Disabled, target-missing: Audit}\n```\n\n\
         An update is refused only for what is new in it. What could not be looked at (a cache that is not filled, a permission that is\n\
         missing) is a warning at most.\n\n\
         | rule | default |\n|---|---|\n",
    );
    for rule in Rule::ALL {
        let _ = writeln!(page, "| [`{rule}`](#{rule}) | {} |", about(rule).default);
    }
    for rule in Rule::ALL {
        let About {
            default: _,
            finds,
            why,
            fix,
        } = about(rule);
        let _ = write!(
            page,
            "\n## {rule}\n\n{finds}\n\n**Why.** {why}\n\n**Fix.** {fix}\n\n**Switch off.** `spec.admission.rules: {{{rule}: Disabled}}`\n"
        );
    }
    page
}
