use super::*;

#[test]
fn what_is_withheld_says_what_is_waited_for() {
    let moment = Timestamp::UNIX_EPOCH;
    for (withheld_for, expected) in [
        (Guard::Skewed(SignedDuration::from_secs(-40)), "are 40 s apart"),
        (Guard::Stale(SignedDuration::from_secs(70)), "silent for 70 s"),
        (
            Guard::Breaker(moment, Cause::Starting),
            "not every rollout has been looked at",
        ),
        (Guard::ControllersBehind, "kube-controller-manager does not keep up"),
        (Guard::FixPushed(moment), "Flagger will look at the new one"),
        (Guard::Unproven(moment), "found running"),
        (Guard::NotLooking(TargetState::PrimaryNotReady), "waits for the primary"),
        (Guard::NotLooking(TargetState::Paused), "the target is paused"),
        (Guard::NotLooking(TargetState::Missing), "cannot judge the target now"),
        (Guard::Forbidden, "a permission is missing"),
        (Guard::Blind, "pods cannot be looked at"),
    ] {
        let said = withheld(withheld_for);
        assert!(said.contains(expected), "{withheld_for:?}: {said}");
    }
}

#[test]
fn deadlines_that_somebody_changed_in_mid_rollout_are_put_on_record() {
    let deadlines = |rollout: i64, readiness: i64, whole: Option<i64>| Deadlines {
        rollout: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(rollout),
        readiness: Some(SignedDuration::from_secs(readiness)),
        whole: whole.map(SignedDuration::from_secs),
    };
    let before = deadlines(1, 180, None);
    for (now, expected) in [
        (deadlines(1, 180, None), None),
        // Another rollout has what it has.
        (deadlines(2, 600, None), None),
        (
            deadlines(1, 600, None),
            Some(
                "the deadline for readiness is 600 s now, and was 180 s; in mid-rollout, counted from where each began",
            ),
        ),
        (
            deadlines(1, 180, Some(7200)),
            Some(
                "the deadline for the whole rollout is 7200 s now, and was none; in mid-rollout, counted from where each began",
            ),
        ),
    ] {
        assert_eq!(now.changed_since(before).as_deref(), expected, "{now:?}");
    }
}

#[test]
fn a_breach_is_told_with_its_clock_its_limit_and_why() {
    let said = |clock| {
        let breach = Breach {
            clock,
            deadline: Timestamp::UNIX_EPOCH,
            limit: SignedDuration::from_secs(90),
        };
        exceeded(&breach, "because")
    };
    for (clock, expected) in [
        (Clock::READINESS, "the readiness deadline of 90 s has passed: because"),
        (
            Clock::CRASHES,
            "the failed exits of one container reached the policy's limit within 90 s: because",
        ),
        (
            Clock::INITIALIZATION,
            "the initialization is not done, and its deadline of 90 s is near or past: because",
        ),
    ] {
        assert_eq!(said(clock), expected);
    }
}
