use std::time::Duration;

use super::*;

const SECONDS: Duration = Duration::from_secs(12);

fn split(primary: i64, canary: i64) -> Weights {
    Weights { primary, canary }
}

fn outcome(phase: &str, past: f64, weights: Option<(Weights, Weights)>) -> Outcome {
    Outcome {
        phase: phase.to_owned(),
        wanted: 4,
        weights,
        limit: 60.0,
        past,
        verdict: None,
        flagger_runs: true,
    }
}

fn hanging(weights: Option<(Weights, Weights)>) -> Outcome {
    outcome("Progressing", 45.2, weights)
}

fn rescued(weights: Option<(Weights, Weights)>) -> Outcome {
    let text = |text: &str| text.to_owned();
    Outcome {
        wanted: 0,
        verdict: Some(Verdict {
            clock: text("readiness"),
            remedy: text("rollback"),
            result: text("confirmed"),
            reason: text("1 of 4 pods not ready: web-1 container app: CrashLoopBackOff, exit code 1, 4 restarts"),
        }),
        ..outcome("Failed", 8.7, weights)
    }
}

fn answered(accepted: bool, output: &str) -> Seen {
    Seen::Answered {
        command: "kubectl apply -f web.yaml".to_owned(),
        accepted,
        output: output.to_owned(),
    }
}

fn initialized(canary: &str) -> Seen {
    Seen::Initialized {
        canary: canary.to_owned(),
        after: SECONDS,
    }
}

/// A performance in which everything happens as promised, and nothing is observed that proves nothing.
fn success() -> Vec<Observation> {
    use Scene::{Hang, Poison, Traffic};
    use Side::{Alone, Curfew};
    let ignored = Seen::Ignored {
        canary: "shop/pay".to_owned(),
        waited: SECONDS,
        flagger_runs: true,
    };
    let refusal = "Flagger cannot decode 180.5; write a whole number [undecodable]";
    let frozen = Some((split(80, 20), split(80, 20)));
    let back = Some((split(80, 20), split(100, 0)));
    [
        (Poison, Alone, initialized("shop/cart")),
        (Poison, Curfew, initialized("shop/cart")),
        (Poison, Alone, answered(true, "canary.flagger.app/web created")),
        (Poison, Curfew, answered(false, refusal)),
        (
            Poison,
            Alone,
            Seen::Log("json: cannot unmarshal number 180.5".to_owned()),
        ),
        (Poison, Alone, ignored),
        (Poison, Curfew, initialized("shop/pay")),
        (Hang, Alone, Seen::Outcome(hanging(None))),
        (Hang, Curfew, Seen::Outcome(rescued(None))),
        (Traffic, Alone, Seen::Outcome(hanging(frozen))),
        (Traffic, Curfew, Seen::Outcome(rescued(back))),
    ]
    .into_iter()
    .map(|(scene, side, seen)| Observation {
        scene,
        side,
        at: SECONDS,
        seen,
    })
    .collect()
}

fn lag() -> Lag {
    Lag {
        count: 2,
        sum: 0.05,
        bound: 0.1,
    }
}

fn proven(observations: &[Observation], lag: Option<&Lag>) -> bool {
    all_hold(&rows(&Scene::ALL, observations, lag))
}

/// The rows that do not hold when one observation is another.
fn broken_by(scene: Scene, side: Side, change: impl Fn(&mut Seen)) -> Vec<String> {
    let mut observations = success();
    for observation in &mut observations {
        if (observation.scene, observation.side) == (scene, side) {
            change(&mut observation.seen);
        }
    }
    let rows = rows(&Scene::ALL, &observations, Some(&lag()));
    let broken = rows.into_iter().filter(|row| !row.holds());
    broken.map(|row| row.what).collect()
}

fn outcome_broken_by(scene: Scene, side: Side, change: impl Fn(&mut Outcome)) -> Vec<String> {
    broken_by(scene, side, |seen| {
        if let Seen::Outcome(outcome) = seen {
            change(outcome);
        }
    })
}

#[test]
fn a_success_is_proven() {
    let rows = rows(&Scene::ALL, &success(), Some(&lag()));
    let failed: Vec<_> = rows.iter().filter(|row| !row.holds()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(rows.len(), 9);
}

#[test]
fn no_observation_can_be_missing() {
    let success = success();
    for missing in 0..success.len() {
        let mut rest = success.clone();
        let gone = rest.remove(missing);
        assert!(!proven(&rest, Some(&lag())), "without {gone:?}");
    }
    assert!(!proven(&[], None));
    assert!(!proven(&success, None));
}

#[test]
fn one_scene_is_proven_by_itself() {
    for scene in Scene::ALL {
        let mine: Vec<_> = success().into_iter().filter(|each| each.scene == scene).collect();
        let one = Lag { count: 1, ..lag() };
        assert!(all_hold(&rows(&[scene], &mine, Some(&one))));
        assert!(!all_hold(&rows(&[scene], &[], Some(&one))));
    }
    assert!(
        all_hold(&rows(&[Scene::Poison], &success(), None)),
        "no verdict in scene 1"
    );
    assert!(!all_hold(&[]));
}

#[test]
fn the_sides_are_not_mixed_up() {
    let mut swapped = success();
    for observation in &mut swapped {
        observation.side = match observation.side {
            Side::Alone => Side::Curfew,
            Side::Curfew => Side::Alone,
        };
    }
    let held = rows(&Scene::ALL, &swapped, Some(&lag())).into_iter().filter(Row::holds);
    let held: Vec<_> = held.map(|row| row.what).collect();
    assert_eq!(
        held,
        [
            "a Canary created before",
            "from the deadline to the verdict handed over"
        ]
    );
}

#[test]
fn the_poison_is_accepted_alone_and_refused_by_its_rule() {
    let change = |accepted: bool, output: &'static str| {
        move |seen: &mut Seen| {
            if matches!(seen, Seen::Answered { .. }) {
                *seen = answered(accepted, output);
            }
        }
    };
    let row = ["the tenant's 180.5"];
    assert_eq!(broken_by(Scene::Poison, Side::Alone, change(false, "no")), row);
    assert_eq!(broken_by(Scene::Poison, Side::Curfew, change(true, "created")), row);
    let unrelated = change(false, "connection refused");
    assert_eq!(broken_by(Scene::Poison, Side::Curfew, unrelated), row);
}

#[test]
fn flagger_has_to_run_while_it_sees_nothing() {
    let row = ["a Canary created afterwards"];
    let ended = broken_by(Scene::Poison, Side::Alone, |seen| {
        if let Seen::Ignored { flagger_runs, .. } = seen {
            *flagger_runs = false;
        }
    });
    assert_eq!(ended, row);
    let seen_after_all = broken_by(Scene::Poison, Side::Alone, |seen| {
        if matches!(seen, Seen::Ignored { .. }) {
            *seen = initialized("shop/pay");
        }
    });
    assert_eq!(seen_after_all, row);
    let ignored = broken_by(Scene::Poison, Side::Curfew, |seen| {
        if matches!(seen, Seen::Initialized { canary, .. } if canary == "shop/pay") {
            *seen = Seen::Ignored {
                canary: "shop/pay".to_owned(),
                waited: SECONDS,
                flagger_runs: true,
            };
        }
    });
    assert_eq!(ignored, row);
    let dead = outcome_broken_by(Scene::Hang, Side::Alone, |outcome| outcome.flagger_runs = false);
    assert_eq!(dead, ["the rollout, deadline 60 s"]);
}

#[test]
fn alone_the_rollout_hangs_long_after_the_deadline() {
    let row = ["the rollout, deadline 60 s"];
    for change in [
        |outcome: &mut Outcome| outcome.phase = "Failed".to_owned(),
        |outcome: &mut Outcome| outcome.past = 29.0,
    ] {
        assert_eq!(outcome_broken_by(Scene::Hang, Side::Alone, change), row);
    }
    let judged = |outcome: &mut Outcome| outcome.verdict = rescued(None).verdict;
    assert_eq!(outcome_broken_by(Scene::Hang, Side::Alone, judged), ["reason given"]);
}

#[test]
fn the_rollback_is_in_time_complete_and_by_the_verdict() {
    let row = ["the rollout, deadline 60 s"];
    for change in [
        |outcome: &mut Outcome| outcome.phase = "Progressing".to_owned(),
        |outcome: &mut Outcome| outcome.wanted = 4,
        |outcome: &mut Outcome| outcome.past = -5.0,
        |outcome: &mut Outcome| outcome.past = 26.0,
    ] {
        assert_eq!(outcome_broken_by(Scene::Hang, Side::Curfew, change), row);
    }
    for change in [
        |verdict: &mut Verdict| verdict.clock = "crashes".to_owned(),
        |verdict: &mut Verdict| verdict.remedy = "report".to_owned(),
        |verdict: &mut Verdict| verdict.result = "requested".to_owned(),
    ] {
        let change = |outcome: &mut Outcome| {
            if let Some(verdict) = &mut outcome.verdict {
                change(verdict);
            }
        };
        assert_eq!(outcome_broken_by(Scene::Hang, Side::Curfew, change), row);
    }
    let vague = |outcome: &mut Outcome| {
        if let Some(verdict) = &mut outcome.verdict {
            "3 of 4 pods are available".clone_into(&mut verdict.reason);
        }
    };
    assert_eq!(outcome_broken_by(Scene::Hang, Side::Curfew, vague), ["reason given"]);
}

#[test]
fn the_traffic_is_frozen_alone_and_back_with_curfew() {
    let row = ["traffic, old/new"];
    let end = |weights: Option<(Weights, Weights)>| move |outcome: &mut Outcome| outcome.weights = weights;
    let back = Some((split(80, 20), split(100, 0)));
    let frozen = Some((split(80, 20), split(80, 20)));
    let never_there = Some((split(100, 0), split(100, 0)));
    assert_eq!(outcome_broken_by(Scene::Traffic, Side::Alone, end(back)), row);
    assert_eq!(outcome_broken_by(Scene::Traffic, Side::Alone, end(None)), row);
    assert_eq!(outcome_broken_by(Scene::Traffic, Side::Curfew, end(frozen)), row);
    assert_eq!(outcome_broken_by(Scene::Traffic, Side::Curfew, end(never_there)), row);
}

#[test]
fn every_verdict_is_handed_over_within_a_second() {
    for slow in [
        Lag { bound: 2.5, ..lag() },
        Lag {
            bound: f64::INFINITY,
            ..lag()
        },
        Lag { count: 1, ..lag() },
    ] {
        assert!(!proven(&success(), Some(&slow)), "{slow:?}");
    }
}

#[test]
fn the_table_marks_what_failed() {
    let mut rows = rows(&Scene::ALL, &success(), Some(&lag()));
    let grid = Grid::new(100, false);
    assert!(!table(&grid, &rows).contains("FAILED"));
    rows[1].curfew.holds = false;
    let table = table(&grid, &rows);
    let failed: Vec<_> = table.lines().filter(|line| line.contains("FAILED")).collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].contains("the tenant's 180.5"), "{table}");
}
