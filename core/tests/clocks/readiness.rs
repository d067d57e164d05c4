//! The readiness clock: what counts, what does not, and at which second a rollout is failed.

use curfew_core::{
    deadline::{
        Clock,
        judge::State,
        observe::TargetSeen,
        remedy::{Levers, Remedy, TargetLever, Withheld},
        stamp::Stamp,
    },
    policy::canary_policy::{Action, Enforcement},
};
use serde_json::json;

use super::{
    film::{Film, Pod, deployment},
    requested,
};

#[test]
fn a_target_that_is_never_ready_fails_at_its_deadline() {
    let mut film = Film::begin();
    assert_eq!(film.deadline(), Some(60));
    film.ready(3).until(59);
    assert_eq!(film.rolled_back_at(), None);
    film.until(300);
    assert_eq!(film.rolled_back_at(), Some(60));
    let (_, Remedy::RollBack(_, levers)) = film.remedies[0] else {
        panic!("{:?}", film.remedies)
    };
    assert_eq!(
        levers,
        Levers {
            fail_checks: true,
            target: TargetLever::ExceedDeadline
        }
    );
}

#[test]
fn failed_checks_do_nothing_where_the_analysis_is_skipped() {
    let mut film = Film::begin();
    film.spec("skipAnalysis", json!(true)).until(61);
    let (60, Remedy::RollBack(_, levers)) = film.remedies[0] else {
        panic!("{:?}", film.remedies)
    };
    assert_eq!(
        levers,
        Levers {
            fail_checks: false,
            target: TargetLever::ExceedDeadline
        }
    );
}

#[test]
fn the_deadline_is_announced_at_four_fifths_of_it() {
    let mut film = Film::begin();
    film.until(47);
    assert!(!film.judgement().pending.expect("pending").approaching);
    film.until(48);
    assert!(film.judgement().pending.expect("pending").approaching);
}

#[test]
fn progress_empties_the_budget() {
    let mut film = Film::begin();
    film.until(30)
        .ready(4)
        .until(40)
        .flagger(&[("canaryWeight", json!(10))])
        .until(45)
        .ready(3);
    assert_eq!(film.deadline(), Some(105));
    film.until(104);
    assert_eq!(film.rolled_back_at(), None);
    film.until(106);
    assert_eq!(film.rolled_back_at(), Some(105));
}

#[test]
fn ready_time_pays_back_a_quarter() {
    let mut film = Film::begin();
    film.until(40).ready(4).until(80).ready(3);
    // 40 s spent, 10 s of them paid back.
    assert_eq!(film.deadline(), Some(80 + 30));
}

#[test]
fn what_is_no_progress_does_not_count_as_progress() {
    let mut film = Film::begin();
    film.until(10).flagger(&[("failedChecks", json!(3))]);
    film.until(20)
        .flagger(&[("failedChecks", json!(0)), ("iterations", json!(-1))]);
    film.until(25).ready(1).until(26).ready(0);
    // Only the second in which nothing changed for the better: one pod of four is not ready enough.
    assert_eq!(film.deadline(), Some(60));
}

#[test]
fn a_blip_after_the_deadline_of_a_long_analysis_harms_nobody() {
    let mut film = Film::begin();
    film.until(20).ready(4);
    for (index, weight) in (1..=5).enumerate() {
        let second = 60 + 60 * i64::try_from(index).expect("small");
        film.until(second).flagger(&[("canaryWeight", json!(weight * 10))]);
        film.until(second + 10).ready(3).until(second + 15).ready(4);
    }
    film.until(400).phase("Promoting").until(2000);
    assert_eq!(film.remedies, []);
}

#[test]
fn flapping_cannot_buy_time() {
    // docs/flagger.md#f5, with a deadline of 25 s.
    let mut film = Film::begin();
    film.spec("progressDeadlineSeconds", json!(25));
    let mut second = 0;
    while film.rolled_back_at().is_none() && second < 200 {
        film.until(second + 6).ready(4).until(second + 9).ready(3);
        second += 9;
    }
    assert_eq!(film.rolled_back_at(), Some(40));
}

#[test]
fn an_autoscaler_that_grows_the_target_is_no_failure() {
    let mut film = Film::begin();
    film.until(20).ready(4).flagger(&[("canaryWeight", json!(10))]);
    // Two more are wanted; the four are there.
    film.until(30);
    film.pods.extend(vec![
        Pod {
            created: 30,
            ready: false,
            since: 30
        };
        2
    ]);
    film.ready(4);
    assert_eq!(film.seen().target, TargetSeen::Growing(Film::at(90)));
    film.until(89);
    assert_eq!((film.rolled_back_at(), film.deadline()), (None, None));
    // They had as long as anybody; from now on it counts.
    film.until(91);
    assert_eq!(film.deadline(), Some(150));
    film.until(151);
    assert_eq!(film.rolled_back_at(), Some(150));
}

#[test]
fn a_pod_less_than_there_were_is_a_failure_however_young() {
    let mut film = Film::begin();
    film.until(20)
        .ready(4)
        .flagger(&[("canaryWeight", json!(10))])
        .until(30);
    film.pods[3] = Pod {
        created: 30,
        ready: false,
        since: 30,
    };
    film.ready(3);
    assert_eq!(film.deadline(), Some(90));
}

#[test]
fn time_that_nobody_judges_does_not_count() {
    let mut film = Film::begin();
    film.until(10);
    film.target.as_mut().expect("a target")["metadata"]["generation"] = json!(4);
    film.look();
    assert_eq!((film.judgement().state, film.deadline()), (State::Frozen, None));
    film.until(500);
    film.target.as_mut().expect("a target")["status"]["observedGeneration"] = json!(4);
    film.look();
    assert_eq!(film.deadline(), Some(550));
}

#[test]
fn none_wanted_is_never_ready() {
    // docs/flagger.md#f9
    let mut film = Film::begin();
    film.pods.clear();
    film.target = Some(deployment("v2", 0, 0));
    film.look();
    film.until(61);
    assert_eq!(film.rolled_back_at(), Some(60));
}

#[test]
fn none_wanted_makes_no_progress_either() {
    let mut film = Film::begin();
    film.until(10).ready(4).until(20);
    film.pods.clear();
    film.target = Some(deployment("v2", 0, 0));
    film.look();
    for second in [30, 50, 70] {
        film.until(second).flagger(&[("iterations", json!(second))]);
    }
    // 10 s from the beginning, of which 10 s of readiness paid back 2.5: at 72.5 s.
    film.until(80);
    assert_eq!(film.rolled_back_at(), Some(72));
}

#[test]
fn a_verdict_that_was_handed_over_stays_while_the_primary_is_not_ready() {
    let mut film = Film::begin();
    film.until(60);
    requested(&mut film);
    film.until(62);
    film.primary = Some(deployment("v1", 4, 3));
    film.look();
    assert!(
        film.remedies
            .iter()
            .all(|(_, remedy)| matches!(remedy, Remedy::RollBack(..))),
        "{:?}",
        film.remedies
    );
}

#[test]
fn a_primary_that_is_not_ready_stops_the_clock() {
    // docs/flagger.md#f13
    let mut film = Film::begin();
    film.until(10);
    film.primary = Some(deployment("v1", 4, 3));
    film.look();
    assert_eq!(film.seen().target, TargetSeen::PrimaryNotReady);
    film.until(500);
    assert_eq!(film.remedies, []);
    film.primary = Some(deployment("v1", 4, 4));
    film.look();
    assert_eq!(film.deadline(), Some(550));
}

#[test]
fn a_users_hold_stops_the_clock() {
    let mut film = Film::begin();
    film.until(10).spec("suspend", json!(true)).until(500);
    assert_eq!((film.judgement().state, film.remedies.len()), (State::Frozen, 0));
    film.spec("suspend", json!(false));
    assert_eq!(film.deadline(), Some(550));
    film.target.as_mut().expect("a target")["spec"]["paused"] = json!(true);
    film.look();
    film.until(1000);
    assert_eq!((film.judgement().state, film.remedies.len()), (State::Frozen, 0));
}

#[test]
fn nothing_is_done_outside_the_phases_that_can_be_rolled_back() {
    for phase in [
        "Waiting",
        "Promoting",
        "Finalising",
        "Succeeded",
        "Failed",
        "Terminating",
        "Meditating",
    ] {
        let mut film = Film::begin();
        film.phase(phase).until(1000);
        assert_eq!(film.remedies, [], "{phase}");
    }
}

#[test]
fn waiting_for_promotion_is_not_safe_from_the_clock() {
    // docs/flagger.md#f12
    let mut film = Film::begin();
    film.until(20)
        .ready(4)
        .until(50)
        .phase("WaitingPromotion")
        .until(100)
        .ready(3)
        .until(161);
    assert_eq!(film.rolled_back_at(), Some(160));
}

#[test]
fn a_longer_deadline_holds_from_the_stored_start() {
    let mut film = Film::begin();
    film.until(30).spec("progressDeadlineSeconds", json!(90));
    assert_eq!(film.deadline(), Some(90));
    film.until(91);
    assert_eq!(film.rolled_back_at(), Some(90));
}

#[test]
fn a_shorter_deadline_does_too() {
    let mut film = Film::begin();
    film.until(30).spec("progressDeadlineSeconds", json!(20));
    assert_eq!(film.rolled_back_at(), Some(30));
}

#[test]
fn a_new_revision_starts_anew() {
    let mut film = Film::begin();
    film.until(50).push("v3").flagger(&[("lastAppliedSpec", json!("v3"))]);
    assert_eq!(film.deadline(), Some(110));
    let rollout = film.stamp.rollout.as_ref().expect("a rollout");
    assert_eq!((rollout.started_at, rollout.progressed_at), (Film::at(0), Film::at(50)));
}

#[test]
fn a_fix_of_a_config_map_only_starts_anew() {
    let mut film = Film::begin();
    film.until(50)
        .flagger(&[("trackedConfigs", json!({"configmap/web": "2"}))]);
    assert_eq!(film.deadline(), Some(110));
}

#[test]
fn a_fix_that_flagger_has_not_seen_is_waited_for() {
    // docs/flagger.md#l9
    let mut film = Film::begin();
    film.until(58).push("v3").until(62);
    let (60, Remedy::Withhold(_, Withheld::FixPushed(_))) = film.remedies[0] else {
        panic!("{:?}", film.remedies)
    };
    film.flagger(&[("lastAppliedSpec", json!("v3"))]).until(121);
    assert_eq!(film.rolled_back_at(), None);
    assert_eq!(film.deadline(), Some(122));
}

#[test]
fn a_breach_holds_whatever_the_pods_do() {
    let mut film = Film::begin();
    film.until(60);
    requested(&mut film);
    film.until(65).ready(4).until(70).ready(3).until(80);
    assert_eq!(film.remedies.len(), 1, "{:?}", film.remedies);
    assert!(matches!(film.judgement().state, State::Breached(_)));
}

#[test]
fn a_rollback_is_confirmed_once() {
    let mut film = Film::begin();
    film.until(60);
    requested(&mut film);
    film.until(70).phase("Failed");
    assert_eq!(film.remedies.last(), Some(&(70, Remedy::Confirm)));
}

#[test]
fn a_verdict_is_withdrawn_when_its_reason_goes_away() {
    type Change = fn(&mut Film) -> &mut Film;
    let changes: [(&str, Change); 6] = [
        ("a longer deadline", |film| {
            film.spec("progressDeadlineSeconds", json!(300))
        }),
        ("suspended", |film| film.spec("suspend", json!(true))),
        ("a fix pushed", |film| film.push("v3")),
        ("a new revision", |film| {
            film.push("v3").flagger(&[("lastAppliedSpec", json!("v3"))])
        }),
        ("promotion began", |film| film.phase("Promoting")),
        ("being deleted", |film| film.delete()),
    ];
    for (name, change) in changes {
        let mut film = Film::begin();
        film.until(60);
        requested(&mut film);
        film.until(62);
        change(&mut film);
        assert_eq!(film.remedies.last(), Some(&(62, Remedy::Withdraw)), "{name}");
    }
}

#[test]
fn policies_may_only_report_or_not_look_at_all() {
    type Change = fn(&mut Film);
    let reports: [Change; 2] = [
        |film| film.policy.mode = Enforcement::Report,
        |film| film.policy.clocks.readiness.action = Action::Report,
    ];
    for change in reports {
        let mut film = Film::begin();
        change(&mut film);
        film.look();
        film.until(61);
        assert_eq!(
            (&film.reports[..], film.remedies.len()),
            (&[(60, Clock::Readiness)][..], 0)
        );
    }
    let offs: [Change; 2] = [
        |film| film.policy.mode = Enforcement::Off,
        |film| film.policy.clocks.readiness.action = Action::Off,
    ];
    for change in offs {
        let mut film = Film::begin();
        change(&mut film);
        film.look();
        film.until(1000);
        assert_eq!((film.remedies.len(), film.deadline()), (0, None));
        assert!(!film.reports.iter().any(|(_, clock)| *clock == Clock::Readiness));
    }
}

#[test]
fn a_target_that_is_gone_for_a_moment_loses_no_verdict() {
    let mut film = Film::begin();
    film.until(60);
    requested(&mut film);
    let target = film.target.take();
    film.until(62);
    film.target = target;
    film.until(64);
    assert!(
        film.remedies
            .iter()
            .all(|(_, remedy)| matches!(remedy, Remedy::RollBack(..))),
        "{:?}",
        film.remedies
    );
    assert!(matches!(film.judgement().state, State::Breached(_)));
}

#[test]
fn a_template_that_flagger_does_not_take_up_is_what_the_rollout_goes_on_with() {
    // Going back to the promoted template in mid-rollout is no new revision to Flagger.
    let mut film = Film::begin();
    film.until(58).push("v1").until(62);
    assert!(
        matches!(film.remedies[0], (60, Remedy::Withhold(_, Withheld::FixPushed(_)))),
        "{:?}",
        film.remedies
    );
    film.until(80);
    assert_eq!(film.rolled_back_at(), Some(80));
}

#[test]
fn an_autoscaled_target_has_its_deadline_from_the_beginning() {
    let mut film = Film::begin();
    film.spec(
        "autoscalerRef",
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"}),
    );
    film.ready(3).until(61);
    assert_eq!(film.rolled_back_at(), Some(60));
}

#[test]
fn a_status_of_nonsense_is_survived() {
    let mut film = Film::begin();
    film.until(30);
    film.restart();
    film.canary["status"]["lastTransitionTime"] = json!("9999-12-30T22:00:00Z");
    film.canary["status"]["conditions"][0]["lastUpdateTime"] = json!("9999-12-30T22:00:00Z");
    film.canary["status"]["canaryWeight"] = json!(i64::MAX);
    film.spec("progressDeadlineSeconds", json!(i64::MAX));
    film.until(100);
    assert_eq!(film.rolled_back_at(), None);
}

#[test]
fn an_approval_starts_the_rollout() {
    let mut film = Film::begin();
    film.canary["status"]["phase"] = json!("Waiting");
    film.stamp = Stamp::default();
    film.look();
    film.until(3600).phase("Progressing");
    let rollout = film.stamp.rollout.as_ref().expect("a rollout");
    assert_eq!(rollout.started_at, Film::at(3600));
    assert_eq!(film.deadline(), Some(3660));
}

#[test]
fn a_target_that_began_to_grow_before_its_pods_were_listed_again_does_not_count_from_then() {
    let mut film = Film::begin();
    film.ready(4).until(20).flagger(&[("canaryWeight", json!(10))]);
    film.until(70).ready(3).until(80);
    // The fourth pod is ready again and a fifth is wanted, but what is known of the pods is from before.
    let before = film.pods.clone();
    let young = Pod {
        created: 80,
        ready: false,
        since: 80,
    };
    film.pods[3] = Pod {
        ready: true,
        since: 80,
        ..film.pods[3].clone()
    };
    film.pods.push(young);
    let listed = std::mem::replace(&mut film.pods, before);
    let status = &mut film.target.as_mut().expect("a target")["status"];
    status["availableReplicas"] = json!(4);
    film.target.as_mut().expect("a target")["spec"]["replicas"] = json!(5);
    film.until(82);
    assert_eq!(film.seen().target, TargetSeen::Unready);
    film.pods = listed;
    film.look();
    assert_eq!(film.seen().target, TargetSeen::Growing(Film::at(140)));
    // Ten seconds are spent, and no more until the young pod is too old to be one.
    film.until(300);
    assert_eq!(film.rolled_back_at(), Some(140 + 50));
}
