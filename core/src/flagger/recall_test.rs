use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::rollout::{
    Clock,
    budget::Budget,
    stamp::{ALL, CLOCK, DEADLINE},
    target_ref::TargetRef,
};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn rollout() -> Rollout {
    Rollout {
        promoted_since: at("2026-11-23T14:00:05Z"),
        revision: Revision {
            applied: "5c7d9f6b8".to_owned(),
            configs: [0; 16],
            template: TemplateHash::default(),
        },
        target: TargetRef::default(),
        started_at: at("2026-11-23T14:00:05Z"),
        progressed_at: at("2026-11-23T14:02:15.4Z"),
        progress: Progress {
            phase: "Progressing".to_owned(),
            rank: 1,
            weight: 20,
            iterations: 0,
        },
        wanted: Some(4),
        budget: Budget {
            spent: SignedDuration::from_millis(22_900),
            course: Course::Accruing,
            since: at("2026-11-23T14:02:49.5Z"),
        },
        running: Budget::new(Course::Accruing, at("2026-11-23T14:00:05Z")),
        crashes: Crashes::default(),
        revision_since: at("2026-11-23T14:00:05Z"),
        was_ready: false,
        unproven_until: None,
        unsynced_until: None,
        blocked_since: None,
        observed_at: at("2026-11-23T14:02:50Z"),
        generation: Some(3),
        last_sign: None,
        breach: None,
    }
}

fn canary(annotations: &BTreeMap<&'static str, Option<String>>) -> Canary {
    let mut canary = Canary::from_json(serde_json::json!({
        "status": {"phase": "Progressing", "lastAppliedSpec": "5c7d9f6b8",
            "lastTransitionTime": "2026-11-23T14:02:15Z",
            "conditions": [{"type": "Promoted", "status": "Unknown", "reason": "Progressing",
                "lastTransitionTime": "2026-11-23T14:00:05Z", "lastUpdateTime": "2026-11-23T14:00:05Z"}]},
    }));
    let present = annotations
        .iter()
        .filter_map(|(key, value)| Some(((*key).to_owned(), value.clone()?)));
    canary.metadata.annotations = Some(present.collect());
    canary
}

fn recalled(change: impl FnOnce(&mut BTreeMap<&'static str, Option<String>>)) -> Option<Rollout> {
    let rollout = rollout();
    let stamp = Stamp {
        rollout: Some(rollout.clone()),
        ..Stamp::default()
    };
    let mut annotations = stamp.annotations(None);
    change(&mut annotations);
    let canary = canary(&annotations);
    let promoted = canary.status.promoted.clone().expect("promoted");
    Rollout::recall(&canary, &promoted, &rollout.revision, at("2026-11-23T14:03:00Z"))
}

#[test]
fn annotations_are_whole_seconds_and_never_to_the_users_disadvantage() {
    let stamp = Stamp {
        rollout: Some(rollout()),
        ..Stamp::default()
    };
    let written = stamp.annotations(Some((Clock::READINESS, at("2026-11-23T14:03:26.6Z"))));
    let of = |key| written.get(key).cloned().flatten().expect("written");
    assert!(of(REVISION).starts_with("5c7d9f6b8-"));
    assert_eq!(of(STARTED_AT), "2026-11-23T14:00:05Z");
    assert_eq!(of(PROGRESSED_AT), "2026-11-23T14:02:15Z");
    assert_eq!(of(PROGRESS), "phase=Progressing weight=20 iterations=0");
    assert_eq!(of(UNREADY), "22s, unready since 2026-11-23T14:02:50Z");
    assert_eq!(of(PROGRESS_REPLICAS), "4");
    assert_eq!(of(ELAPSED), "0s, running since 2026-11-23T14:00:05Z");
    assert_eq!(of(OBSERVED_GENERATION), "3");
    assert_eq!(of(CLOCK), "readiness");
    assert_eq!(of(DEADLINE), "2026-11-23T14:03:27Z");
    assert!(written.keys().all(|key| ALL.contains(key)), "{written:?}");
}

#[test]
fn nothing_pending_takes_clock_and_deadline_away() {
    let written = Stamp::default().annotations(None);
    assert_eq!(written, BTreeMap::from([(CLOCK, None), (DEADLINE, None)]));
}

#[test]
fn a_stamp_is_recalled() {
    let recalled = recalled(|_| {}).expect("recalled");
    assert_eq!(recalled.progress, rollout().progress);
    assert_eq!(recalled.budget.spent, SignedDuration::from_secs(22));
    assert_eq!(recalled.budget.since, at("2026-11-23T14:02:50Z"));
    assert_eq!(recalled.running, rollout().running);
    assert_eq!((recalled.generation, recalled.wanted), (Some(3), Some(4)));
}

#[test]
fn a_hold_is_recalled_as_one() {
    let held = "90s, held since 2026-11-23T14:02:50Z";
    let recalled = recalled(|annotations| {
        annotations.insert(ELAPSED, Some(held.to_owned()));
    });
    let running = recalled.expect("recalled").running;
    assert_eq!(
        (running.course, ELAPSED_FORMAT.write(running).as_str()),
        (Course::Paused, held)
    );
}

#[test]
fn whether_a_revision_was_ever_ready_is_recalled_from_what_it_did() {
    for (progress, course, was_ready) in [
        ("weight=0 iterations=0", "unready", false),
        ("weight=0 iterations=0", "ready", true),
        ("weight=10 iterations=0", "unready", true),
        ("weight=0 iterations=1", "unready", true),
        // Flagger counts its iterations from -1 while a gate is closed.
        ("weight=0 iterations=-1", "unready", false),
    ] {
        let recalled = recalled(|annotations| {
            annotations.insert(PROGRESS, Some(format!("phase=Progressing {progress}")));
            annotations.insert(UNREADY, Some(format!("5s, {course} since 2026-11-23T14:02:50Z")));
        });
        assert_eq!(recalled.expect("recalled").was_ready, was_ready, "{progress} {course}");
    }
}

#[test]
fn a_stamp_that_cannot_be_true_is_ignored() {
    for (key, value) in [
        (REVISION, "5c7d9f6b8-00000000"),
        (STARTED_AT, "2026-11-23T13:00:00Z"), // before this rollout
        (STARTED_AT, "2026-11-23T15:00:00Z"), // in the future
        (STARTED_AT, "yesterday"),
        (PROGRESSED_AT, "2026-11-23T15:00:00Z"),
        (PROGRESSED_AT, "2026-11-23T14:02:59Z"), // after Flagger's last write
        (PROGRESS, "phase=Failed weight=20 iterations=0"),
        (PROGRESS, "weight=20"),
        (UNREADY, "-5s, unready since 2026-11-23T14:02:50Z"),
        (UNREADY, "5s, asleep since 2026-11-23T14:02:50Z"),
        (UNREADY, "5s, unready since 2026-11-23T14:04:00Z"),
        (UNREADY, "999s, unready since 2026-11-23T14:02:50Z"), // more than the rollout lasted
        (ELAPSED, "999s, running since 2026-11-23T14:02:50Z"),
        (UNREADY, "5s, held since 2026-11-23T14:02:50Z"),
        (ELAPSED, "5s, ready since 2026-11-23T14:02:50Z"),
        (ELAPSED, "5s, running since 2026-11-23T14:00:04Z"), // before this rollout
    ] {
        let recalled = recalled(|annotations| {
            annotations.insert(key, Some(value.to_owned()));
        });
        assert_eq!(recalled, None, "{key}: {value}");
    }
    assert_eq!(recalled(|annotations| *annotations = BTreeMap::new()), None);
}

#[test]
fn progress_is_a_new_maximum_or_a_phase_forward_and_nothing_else() {
    let progress = |phase: &str, weight, iterations| Progress {
        phase: phase.to_owned(),
        rank: Phase::parse(phase).rank().unwrap_or_default(),
        weight,
        iterations,
    };
    let at = progress("Progressing", 20, 3);
    for nothing in [
        progress("Progressing", 20, 3),
        progress("Progressing", 0, 2), // docs/flagger.md: iterations oscillate behind a closed gate
        progress("Waiting", 10, 0),
        progress("Failed", 0, 0),
    ] {
        assert_eq!(at.advanced_to(&nothing), None, "{nothing}");
    }
    assert_eq!(
        at.advanced_to(&progress("Progressing", 30, 0)),
        Some(progress("Progressing", 30, 3))
    );
    assert_eq!(
        at.advanced_to(&progress("Progressing", 0, 4)),
        Some(progress("Progressing", 20, 4))
    );
    assert_eq!(
        at.advanced_to(&progress("WaitingPromotion", 0, -1)),
        Some(progress("WaitingPromotion", 20, 3))
    );
}

fn revision(applied: &str, configs: &serde_json::Value, template: u8) -> Revision {
    let status = json!({"status": {"lastAppliedSpec": applied, "trackedConfigs": configs}});
    Revision::of(&Canary::from_json(status), TemplateHash([template; 16]))
}

#[test]
fn template_configs_and_flaggers_own_hash_all_count() {
    let first = revision("5c7d9f6b8", &json!({"configmap/web": "1"}), 1);
    assert!(first.to_string().starts_with("5c7d9f6b8-"));
    assert_eq!(first.to_string().len(), "5c7d9f6b8-".len() + 8);
    for other in [
        revision("77b5c", &json!({"configmap/web": "1"}), 1),
        revision("5c7d9f6b8", &json!({"configmap/web": "2"}), 1),
        revision("5c7d9f6b8", &json!({"configmap/web": "1"}), 2),
        revision("5c7d9f6b8", &json!({"configmap/w": "eb1"}), 1),
    ] {
        assert_ne!(first.to_string(), other.to_string());
    }
}

#[test]
fn a_template_that_flagger_has_not_seen_is_no_new_revision() {
    let before = revision("a", &json!({}), 1);
    assert!(!revision("a", &json!({}), 2).taken_up_since(&before));
    assert!(revision("b", &json!({}), 1).taken_up_since(&before));
    assert!(revision("a", &json!({"secret/x": "1"}), 1).taken_up_since(&before));
}
