//! What lies right beside the other films: a step further, and something would be told, counted or done that must not be.

use std::time::Duration;

use curfew_core::{
    deadline::{
        Clock,
        announce::{announcement, primary_told_at, standstill},
        judge::State,
        limits::Limits,
        observe::TargetSeen,
        reason,
        stamp::Stamp,
    },
    flagger::canary::Canary,
    policy::canary_policy::{Action, Enforcement},
};
use jiff::Timestamp;
use serde_json::json;

use super::film::{Film, Pod, deployment};

const HOUR: i64 = 3600;

fn started_at(film: &Film) -> Timestamp {
    film.stamp.rollout.as_ref().expect("a rollout").started_at
}

fn ready(film: &mut Film) -> &mut Film {
    film.until(10).ready(4)
}

#[test]
fn a_deadline_is_announced_for_each_progress_and_the_rollouts_once() {
    let announced = |film: &Film| announcement(film.judgement(), &film.stamp);
    let mut film = Film::begin();
    ready(&mut film).until(30).flagger(&[("canaryWeight", json!(10))]);
    film.until(35).ready(3).until(35 + 47);
    assert_eq!(announced(&film), None);
    film.until(35 + 48);
    assert_eq!(announced(&film), Some((Clock::Readiness, Film::at(30))));

    let mut whole = Film::begin();
    whole.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("10m");
    ready(&mut whole).until(510).flagger(&[("canaryWeight", json!(10))]);
    assert_eq!(announced(&whole), Some((Clock::Rollout, Film::at(0))));
}

#[test]
fn a_primary_that_keeps_a_rollout_waiting_is_told_when_it_lasts() {
    let told = |film: &Film| {
        (
            primary_told_at(film.seen(), &film.stamp),
            standstill(film.seen(), &film.stamp),
        )
    };
    let mut film = Film::begin();
    film.until(10);
    assert_eq!(told(&film), (None, None));
    film.primary = Some(deployment("v1", 4, 3));
    film.look();
    let moment = Film::at(15);
    assert_eq!(told(&film), (Some(moment), Some((moment, reason::PRIMARY_NOT_READY))));
    // Flagger makes it so itself.
    film.phase("Promoting");
    assert_eq!(film.seen().target, TargetSeen::PrimaryNotReady);
    assert_eq!(told(&film), (None, None));
    film.phase("Failed");
    assert_eq!(told(&film), (None, None));

    let mut paused = Film::begin();
    paused.until(10);
    paused.target.as_mut().expect("a target")["spec"]["paused"] = json!(true);
    paused.look();
    assert_eq!(told(&paused), (None, Some((Film::at(10), reason::PAUSED))));
    paused.spec("suspend", json!(true));
    assert_eq!(told(&paused), (None, None));
}

#[test]
fn a_rollout_starts_with_its_approval_and_with_no_later_one() {
    let mut film = Film::begin();
    film.canary["status"]["phase"] = json!("Waiting");
    // Flagger wrote its condition once more while it waited.
    film.canary["status"]["conditions"][0]["lastUpdateTime"] = json!(Film::at(10));
    film.stamp = Stamp::default();
    film.now = Film::at(20);
    film.look();
    assert_eq!(started_at(&film), Film::at(0));
    film.until(HOUR).phase("Progressing");
    assert_eq!(started_at(&film), Film::at(HOUR));
    film.until(2 * HOUR)
        .phase("WaitingPromotion")
        .until(3 * HOUR)
        .phase("Progressing");
    assert_eq!(started_at(&film), Film::at(HOUR));
}

#[test]
fn the_first_readiness_of_each_revision_is_remembered() {
    let mut film = Film::begin();
    ready(&mut film).until(20).ready(3).until(25).ready(4);
    assert_eq!(film.stamp.ready_after, [10]);
    film.until(30).push("v3").ready(0);
    film.flagger(&[("lastAppliedSpec", json!("v3"))]).until(50).ready(4);
    assert_eq!(film.stamp.ready_after, [20, 10]);
    film.restart().look();
    assert_eq!(film.stamp.ready_after, [20, 10]);
    film.canary["metadata"]["annotations"]["curfew.dev/ready-after"] = json!("7s 5m -3s soon 8s");
    film.forget().look();
    assert_eq!(film.stamp.ready_after, [7, 8]);
}

#[test]
fn when_a_rollout_that_was_found_running_got_ready_nobody_knows() {
    let mut film = Film::begin();
    film.stamp = Stamp::default();
    film.now = Film::at(2000);
    film.ready(4).until(2100).ready(3).until(2110).ready(4);
    assert_eq!(film.stamp.ready_after, Vec::<i64>::new());
}

#[test]
fn the_readiness_of_a_rollout_whose_beginning_was_seen_late_is_remembered() {
    let mut film = Film::begin();
    ready(&mut film).until(100).phase("Succeeded").until(150);
    film.canary["status"]["phase"] = json!("Progressing");
    let condition = &mut film.canary["status"]["conditions"][0];
    condition["status"] = json!("Unknown");
    condition["lastTransitionTime"] = json!(Film::at(200));
    condition["lastUpdateTime"] = json!(Film::at(200));
    film.now = Film::at(220);
    film.ready(0).until(230).ready(4);
    assert_eq!(film.stamp.ready_after, [30, 10]);
}

#[test]
fn suspended_between_rollouts_is_nothing_to_tell_and_with_traffic_on_a_service_it_is() {
    let mut between = Film::begin();
    ready(&mut between).until(20).phase("Succeeded");
    between.spec("suspend", json!(true)).until(25 * HOUR);
    assert_eq!(between.reports, []);

    // Nor is it before a rollout that waits for its approval has made any pod.
    let mut waits = Film::begin();
    waits.target = Some(deployment("v2", 0, 0));
    waits.phase("Waiting").spec("suspend", json!(true)).until(25 * HOUR);
    assert_eq!(waits.reports, []);

    let mut service = Film::begin();
    service.canary["spec"]["targetRef"] = json!({"apiVersion": "v1", "kind": "Service", "name": "web"});
    (service.target, service.primary, service.pods) = (None, None, Vec::new());
    service
        .forget()
        .flagger(&[("canaryWeight", json!(10))])
        .spec("suspend", json!(true))
        .until(25 * HOUR);
    assert_eq!(service.reports, [(24 * HOUR, Clock::Suspended)]);
}

#[test]
fn a_rollout_that_is_over_has_no_deadline() {
    let mut film = Film::begin();
    film.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("10m");
    ready(&mut film).until(50).phase("Succeeded").until(HOUR);
    assert_eq!((&film.reports, &film.remedies), (&vec![], &vec![]));
    assert_eq!(film.judgement().pending, None);
}

#[test]
fn without_a_hook_that_asks_no_approval_is_waited_for() {
    let mut film = Film::begin();
    film.policy.clocks.gate.limit = Some(Duration::from_secs(40));
    ready(&mut film).until(300);
    assert!(!film.reports.iter().any(|(_, clock)| *clock == Clock::Gate));
}

#[test]
fn who_waits_for_approval_or_is_suspended_neither_stalls_nor_misses_flagger() {
    for last_event in [Some(20), None] {
        let mut waits = Film::begin();
        ready(&mut waits).until(20).phase("WaitingPromotion");
        waits.last_event = last_event;
        assert_eq!(waits.until(HOUR).reports, []);

        let mut suspended = Film::begin();
        ready(&mut suspended).until(20).spec("suspend", json!(true));
        suspended.last_event = last_event;
        assert_eq!(suspended.until(HOUR).reports, []);

        let mut done = Film::begin();
        ready(&mut done).until(20).phase("Succeeded");
        done.last_event = last_event;
        assert_eq!(done.until(HOUR).reports, []);
    }
}

#[test]
fn whoever_is_told_to_look_again_is_told_the_next_moment_that_matters() {
    let mut film = Film::begin();
    film.until(47);
    assert_eq!(film.judgement().look_at, Some(Film::at(48)));
    film.until(48);
    assert_eq!(film.judgement().look_at, Some(Film::at(60)));
    assert_eq!(film.judgement().rolls_back_at, Some(Film::at(60)));
    film.until(60);
    assert_eq!(film.judgement().rolls_back_at, Some(Film::at(60)));
    assert_eq!(film.judgement().look_at, None);

    // Nothing else is pending once a rollout is to end.
    let mut ends = Film::begin();
    ends.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("10m");
    ends.until(60);
    assert_eq!((ends.judgement().pending, ends.judgement().look_at), (None, None));

    let mut told = Film::begin();
    told.policy.clocks.readiness.action = Action::Report;
    told.look();
    assert_eq!(told.judgement().rolls_back_at, None);
}

#[test]
fn a_canary_that_nobody_watches_is_idle() {
    let mut film = Film::begin();
    film.policy.mode = Enforcement::Off;
    film.look();
    assert_eq!(film.judgement().state, State::Idle);

    let watched = Limits::of(&Canary::from_json(film.canary.clone()), &Film::begin().policy);
    assert_ne!(watched.mode, Enforcement::Off);
    assert_eq!(
        watched.off(),
        Limits {
            mode: Enforcement::Off,
            ..watched
        }
    );
}

#[test]
fn after_a_restart_an_autoscaler_explains_young_pods_beside_ready_ones_only() {
    let autoscaled = || {
        let mut film = Film::begin();
        film.spec(
            "autoscalerRef",
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"}),
        );
        film
    };
    let mut grows = autoscaled();
    ready(&mut grows).until(20).flagger(&[("canaryWeight", json!(10))]);
    grows.until(30);
    let young = Pod {
        created: 30,
        ready: false,
        since: 30,
    };
    grows.pods.extend(vec![young; 2]);
    grows.ready(4).restart().look();
    assert_eq!(grows.seen().target, TargetSeen::Growing(Film::at(90)));

    let mut never = autoscaled();
    never.until(30).restart().look();
    assert_eq!(never.seen().target, TargetSeen::Unready);
}

#[test]
fn a_look_that_is_missing_is_noticed_when_it_is_only_where_silence_is_watched() {
    for (silence, look_at) in [(Action::Report, Some(Film::at(30 + 15))), (Action::Off, None)] {
        let mut film = Film::begin();
        film.policy.clocks.stall.action = Action::Off;
        film.policy.clocks.silence.action = silence;
        film.last_event = Some(30);
        film.until(30).ready(4).until(31);
        assert_eq!(film.judgement().look_at, look_at);
    }
}

#[test]
fn a_look_that_may_have_begun_before_a_push_did_not_see_it() {
    let hooks = json!([{"type": "pre-rollout", "timeout": "2m", "retries": 1}]);
    // A look lasts five seconds, and what hooks hold it for; with 75 Canaries eight seconds.
    for (webhooks, canaries, lasts) in [(json!([]), 1, 5), (json!([]), 75, 8), (hooks, 1, 5 + 2 * 120)] {
        for (sign, believed) in [(58 + 3, false), (58 + lasts, false), (58 + lasts + 1, true)] {
            let mut film = Film::begin();
            film.surroundings.canaries = canaries;
            film.spec(
                "analysis",
                json!({"interval": "10s", "threshold": 5, "stepWeight": 10, "webhooks": webhooks}),
            );
            film.until(58);
            film.last_event = Some(58);
            film.push("v1").until(sign);
            film.last_event = Some(sign);
            film.until(600);
            assert_eq!(
                film.rolled_back_at().is_some(),
                believed,
                "{webhooks}, {canaries} Canaries, {sign}"
            );
        }
    }
}

#[test]
fn a_flagger_that_has_not_looked_since_a_push_took_up_nothing() {
    let mut film = Film::begin();
    film.until(40).flagger(&[("failedChecks", json!(1))]);
    film.until(58);
    film.last_event = Some(58);
    film.push("v1").until(HOUR);
    assert_eq!(film.rolled_back_at(), None, "{:?}", film.remedies);
    film.last_event = Some(HOUR);
    film.until(HOUR + 20);
    assert!(film.rolled_back_at().is_some(), "{:?}", film.remedies);
}

#[test]
fn a_target_that_a_user_points_elsewhere_has_its_time_from_then() {
    let mut film = Film::begin();
    ready(&mut film).until(20).ready(3).until(50);
    film.target = Some(deployment("v7", 4, 3));
    film.spec(
        "targetRef",
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}),
    );
    assert_eq!(film.deadline(), Some(110));
    assert!(film.seen().synced);
    let rollout = film.stamp.rollout.as_ref().expect("a rollout");
    assert_eq!(
        (rollout.wanted, rollout.was_ready, rollout.revision_since),
        (None, false, Film::at(50))
    );
    assert_eq!(rollout.unproven_until, Some(Film::at(65)));
    film.until(111);
    assert_eq!(film.rolled_back_at(), Some(110));
}
