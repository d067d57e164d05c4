use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::{flagger::workload::Workload, rollout::Clock};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
}

fn time(seconds: i64) -> Value {
    json!(timestamps::time(at(seconds)))
}

fn breach() -> Breach {
    Breach {
        clock: Clock::READINESS,
        deadline: at(180),
        limit: SignedDuration::from_secs(180),
    }
}

fn roll_back_by(fail_checks: bool, target: TargetLever) -> Remedy {
    Remedy::RollBack(breach(), Levers { fail_checks, target })
}

/// The objects of a rollout, as an API server holds them.
#[derive(Clone, Debug, PartialEq)]
struct Cluster {
    canary: Value,
    target: Value,
    former_target: Option<Value>,
}

// === impl Cluster ===

impl Cluster {
    /// A rollout that has waited for its pods since the start.
    fn waiting(kind: &str) -> Self {
        let conditions = json!([
            {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "unknown": "kept"},
            {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "unknown": "kept"},
        ]);
        Self {
            canary: json!({
                "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
                "metadata": {"name": "web", "namespace": "shop", "uid": "c", "resourceVersion": "7"},
                "spec": {
                    "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": "web"},
                    "progressDeadlineSeconds": 180,
                    "analysis": {"interval": "10s", "threshold": 5},
                },
                "status": {"phase": "Progressing", "failedChecks": 2, "lastTransitionTime": time(0)},
            }),
            target: json!({
                "apiVersion": "apps/v1", "kind": kind,
                "metadata": {"name": "web", "namespace": "shop", "uid": "t", "resourceVersion": "9"},
                "spec": {"replicas": 2, "template": {"spec": {"containers": []}}},
                "status": {"conditions": conditions, "desiredNumberScheduled": 2},
            }),
            former_target: None,
        }
    }

    fn snapshot(&self) -> Snapshot {
        let workload = match self.target["kind"].as_str() {
            Some("DaemonSet") => Workload::daemon_set(&self.target),
            _ => Workload::deployment(&self.target),
        };
        Snapshot {
            canary: Canary::from_json(self.canary.clone()),
            target: Some((workload.clone(), self.target.clone())),
            primary: Some((workload, self.target.clone())),
            former_target: self.former_target.clone(),
            last_event: None,
            canaries: 1,
            pods: Some(Vec::new()),
        }
    }

    /// What an API server makes of the writes.
    fn write(&mut self, plan: &[Write], saved: &mut SavedStatus, now: Timestamp) {
        for write in plan.iter().filter(|write| !write.dry_run) {
            let object = match (write.part, &mut self.former_target) {
                (Part::CanaryStatus, _) => &mut self.canary,
                (_, Some(former)) if former["metadata"]["name"] == *write.name => former,
                _ => &mut self.target,
            };
            for precondition in ["uid", "resourceVersion"] {
                assert_eq!(
                    write.patch["metadata"][precondition], object["metadata"][precondition],
                    "{write:?}"
                );
            }
            saved.keep(&write.overwrites);
            merge(object, &write.patch);
            saved.written(&write.overwrites, now);
        }
    }
}

fn merge(object: &mut Value, patch: &Value) {
    match (object, patch) {
        (Value::Object(fields), Value::Object(patches)) => {
            for (key, patch) in patches {
                merge(fields.entry(key).or_insert(Value::Null), patch);
            }
        }
        (object, patch) => *object = patch.clone(),
    }
}

fn parts(plan: &[Write]) -> Vec<Part> {
    plan.iter().map(|write| write.part).collect()
}

#[test]
fn levers_are_pulled_once_and_put_back_as_they_were_found() {
    let deployment = [vec![Part::CanaryStatus], vec![Part::DeploymentConditions]];
    let skip_analysis = [vec![Part::DeploymentConditions], vec![]];
    let daemon_set = [vec![Part::CanaryStatus], vec![]];
    for (kind, remedy, expected) in [
        (
            "Deployment",
            roll_back_by(true, TargetLever::ExceedDeadline),
            deployment,
        ),
        (
            "Deployment",
            roll_back_by(false, TargetLever::ExceedDeadline),
            skip_analysis,
        ),
        ("Deployment", roll_back_by(true, TargetLever::None), daemon_set.clone()),
        (
            "Deployment",
            roll_back_by(true, TargetLever::Later(None)),
            daemon_set.clone(),
        ),
        (
            "DaemonSet",
            roll_back_by(true, TargetLever::BackdateTransition),
            daemon_set,
        ),
    ] {
        let before = Cluster::waiting(kind);
        let (mut cluster, mut saved) = (before.clone(), SavedStatus::default());
        for (pass, expected) in [(180, expected[0].clone()), (182, expected[1].clone()), (184, vec![])] {
            let plan = plan(&remedy, &cluster.snapshot(), Some(&saved), at(pass));
            assert_eq!(parts(&plan), expected, "{remedy:?} after {pass} s");
            cluster.write(&plan, &mut saved, at(pass));
        }
        assert_ne!(cluster, before, "{remedy:?}");
        let withdrawal = plan(&Remedy::Withdraw, &cluster.snapshot(), Some(&saved), at(190));
        cluster.write(&withdrawal, &mut saved, at(190));
        assert_eq!(cluster, before, "{remedy:?}");
        let nothing = plan(&Remedy::Withdraw, &cluster.snapshot(), Some(&saved), at(191));
        assert_eq!(nothing, [], "{remedy:?}");
    }
}

#[test]
fn a_plan_is_empty_exactly_when_no_lever_is_due() {
    for kind in ["Deployment", "DaemonSet"] {
        for target in [
            TargetLever::None,
            TargetLever::ExceedDeadline,
            TargetLever::BackdateTransition,
            TargetLever::Later(None),
        ] {
            for (fail_checks, failed_checks, raised) in [
                (true, 2, None),
                (true, 5, Some(180)),
                (true, 5, Some(100)),
                (false, 0, None),
            ] {
                let mut cluster = Cluster::waiting(kind);
                cluster.canary["status"]["failedChecks"] = json!(failed_checks);
                let saved = SavedStatus {
                    raised_at: raised.map(at),
                    ..SavedStatus::default()
                };
                let snapshot = cluster.snapshot();
                let levers = Levers { fail_checks, target };
                let plan = plan(&Remedy::RollBack(breach(), levers), &snapshot, Some(&saved), at(180));
                let due = due(levers, snapshot.objects(), Some(&saved), at(180));
                assert_eq!(
                    plan.is_empty(),
                    due.is_none(),
                    "{kind} {levers:?} {failed_checks} {raised:?}"
                );
            }
        }
    }
}

#[test]
fn the_lever_on_the_target_says_why_and_leaves_the_other_conditions_alone() {
    let snapshot = Cluster::waiting("Deployment").snapshot();
    let plan = plan(
        &roll_back_by(false, TargetLever::ExceedDeadline),
        &snapshot,
        None,
        at(180),
    );
    let reason = why(snapshot.objects(), Clock::READINESS);
    let expected = json!([
        {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "unknown": "kept"},
        {
            "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
            "message": format!("Curfew: {reason}"), "lastUpdateTime": time(180), "lastTransitionTime": time(180),
        },
    ]);
    assert_eq!(plan[0].patch["status"]["conditions"], expected);
}

#[test]
fn what_a_restart_forgot_becomes_what_flagger_goes_on_from() {
    let mut cluster = Cluster::waiting("Deployment");
    let mut saved = SavedStatus::default();
    for now in [180, 182] {
        let remedy = roll_back_by(true, TargetLever::ExceedDeadline);
        let plan = plan(&remedy, &cluster.snapshot(), Some(&saved), at(now));
        cluster.write(&plan, &mut saved, at(now));
    }
    let withdrawal = plan(&Remedy::Withdraw, &cluster.snapshot(), None, at(190));
    let [on_target, on_canary] = &withdrawal[..] else {
        panic!("two writes: {withdrawal:?}")
    };
    let condition = &on_target.patch["status"]["conditions"][1];
    assert_eq!(condition["reason"], "NewReplicaSetAvailable");
    assert_eq!(on_canary.patch["status"], json!({"failedChecks": 0}));
}

#[test]
fn a_condition_is_put_back_on_the_target_that_it_was_left_on() {
    let mut cluster = Cluster::waiting("Deployment");
    let mut saved = SavedStatus::default();
    let pull = plan(
        &roll_back_by(false, TargetLever::ExceedDeadline),
        &cluster.snapshot(),
        None,
        at(180),
    );
    let original = cluster.target.clone();
    cluster.write(&pull, &mut saved, at(180));
    let mut next = original.clone();
    next["metadata"]["name"] = json!("web-2");
    cluster.former_target = Some(std::mem::replace(&mut cluster.target, next.clone()));
    cluster.canary["spec"]["targetRef"]["name"] = json!("web-2");
    assert_eq!(saved.former_target("web-2"), Some("web"));
    let withdrawal = plan(&Remedy::Withdraw, &cluster.snapshot(), Some(&saved), at(190));
    cluster.write(&withdrawal, &mut saved, at(190));
    assert_eq!((cluster.former_target, cluster.target), (Some(original), next));
}

#[test]
fn others_conditions_are_left_alone() {
    for reason in ["ProgressDeadlineExceeded", "ReplicaSetUpdated"] {
        let mut cluster = Cluster::waiting("Deployment");
        cluster.target["status"]["conditions"][1]["reason"] = json!(reason);
        cluster.target["status"]["conditions"][1]["message"] = json!("ReplicaSet \"web-1\" has timed out progressing.");
        assert_eq!(
            plan(&Remedy::Withdraw, &cluster.snapshot(), None, at(190)),
            [],
            "{reason}"
        );
    }
}

#[test]
fn a_held_initialization_gets_time_and_nothing_else() {
    let snapshot = Cluster::waiting("Deployment").snapshot();
    let plan = plan(&Remedy::Hold(breach()), &snapshot, None, at(170));
    let expected = json!([
        {
            "type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "unknown": "kept",
            "lastUpdateTime": time(170),
        },
        {
            "type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "unknown": "kept",
            "lastUpdateTime": time(170),
        },
    ]);
    assert_eq!(parts(&plan), [Part::DeploymentConditions]);
    assert_eq!(plan[0].patch["status"], json!({"conditions": expected}));
}

#[test]
fn the_last_resort_asks_before_it_writes_the_phase_and_scales_after_it() {
    for (kind, part, spec) in [
        ("Deployment", Part::DeploymentScale, json!({"replicas": 0})),
        (
            "DaemonSet",
            Part::DaemonSetTemplate,
            json!({"template": {"spec": {"nodeSelector": {"flagger.app/scale-to-zero": "true"}}}}),
        ),
    ] {
        let mut cluster = Cluster::waiting(kind);
        let first = plan(&Remedy::LastResort(breach()), &cluster.snapshot(), None, at(300));
        let asked: Vec<_> = first.iter().map(|write| (write.part, write.dry_run)).collect();
        assert_eq!(asked, [(part, true), (Part::CanaryStatus, false)]);
        let status = &first[1].patch["status"];
        assert_eq!(
            (&status["phase"], &status["failedChecks"]),
            (&json!("Failed"), &json!(0))
        );
        assert_eq!(
            status["lastTransitionTime"],
            Value::Null,
            "this is no sign of Flagger's life"
        );
        let then = plan(&Remedy::FinishLastResort, &cluster.snapshot(), None, at(301));
        assert_eq!((parts(&then), then[0].dry_run), (vec![part], false));
        assert_eq!(then[0].patch["spec"], spec);
        for wanted in ["replicas", "desiredNumberScheduled"] {
            cluster.target["spec"][wanted] = json!(0);
            cluster.target["status"][wanted] = json!(0);
        }
        assert_eq!(plan(&Remedy::FinishLastResort, &cluster.snapshot(), None, at(302)), []);
        let first = plan(&Remedy::LastResort(breach()), &cluster.snapshot(), None, at(303));
        assert_eq!(parts(&first), [Part::CanaryStatus]);
    }
}

#[test]
fn nothing_is_written_for_what_only_waits_or_reports() {
    let snapshot = Cluster::waiting("Deployment").snapshot();
    for remedy in [
        Remedy::None,
        Remedy::Report(breach()),
        Remedy::Withhold(breach(), crate::rollout::guard::Guard::Forbidden),
        Remedy::Await(at(0)),
        Remedy::Confirm,
    ] {
        assert_eq!(plan(&remedy, &snapshot, None, at(300)), [], "{remedy:?}");
    }
}

#[test]
fn a_canary_moved_on_when_its_phase_or_its_revision_did() {
    let judged = Cluster::waiting("Deployment").canary;
    for (field, value, moved) in [
        ("/status/failedChecks", json!(5), false),
        ("/status/phase", json!("Failed"), false),
        ("/status/phase", json!("Promoting"), true),
        ("/status/phase", json!("Succeeded"), true),
        ("/status/lastAppliedSpec", json!("another"), true),
        ("/spec/suspend", json!(true), true),
        ("/metadata/deletionTimestamp", time(181), true),
    ] {
        let mut after = judged.clone();
        let (parent, key) = field.rsplit_once('/').expect("a path");
        after.pointer_mut(parent).expect("it is there")[key] = value;
        let (judged, after) = (Canary::from_json(judged.clone()), Canary::from_json(after));
        assert_eq!(moved_on(&judged, &after), moved, "{field}");
    }
}
