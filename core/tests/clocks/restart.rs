//! What is known after a restart, and what happened while nobody looked.

use curfew_core::deadline::{
    judge::State,
    observe::TargetSeen,
    remedy::{Remedy, Withheld},
    stamp::Stamp,
};
use serde_json::json;

use super::{
    film::{Film, Pod, deployment},
    requested,
};

const HOUR: i64 = 3600;

#[test]
fn a_restart_loses_no_time() {
    let mut film = Film::begin();
    film.until(30).ready(3).until(31);
    film.restart();
    film.now = Film::at(55);
    film.look();
    assert_eq!(film.deadline(), Some(60));
    film.until(61);
    assert_eq!(film.rolled_back_at(), Some(60));
}

#[test]
fn a_restart_across_the_deadline_fails_the_rollout_at_once() {
    let mut film = Film::begin();
    film.until(30);
    film.restart();
    film.now = Film::at(90);
    film.look();
    assert_eq!(film.rolled_back_at(), Some(90));
}

#[test]
fn what_happened_while_nobody_looked_counts_only_if_the_pods_tell_it() {
    let mut film = Film::begin();
    film.until(30);
    film.restart();
    // Meanwhile all became ready, and one fell again at 85.
    film.now = Film::at(90);
    film.pods = vec![
        Pod {
            created: 0,
            ready: true,
            since: 40
        };
        4
    ];
    film.pods[3] = Pod {
        created: 0,
        ready: false,
        since: 85,
    };
    film.target = Some(deployment("v2", 4, 3));
    film.look();
    // The stamp says "0s, unready since 0"; ready time is believed from there to 85, and a second longer, since all that
    // is written is in whole seconds.
    assert_eq!(film.deadline(), Some(146));
}

#[test]
fn a_verdict_handed_over_before_a_restart_still_holds() {
    let mut film = Film::begin();
    film.until(60);
    requested(&mut film);
    film.restart();
    film.now = Film::at(70);
    film.ready(4);
    assert!(matches!(film.judgement().state, State::Breached(_)));
    film.phase("Failed");
    assert_eq!(film.remedies.last(), Some(&(70, Remedy::Confirm)));
}

#[test]
fn what_flagger_did_with_a_verdict_during_a_restart_is_noticed() {
    for (phase, applied, expected) in [
        ("Failed", "v2", Some(Remedy::Confirm)),
        ("Succeeded", "v2", Some(Remedy::Withdraw)),
        // Another version was rolled out meanwhile, and failed for reasons of its own.
        ("Failed", "v3", None),
    ] {
        let mut film = Film::begin();
        film.until(60);
        requested(&mut film);
        film.restart();
        film.canary["status"]["phase"] = json!(phase);
        film.canary["status"]["lastAppliedSpec"] = json!(applied);
        film.forget();
        film.remedies.clear();
        film.now = Film::at(100);
        film.look();
        let asked = film.remedies.last().map(|(_, remedy)| remedy.clone());
        assert_eq!(asked, expected, "{phase} {applied}");
    }
}

#[test]
fn a_rollout_found_running_takes_its_start_from_the_status_and_waits_one_interval() {
    let mut film = Film::begin();
    film.stamp = Stamp::default();
    film.remedies.clear();
    film.now = Film::at(200);
    film.look();
    let rollout = film.stamp.rollout.as_ref().expect("a rollout");
    assert_eq!((rollout.started_at, rollout.progressed_at), (Film::at(0), Film::at(0)));
    let (200, Remedy::Withhold(_, Withheld::Unproven(until))) = film.remedies[0] else {
        panic!("{:?}", film.remedies)
    };
    assert_eq!(until, Film::at(215));
    film.until(216);
    assert!(film.rolled_back_at().is_some());
}

#[test]
fn a_fix_that_was_taken_up_while_nobody_looked_has_its_time_from_then() {
    let mut film = Film::begin();
    film.ready(3).until(30).restart();
    // The fix is taken up at 40, while pods of the version before it have been unready since the beginning.
    film.now = Film::at(40);
    film.push("v3").flagger(&[("lastAppliedSpec", json!("v3"))]);
    film.now = Film::at(50);
    film.forget().look();
    // When in that second it was, nobody wrote down.
    film.until(100);
    assert_eq!(film.rolled_back_at(), None, "{:?}", film.remedies);
    film.until(102);
    assert_eq!(film.rolled_back_at(), Some(101), "{:?}", film.remedies);
}

#[test]
fn a_healthy_rollout_found_running_is_left_alone() {
    let mut film = Film::begin();
    film.stamp = Stamp::default();
    film.now = Film::at(2000);
    film.ready(4);
    film.until(5000);
    assert_eq!(film.remedies, []);
}

#[test]
fn a_deadline_made_longer_while_nobody_looked_takes_the_verdict_back() {
    let mut film = Film::begin();
    film.until(60);
    requested(&mut film);
    film.restart();
    film.now = Film::at(70);
    film.spec("progressDeadlineSeconds", json!(600));
    assert_eq!(film.remedies.last(), Some(&(70, Remedy::Withdraw)));
}

#[test]
fn a_rollback_that_happened_while_nobody_looked_is_confirmed() {
    let mut film = Film::begin();
    film.until(60);
    requested(&mut film);
    film.restart();
    film.now = Film::at(90);
    film.phase("Failed");
    assert_eq!(film.remedies.last(), Some(&(90, Remedy::Confirm)));
}

#[test]
fn a_verdict_of_another_rollout_or_from_the_future_is_nothing() {
    let mut film = Film::begin();
    film.until(60);
    requested(&mut film);
    let mut other = film.stamp.verdict.clone().expect("a verdict");
    other.revision = "v1-00000000".to_owned();
    let mut future = film.stamp.verdict.clone().expect("a verdict");
    future.at = Film::at(100_000);
    for verdict in [other, future] {
        film.restart();
        film.canary["metadata"]["annotations"]["curfew.dev/verdict"] =
            json!(serde_json::to_string(&verdict).expect("JSON"));
        film.forget();
        film.remedies.clear();
        film.now = Film::at(200);
        film.phase("Failed");
        assert_eq!(film.remedies, []);
        film.phase("Progressing");
    }
}

#[test]
fn a_target_that_still_has_pods_of_the_version_before_was_not_ready_meanwhile() {
    // A rolling update that stands still: four old pods serve, and the new one never gets ready.
    let updating = |film: &mut Film, version: &str| {
        film.pods = vec![
            Pod {
                created: -100,
                ready: true,
                since: -90
            };
            4
        ];
        film.pods.push(Pod {
            created: 0,
            ready: false,
            since: 0,
        });
        let mut target = deployment(version, 4, 4);
        (target["status"]["replicas"], target["status"]["updatedReplicas"]) = (json!(5), json!(1));
        film.target = Some(target);
        film.look();
    };
    let mut film = Film::begin();
    updating(&mut film, "v2");
    // Until it is as old as the deadline, the new pod may be growing.
    film.until(70).restart();
    film.now = Film::at(75);
    film.look();
    assert_eq!(film.deadline(), Some(120));
    // One that was pushed meanwhile explains the old pods just as well, whether Flagger looked since or not.
    for last_event in [None, Some(10)] {
        let mut film = Film::begin();
        film.last_event = last_event;
        film.until(20).push("v3");
        film.now = Film::at(500);
        updating(&mut film, "v3");
        assert_eq!(film.deadline(), Some(560), "{last_event:?}");
    }
}

#[test]
fn a_target_that_may_have_been_growing_meanwhile_is_not_counted_as_unready() {
    // Two more pods are wanted and never get ready. Curfew is away before they are too old to be growing, and for longer.
    for (restarted, found) in [(40, 60), (40, 120), (80, 120)] {
        let mut film = Film::begin();
        film.until(20).ready(4).flagger(&[("canaryWeight", json!(10))]);
        film.until(30);
        let young = Pod {
            created: 30,
            ready: false,
            since: 30,
        };
        film.pods.extend(vec![young; 2]);
        film.ready(4).until(restarted).restart();
        film.now = Film::at(found);
        film.look();
        film.until(200);
        // They are too old from 90 on, or the second after it, if nobody saw that.
        let seen = film.rolled_back_at().expect("a rollback");
        assert!((150..=151).contains(&seen), "{restarted} {found}: {seen}");
    }
}

#[test]
fn how_many_pods_were_wanted_at_the_last_progress_is_known_after_a_restart() {
    let mut film = Film::begin();
    film.until(20).ready(4).flagger(&[("canaryWeight", json!(10))]);
    // A user wants two more; the four are there.
    film.until(30);
    let young = Pod {
        created: 30,
        ready: false,
        since: 30,
    };
    film.pods.extend(vec![young; 2]);
    film.ready(4).until(40).restart().look();
    assert_eq!(film.seen().target, TargetSeen::Growing(Film::at(90)));
}

#[test]
fn a_long_time_without_a_look_counts_only_as_far_as_the_pods_tell() {
    let mut film = Film::begin();
    film.until(10);
    // Nobody looks for ten minutes; the pods were ready from 12 on, and one fell at 598.
    film.pods = vec![
        Pod {
            created: 0,
            ready: true,
            since: 12
        };
        4
    ];
    film.pods[3] = Pod {
        created: 0,
        ready: false,
        since: 598,
    };
    film.target = Some(deployment("v2", 4, 3));
    film.now = Film::at(600);
    film.look();
    assert_eq!(film.rolled_back_at(), None);
    assert_eq!(film.deadline(), Some(659));
}

#[test]
fn a_stamp_never_gives_a_later_start_than_the_status() {
    let mut film = Film::begin();
    film.until(30);
    film.restart();
    film.canary["metadata"]["annotations"]["curfew.dev/started-at"] = json!("2026-11-23T14:00:29Z");
    film.now = Film::at(40);
    film.look();
    assert_eq!(film.stamp.rollout.as_ref().expect("a rollout").started_at, Film::at(0));
}

#[test]
fn a_target_that_vanishes_and_comes_back_is_the_same_one() {
    let mut film = Film::begin();
    film.until(10);
    let target = film.target.take();
    film.look();
    assert_eq!((film.seen().target, film.deadline()), (TargetSeen::Missing, None));
    film.until(20);
    film.target = target;
    film.look();
    assert!(film.seen().synced);
    assert_eq!(film.deadline(), Some(70));
}

#[test]
fn time_in_which_nobody_saw_a_canary_that_was_edited_does_not_count() {
    for (watched_until, deadline) in [(Some(25), 90), (Some(100), 60), (Some(-5), 115), (None, 115)] {
        let mut film = Film::begin();
        film.until(20);
        film.watched_until = watched_until.map(Film::at);
        film.restart();
        // It may have been suspended for any part of this.
        film.now = Film::at(30);
        film.edit("suspend", json!(true));
        film.now = Film::at(55);
        film.edit("suspend", json!(false));
        film.look();
        assert_eq!(film.deadline(), Some(deadline), "{watched_until:?}");
        // What is seen from now on counts, and survives another restart.
        film.until(56).restart();
        film.look();
        assert_eq!(film.deadline(), Some(deadline), "{watched_until:?}");
        film.until(200);
        assert_eq!(film.rolled_back_at(), Some(deadline), "{watched_until:?}");
    }
}

#[test]
fn a_suspension_that_is_heard_of_late_counts_from_the_last_look() {
    let mut film = Film::begin();
    film.until(20);
    // It was suspended at 24, and the network was cut until 30.
    film.now = Film::at(30);
    film.spec("suspend", json!(true))
        .until(50)
        .spec("suspend", json!(false));
    assert_eq!(film.deadline(), Some(90));
}

#[test]
fn an_edit_that_was_seen_costs_no_time_after_a_restart() {
    let mut film = Film::begin();
    film.until(10).spec("progressDeadlineSeconds", json!(80)).until(20);
    film.restart();
    film.now = Film::at(50);
    film.look();
    assert_eq!(film.deadline(), Some(80));
}

#[test]
fn after_a_restart_approvals_and_holds_are_still_no_part_of_the_rollouts_time() {
    let began = || {
        let mut film = Film::begin();
        film.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("10m");
        film.until(10).ready(4).until(100);
        film
    };
    // They were seen.
    let mut film = began();
    film.spec("suspend", json!(true))
        .until(HOUR)
        .spec("suspend", json!(false));
    film.until(HOUR + 10).restart().until(HOUR + 499);
    assert_eq!(film.rolled_back_at(), None);
    film.until(HOUR + 501);
    assert_eq!(film.rolled_back_at(), Some(HOUR + 500));

    // Nobody saw them: all that is certain is what was seen before, and the phase since it began.
    for hold in ["suspend", "WaitingPromotion"] {
        let mut film = began();
        film.watched_until = Some(Film::at(90));
        film.restart();
        if hold == "suspend" {
            film.edit("suspend", json!(true));
            film.edit("suspend", json!(false));
            film.now = Film::at(HOUR);
        } else {
            film.now = Film::at(HOUR);
            let since = json!(film.now.to_string());
            film.canary["status"]["conditions"][0]["lastUpdateTime"] = since;
            film.now = Film::at(HOUR + 10);
        }
        film.look();
        film.until(HOUR + 509);
        assert_eq!(film.rolled_back_at(), None, "{hold}");
        film.until(HOUR + 511);
        assert_eq!(film.rolled_back_at(), Some(HOUR + 510), "{hold}");
    }

    // Without a stamp all that is known is its phase, unless it is held: then it may have been for ever.
    for (suspended, deadline) in [(false, 600), (true, 700)] {
        let mut film = began();
        film.canary["spec"]["suspend"] = json!(suspended);
        film.now = Film::at(100);
        film.forget().look();
        film.spec("suspend", json!(false)).until(deadline - 1);
        assert_eq!(film.rolled_back_at(), None, "suspended: {suspended}");
        film.until(deadline + 1);
        assert_eq!(film.rolled_back_at(), Some(deadline), "suspended: {suspended}");
    }

    // One that waits now has waited since its phase began.
    let mut film = began();
    film.watched_until = Some(Film::at(90));
    film.restart();
    film.now = Film::at(120);
    film.phase("WaitingPromotion").until(HOUR).phase("Progressing");
    film.until(HOUR + 509);
    assert_eq!(film.rolled_back_at(), None);
    film.until(HOUR + 511);
    assert_eq!(film.rolled_back_at(), Some(HOUR + 510));
}
