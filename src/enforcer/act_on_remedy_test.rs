use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::{
    enforcer::state::CanaryStates,
    flagger::{canary::Canary, objects::Objects, observe},
};

#[test]
fn a_version_that_was_pushed_into_a_rollback_is_told() {
    let now: Timestamp = "2026-11-23T14:01:00Z".parse().expect("a time");
    let breach = Breach {
        clock: Clock::READINESS,
        deadline: now,
        limit: SignedDuration::from_secs(60),
    };
    let revision = "5c7d9f6b8-3fa1c2d4".to_owned();
    let verdict = Verdict::new(
        now,
        revision,
        ruling(breach, RemedyName::Rollback, Outcome::Confirmed, ""),
    );
    let plain = "Flagger rolled back after the verdict of 2026-11-23T14:01:00Z";
    assert_eq!(rolled_back(&verdict, "5c7d9f6b8"), plain);
    assert!(rolled_back(&verdict, "77b5c").contains("change the template once more"));
}

#[test]
fn a_deadline_that_is_only_told_does_not_displace_a_verdict_that_was_handed_over() {
    let now: Timestamp = "2026-11-23T14:01:00Z".parse().expect("a time");
    let canary = Canary::from_json(json!({
        "metadata": {"name": "web"},
        "status": {"phase": "Progressing", "conditions": [{"type": "Promoted", "status": "Unknown",
            "lastTransitionTime": "2026-11-23T14:00:00Z", "lastUpdateTime": "2026-11-23T14:00:00Z"}]},
    }));
    let mut state = CanaryStates::default().take(&canary, now);
    let objects = Objects {
        canary: &canary,
        target: None,
        primary: None,
        pods: None,
        last_event: None,
        canaries: 0,
    };
    state.stamp = observe(objects, &state.stamp, now).1;
    let breach = |clock| Breach {
        clock,
        deadline: now,
        limit: SignedDuration::from_secs(60),
    };
    let reported = |clock| ruling(breach(clock), RemedyName::Report, Outcome::Reported, "because");

    state.give_verdict(reported(Clock::STALL), now);
    assert_eq!(state.stamp.verdict.as_ref().expect("a verdict").clock, Clock::STALL);
    let requested_one = ruling(
        breach(Clock::READINESS),
        RemedyName::Rollback,
        Outcome::Requested,
        "why",
    );
    state.give_verdict(requested_one, now);
    state.give_verdict(reported(Clock::SILENCE), now);
    assert_eq!(state.stamp.verdict.as_ref().expect("a verdict").clock, Clock::READINESS);
    assert!(requested(&state.stamp));

    // Flagger rolled back, and left traffic on the canary.
    state.stamp.verdict.as_mut().expect("a verdict").result = Outcome::Confirmed;
    state.give_verdict(reported(Clock::STANDSTILL), now);
    assert_eq!(state.stamp.verdict.as_ref().expect("a verdict").clock, Clock::READINESS);
}
