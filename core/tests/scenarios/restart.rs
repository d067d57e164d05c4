//! What is known after a restart, and what happened while nobody looked.

use curfew_core::{
    deadline::evaluate::RolloutState,
    rollout::{guard::Guard, observation::TargetState, remedy::Remedy, stamp::Stamp},
};
use serde_json::json;

use super::{
    requested,
    scenario::{Pod, Scenario, deployment},
};

const HOUR: i64 = 3600;

#[test]
fn a_restart_loses_no_time() {
    let mut scenario = Scenario::begin();
    scenario.until(30).ready(3).until(31);
    scenario.restart();
    scenario.now = Scenario::at(55);
    scenario.look();
    assert_eq!(scenario.deadline(), Some(60));
    scenario.until(61);
    assert_eq!(scenario.rolled_back_at(), Some(60));
}

#[test]
fn a_restart_across_the_deadline_fails_the_rollout_at_once() {
    let mut scenario = Scenario::begin();
    scenario.until(30);
    scenario.restart();
    scenario.now = Scenario::at(90);
    scenario.look();
    assert_eq!(scenario.rolled_back_at(), Some(90));
}

#[test]
fn what_happened_while_nobody_looked_counts_only_if_the_pods_tell_it() {
    let mut scenario = Scenario::begin();
    scenario.until(30);
    scenario.restart();
    // Meanwhile all became ready, and one fell again at 85.
    scenario.now = Scenario::at(90);
    scenario.pods = vec![
        Pod {
            created: 0,
            ready: true,
            since: 40
        };
        4
    ];
    scenario.pods[3] = Pod {
        created: 0,
        ready: false,
        since: 85,
    };
    scenario.target = Some(deployment("v2", 4, 3));
    scenario.look();
    // The stamp says "0s, unready since 0"; ready time is believed from there to 85, and a second longer, since all that
    // is written is in whole seconds.
    assert_eq!(scenario.deadline(), Some(146));
}

#[test]
fn a_verdict_handed_over_before_a_restart_still_holds() {
    let mut scenario = Scenario::begin();
    scenario.until(60);
    requested(&mut scenario);
    scenario.restart();
    scenario.now = Scenario::at(70);
    scenario.ready(4);
    assert!(matches!(scenario.evaluation().state, RolloutState::Breached(_)));
    scenario.phase("Failed");
    assert_eq!(scenario.remedies.last(), Some(&(70, Remedy::Confirm)));
}

#[test]
fn what_flagger_did_with_a_verdict_during_a_restart_is_noticed() {
    for (phase, applied, expected) in [
        ("Failed", "v2", Some(Remedy::Confirm)),
        ("Succeeded", "v2", Some(Remedy::Withdraw)),
        // Another version was rolled out meanwhile, and failed for reasons of its own.
        ("Failed", "v3", None),
    ] {
        let mut scenario = Scenario::begin();
        scenario.until(60);
        requested(&mut scenario);
        scenario.restart();
        scenario.canary["status"]["phase"] = json!(phase);
        scenario.canary["status"]["lastAppliedSpec"] = json!(applied);
        scenario.forget();
        scenario.remedies.clear();
        scenario.now = Scenario::at(100);
        scenario.look();
        let asked = scenario.remedies.last().map(|(_, remedy)| remedy.clone());
        assert_eq!(asked, expected, "{phase} {applied}");
    }
}

#[test]
fn a_rollout_found_running_takes_its_start_from_the_status_and_waits_one_interval() {
    let mut scenario = Scenario::begin();
    scenario.stamp = Stamp::default();
    scenario.remedies.clear();
    scenario.now = Scenario::at(200);
    scenario.look();
    let rollout = scenario.stamp.rollout.as_ref().expect("a rollout");
    assert_eq!(
        (rollout.started_at, rollout.progressed_at),
        (Scenario::at(0), Scenario::at(0))
    );
    let (200, Remedy::Withhold(_, Guard::Unproven(until))) = scenario.remedies[0] else {
        panic!("{:?}", scenario.remedies)
    };
    assert_eq!(until, Scenario::at(215));
    scenario.until(216);
    assert!(scenario.rolled_back_at().is_some());
}

#[test]
fn a_fix_that_was_taken_up_while_nobody_looked_has_its_time_from_then() {
    let mut scenario = Scenario::begin();
    scenario.ready(3).until(30).restart();
    // The fix is taken up at 40, while pods of the version before it have been unready since the beginning.
    scenario.now = Scenario::at(40);
    scenario.push("v3").flagger(&[("lastAppliedSpec", json!("v3"))]);
    scenario.now = Scenario::at(50);
    scenario.forget().look();
    // When in that second it was, nobody wrote down.
    scenario.until(100);
    assert_eq!(scenario.rolled_back_at(), None, "{:?}", scenario.remedies);
    scenario.until(102);
    assert_eq!(scenario.rolled_back_at(), Some(101), "{:?}", scenario.remedies);
}

#[test]
fn a_healthy_rollout_found_running_is_left_alone() {
    let mut scenario = Scenario::begin();
    scenario.stamp = Stamp::default();
    scenario.now = Scenario::at(2000);
    scenario.ready(4);
    scenario.until(5000);
    assert_eq!(scenario.remedies, []);
}

#[test]
fn a_deadline_made_longer_while_nobody_looked_takes_the_verdict_back() {
    let mut scenario = Scenario::begin();
    scenario.until(60);
    requested(&mut scenario);
    scenario.restart();
    scenario.now = Scenario::at(70);
    scenario.spec("progressDeadlineSeconds", json!(600));
    assert_eq!(scenario.remedies.last(), Some(&(70, Remedy::Withdraw)));
}

#[test]
fn a_rollback_that_happened_while_nobody_looked_is_confirmed() {
    let mut scenario = Scenario::begin();
    scenario.until(60);
    requested(&mut scenario);
    scenario.restart();
    scenario.now = Scenario::at(90);
    scenario.phase("Failed");
    assert_eq!(scenario.remedies.last(), Some(&(90, Remedy::Confirm)));
}

#[test]
fn a_verdict_of_another_rollout_or_from_the_future_is_nothing() {
    let mut scenario = Scenario::begin();
    scenario.until(60);
    requested(&mut scenario);
    let mut other = scenario.stamp.verdict.clone().expect("a verdict");
    other.revision = "v1-00000000".to_owned();
    let mut future = scenario.stamp.verdict.clone().expect("a verdict");
    future.at = Scenario::at(100_000);
    for verdict in [other, future] {
        scenario.restart();
        scenario.canary["metadata"]["annotations"]["curfew.dev/verdict"] =
            json!(serde_json::to_string(&verdict).expect("JSON"));
        scenario.forget();
        scenario.remedies.clear();
        scenario.now = Scenario::at(200);
        scenario.phase("Failed");
        assert_eq!(scenario.remedies, []);
        scenario.phase("Progressing");
    }
}

#[test]
fn a_target_that_still_has_pods_of_the_version_before_was_not_ready_meanwhile() {
    // A rolling update that stands still: four old pods serve, and the new one never gets ready.
    let updating = |scenario: &mut Scenario, version: &str| {
        scenario.pods = vec![
            Pod {
                created: -100,
                ready: true,
                since: -90
            };
            4
        ];
        scenario.pods.push(Pod {
            created: 0,
            ready: false,
            since: 0,
        });
        let mut target = deployment(version, 4, 4);
        (target["status"]["replicas"], target["status"]["updatedReplicas"]) = (json!(5), json!(1));
        scenario.target = Some(target);
        scenario.look();
    };
    let mut scenario = Scenario::begin();
    updating(&mut scenario, "v2");
    // Until it is as old as the deadline, the new pod may be growing.
    scenario.until(70).restart();
    scenario.now = Scenario::at(75);
    scenario.look();
    assert_eq!(scenario.deadline(), Some(120));
    // One that was pushed meanwhile explains the old pods just as well, whether Flagger looked since or not.
    for last_event in [None, Some(10)] {
        let mut scenario = Scenario::begin();
        scenario.last_event = last_event;
        scenario.until(20).push("v3");
        scenario.now = Scenario::at(500);
        updating(&mut scenario, "v3");
        assert_eq!(scenario.deadline(), Some(560), "{last_event:?}");
    }
}

#[test]
fn a_target_that_may_have_been_growing_meanwhile_is_not_counted_as_unready() {
    // Two more pods are wanted and never get ready. Curfew is away before they are too old to be growing, and for longer.
    for (restarted, found) in [(40, 60), (40, 120), (80, 120)] {
        let mut scenario = Scenario::begin();
        scenario.until(20).ready(4).flagger(&[("canaryWeight", json!(10))]);
        scenario.until(30);
        let young = Pod {
            created: 30,
            ready: false,
            since: 30,
        };
        scenario.pods.extend(vec![young; 2]);
        scenario.ready(4).until(restarted).restart();
        scenario.now = Scenario::at(found);
        scenario.look();
        scenario.until(200);
        // They are too old from 90 on, or the second after it, if nobody saw that.
        let seen = scenario.rolled_back_at().expect("a rollback");
        assert!((150..=151).contains(&seen), "{restarted} {found}: {seen}");
    }
}

#[test]
fn how_many_pods_were_wanted_at_the_last_progress_is_known_after_a_restart() {
    let mut scenario = Scenario::begin();
    scenario.until(20).ready(4).flagger(&[("canaryWeight", json!(10))]);
    // A user wants two more; the four are there.
    scenario.until(30);
    let young = Pod {
        created: 30,
        ready: false,
        since: 30,
    };
    scenario.pods.extend(vec![young; 2]);
    scenario.ready(4).until(40).restart().look();
    assert_eq!(scenario.seen().target, TargetState::Growing(Scenario::at(90)));
}

#[test]
fn a_long_time_without_a_look_counts_only_as_far_as_the_pods_tell() {
    let mut scenario = Scenario::begin();
    scenario.until(10);
    // Nobody looks for ten minutes; the pods were ready from 12 on, and one fell at 598.
    scenario.pods = vec![
        Pod {
            created: 0,
            ready: true,
            since: 12
        };
        4
    ];
    scenario.pods[3] = Pod {
        created: 0,
        ready: false,
        since: 598,
    };
    scenario.target = Some(deployment("v2", 4, 3));
    scenario.now = Scenario::at(600);
    scenario.look();
    assert_eq!(scenario.rolled_back_at(), None);
    assert_eq!(scenario.deadline(), Some(659));
}

#[test]
fn a_stamp_never_gives_a_later_start_than_the_status() {
    let mut scenario = Scenario::begin();
    scenario.until(30);
    scenario.restart();
    scenario.canary["metadata"]["annotations"]["curfew.dev/started-at"] = json!("2026-11-23T14:00:29Z");
    scenario.now = Scenario::at(40);
    scenario.look();
    assert_eq!(
        scenario.stamp.rollout.as_ref().expect("a rollout").started_at,
        Scenario::at(0)
    );
}

#[test]
fn a_target_that_vanishes_and_comes_back_is_the_same_one() {
    let mut scenario = Scenario::begin();
    scenario.until(10);
    let target = scenario.target.take();
    scenario.look();
    assert_eq!(
        (scenario.seen().target, scenario.deadline()),
        (TargetState::Missing, None)
    );
    scenario.until(20);
    scenario.target = target;
    scenario.look();
    assert!(scenario.seen().synced);
    assert_eq!(scenario.deadline(), Some(70));
}

#[test]
fn time_in_which_nobody_saw_a_canary_that_was_edited_does_not_count() {
    for (watched_until, deadline) in [(Some(25), 90), (Some(100), 60), (Some(-5), 115), (None, 115)] {
        let mut scenario = Scenario::begin();
        scenario.until(20);
        scenario.watched_until = watched_until.map(Scenario::at);
        scenario.restart();
        // It may have been suspended for any part of this.
        scenario.now = Scenario::at(30);
        scenario.edit("suspend", json!(true));
        scenario.now = Scenario::at(55);
        scenario.edit("suspend", json!(false));
        scenario.look();
        assert_eq!(scenario.deadline(), Some(deadline), "{watched_until:?}");
        // What is seen from now on counts, and survives another restart.
        scenario.until(56).restart();
        scenario.look();
        assert_eq!(scenario.deadline(), Some(deadline), "{watched_until:?}");
        scenario.until(200);
        assert_eq!(scenario.rolled_back_at(), Some(deadline), "{watched_until:?}");
    }
}

#[test]
fn a_suspension_that_is_heard_of_late_counts_from_the_last_look() {
    let mut scenario = Scenario::begin();
    scenario.until(20);
    // It was suspended at 24, and the network was cut until 30.
    scenario.now = Scenario::at(30);
    scenario
        .spec("suspend", json!(true))
        .until(50)
        .spec("suspend", json!(false));
    assert_eq!(scenario.deadline(), Some(90));
}

#[test]
fn an_edit_that_was_seen_costs_no_time_after_a_restart() {
    let mut scenario = Scenario::begin();
    scenario.until(10).spec("progressDeadlineSeconds", json!(80)).until(20);
    scenario.restart();
    scenario.now = Scenario::at(50);
    scenario.look();
    assert_eq!(scenario.deadline(), Some(80));
}

#[test]
fn after_a_restart_approvals_and_holds_are_still_no_part_of_the_rollouts_time() {
    let began = || {
        let mut scenario = Scenario::begin();
        scenario.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("10m");
        scenario.until(10).ready(4).until(100);
        scenario
    };
    // They were seen.
    let mut scenario = began();
    scenario
        .spec("suspend", json!(true))
        .until(HOUR)
        .spec("suspend", json!(false));
    scenario.until(HOUR + 10).restart().until(HOUR + 499);
    assert_eq!(scenario.rolled_back_at(), None);
    scenario.until(HOUR + 501);
    assert_eq!(scenario.rolled_back_at(), Some(HOUR + 500));

    // Nobody saw them: all that is certain is what was seen before, and the phase since it began.
    for hold in ["suspend", "WaitingPromotion"] {
        let mut scenario = began();
        scenario.watched_until = Some(Scenario::at(90));
        scenario.restart();
        if hold == "suspend" {
            scenario.edit("suspend", json!(true));
            scenario.edit("suspend", json!(false));
            scenario.now = Scenario::at(HOUR);
        } else {
            scenario.now = Scenario::at(HOUR);
            let since = json!(scenario.now.to_string());
            scenario.canary["status"]["conditions"][0]["lastUpdateTime"] = since;
            scenario.now = Scenario::at(HOUR + 10);
        }
        scenario.look();
        scenario.until(HOUR + 509);
        assert_eq!(scenario.rolled_back_at(), None, "{hold}");
        scenario.until(HOUR + 511);
        assert_eq!(scenario.rolled_back_at(), Some(HOUR + 510), "{hold}");
    }

    // Without a stamp all that is known is its phase, unless it is held: then it may have been for ever.
    for (suspended, deadline) in [(false, 600), (true, 700)] {
        let mut scenario = began();
        scenario.canary["spec"]["suspend"] = json!(suspended);
        scenario.now = Scenario::at(100);
        scenario.forget().look();
        scenario.spec("suspend", json!(false)).until(deadline - 1);
        assert_eq!(scenario.rolled_back_at(), None, "suspended: {suspended}");
        scenario.until(deadline + 1);
        assert_eq!(scenario.rolled_back_at(), Some(deadline), "suspended: {suspended}");
    }

    // One that waits now has waited since its phase began.
    let mut scenario = began();
    scenario.watched_until = Some(Scenario::at(90));
    scenario.restart();
    scenario.now = Scenario::at(120);
    scenario.phase("WaitingPromotion").until(HOUR).phase("Progressing");
    scenario.until(HOUR + 509);
    assert_eq!(scenario.rolled_back_at(), None);
    scenario.until(HOUR + 511);
    assert_eq!(scenario.rolled_back_at(), Some(HOUR + 510));
}
