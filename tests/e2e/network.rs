//! Curfew's way to the API server breaks, and everybody else's does not: nothing arrives, everything is refused, everything
//! is late. Nothing healthy is touched, and what passed meanwhile is made up for.

use std::time::{Duration, Instant};

use plane::{Component, Mode, Options};
use serde_json::json;

use crate::{
    curfew_says::{Metrics, assert_verdict},
    planes,
    stage::{App, Stage},
};

const DEADLINE: i64 = 20;

/// From the moment at which everything works again to the verdict: kubelets have ten seconds.
const MADE_UP_FOR: Duration = Duration::from_secs(25);

/// Breaks the network before a deadline, mends it after, and sees the verdict come.
async fn breaks(stage: &Stage, mode: Mode, patience: Duration) {
    stage.push("crash-one").await;
    stage.phase("Progressing", 30).await;
    stage
        .until("its deadline is stamped", 15, |seen| seen.stamp("deadline").map(|_| ()))
        .await;
    stage.plane.set_proxy(mode).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    if patience < Duration::MAX {
        assert_eq!(stage.now().verdict_with("requested"), None, "nothing gets through");
    }
    stage.plane.set_proxy(Mode::Pass).await.unwrap();
    let mended = Instant::now();
    stage.phase("Failed", 60).await;
    let verdict = stage
        .until("the rollback is confirmed", 20, |seen| seen.verdict_with("confirmed"))
        .await;
    assert_verdict(&verdict, "rollback", "confirmed");
    stage.event("RollbackConfirmed").await;
    assert_eq!(stage.told("RollbackRequested").await, 1);
    let handed = stage.first_verdict_with("requested");
    let took = handed.saturating_duration_since(mended);
    eprintln!("{mode:?}: the verdict was seen {took:?} after the network was mended");
    assert!(took < patience, "{mode:?}: after {took:?}");
}

#[tokio::test]
async fn what_passes_while_curfew_is_cut_off_is_made_up_for_and_nothing_else_is_touched() {
    let Some(plane) = planes::own(Options::with_curfew()).await else {
        return;
    };
    let stages = tokio::join!(
        Stage::open(&plane, "late"),
        Stage::open(&plane, "refused"),
        Stage::open(&plane, "cut-off"),
        Stage::open(&plane, "healthy"),
    );
    let (late, refused, cut_off, healthy) = stages;
    let app = |iterations: i64| App {
        pods: 4,
        deadline: DEADLINE,
        analysis: json!({"interval": "10s", "threshold": 3, "iterations": iterations}),
        ..App::default()
    };
    let (short, long) = (app(1), app(50));
    tokio::join!(
        late.install(&short),
        refused.install(&short),
        cut_off.install(&short),
        healthy.install(&long),
    );
    healthy.push("ready").await;
    healthy.phase("Progressing", 30).await;
    let metrics = Metrics::of(&plane).await;
    for kind in ["canaries", "daemonsets", "deployments", "events", "namespaces"] {
        let age = metrics.value(&format!("curfew_watch_age_seconds{{kind=\"{kind}\"}}"));
        assert!(age > 0.0 && age < 90.0, "{kind}: {age}");
    }
    assert!(metrics.has("curfew_clock_skew_seconds"));
    assert!(
        metrics.value("curfew_clock_skew_seconds").abs() < 1.0,
        "one machine has one clock"
    );

    breaks(&late, Mode::Delay(Duration::from_millis(400)), Duration::MAX).await;
    breaks(&refused, Mode::Refuse, MADE_UP_FOR).await;
    breaks(&cut_off, Mode::Blackhole, MADE_UP_FOR).await;
    assert!(
        !healthy.ever(|seen| seen.verdict().is_some() || seen.failed_checks() > 0 || seen.phase() == "Failed"),
        "it was touched"
    );
    assert!(plane.runs(Component::Curfew));
}
