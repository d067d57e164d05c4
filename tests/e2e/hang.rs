//! One of four pods crash-loops (`docs/flagger.md#f1`): Flagger alone hangs for ever; with Curfew it rolls back at the
//! deadline, and says why.

use crate::{
    curfew_says::{Metrics, assert_prompt, assert_verdict, seconds_between},
    planes,
    stage::{APP, App, STAMPED, Stage},
};

const DEADLINE: i64 = 35;

fn app() -> App {
    App {
        pods: 4,
        deadline: DEADLINE,
        ..App::default()
    }
}

#[tokio::test]
async fn one_crashing_pod_of_four_is_rolled_back_at_the_deadline() {
    let Some(plane) = planes::shared().await else { return };
    tokio::join!(
        async {
            let stage = Stage::alone(&plane, "hang").await;
            stage.install(&app()).await;
            stage.push("crash-one").await;
            stage.phase("Progressing", 30).await;
            stage
                .never("Flagger ended it by itself", 45, |seen| seen.phase() != "Progressing")
                .await;
            assert_eq!(stage.now().stamp("verdict"), None, "Curfew left it alone");
        },
        async {
            let stage = Stage::open(&plane, "hang").await;
            stage.install(&app()).await;
            stage.push("crash-one").await;
            rolled_back(&stage).await;
            stage.next_version_is_analysed().await;
        },
    );
}

async fn rolled_back(stage: &Stage) {
    stage.phase("Progressing", 30).await;
    stage
        .until("a deadline is stamped", STAMPED, |seen| {
            let (from, to) = (seen.stamp("progressed-at")?, seen.stamp("deadline")?);
            // Whole seconds, rounded up, and the pods take a moment to be there and unready, some on a loaded machine.
            let seconds = seconds_between(from, to);
            assert!(
                (DEADLINE..=DEADLINE + 10).contains(&seconds),
                "{seconds} s until the deadline"
            );
            assert_eq!(seen.stamp("clock"), Some("readiness"));
            Some(())
        })
        .await;
    let requested = stage
        .until("Flagger is handed the verdict", 40, |seen| {
            seen.verdict_with("requested")
        })
        .await;
    assert_prompt(&requested);

    stage.phase("Failed", 20).await;
    let verdict = stage
        .until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
        .await;
    let reason = assert_verdict(&verdict, "rollback", "confirmed");
    assert!(reason.starts_with("1 of 4 pods not ready: web-"), "{reason}");
    assert!(reason.contains(" container app: "), "{reason}");
    // In CrashLoopBackOff, or, for a moment after each exit, in Error.
    assert!(reason.contains("exit code 1, "), "{reason}");
    assert_eq!(
        Some(verdict["revision"].as_str().unwrap()),
        stage.now().stamp("revision")
    );
    assert_eq!(stage.now().stamp("deadline"), None, "nothing is pending any more");

    stage.replicas(APP, 0).await;
    stage.replicas("web-primary", 4).await;
    for reason in ["DeadlineApproaching", "DeadlineExceeded", "RollbackRequested"] {
        let note = stage.event(reason).await;
        assert!(
            note.contains("container app: ") && note.contains("exit code 1, "),
            "{reason}: {note}"
        );
    }
    stage.event("RollbackConfirmed").await;
    let metrics = Metrics::of(&stage.plane).await;
    for result in ["requested", "confirmed"] {
        let actions = format!("curfew_actions_total{{clock=\"readiness\",remedy=\"rollback\",result=\"{result}\"}}");
        assert!(metrics.value(&actions) >= 1.0, "{actions}");
    }
    assert!(metrics.value("curfew_breaches_total{clock=\"readiness\"}") >= 1.0);
    for series in ["curfew_enforcement_lag_seconds_count", "curfew_breaker_open"] {
        assert!(metrics.has(series), "{series}");
    }
}
