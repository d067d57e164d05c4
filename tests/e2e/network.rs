//! Curfew's way to the API server is cut, silently and with closed connections, and that of everything else is not. (A slow
//! network is in the soak, which is run by hand.) Nothing healthy is touched, and what passed meanwhile is made up for.

use std::time::Duration;

use serde_json::json;
use testbed::{Component, Mode, Options};

use crate::{
    curfew_says::{Metrics, assert_verdict, seconds_between},
    planes,
    stage::{App, STAMPED, Stage},
};

/// Of the rollouts that hang, once the network is about to be cut: some seconds after it is stamped.
const DEADLINE: i64 = 30;

/// From the moment at which everything works again to the verdict: kubelets have ten seconds.
const MADE_UP_FOR: i64 = 25;

/// How long the network is cut, which is longer than the deadline.
const CUT: Duration = Duration::from_secs(30);

/// Waits for the stamp of another deadline than this.
async fn stamped_deadline(stage: &Stage, before: &str) -> String {
    stage
        .until("its deadline is stamped", STAMPED, |seen| {
            let deadline = seen.stamp("deadline").filter(|deadline| *deadline != before);
            deadline
                .filter(|_| seen.stamp("clock") == Some("readiness"))
                .map(str::to_owned)
        })
        .await
}

/// Cuts the network before a deadline, fixes it after, and sees the verdict come.
async fn is_cut(stage: &Stage, mode: Mode) {
    stage.push("crash-one").await;
    stage.phase("Progressing", 30).await;
    let far = stamped_deadline(stage, "").await;
    stage.set_deadline(DEADLINE).await;
    stamped_deadline(stage, &far).await;
    stage.plane.set_proxy(mode).await.unwrap();
    tokio::time::sleep(CUT).await;
    assert_eq!(stage.now().verdict_with("requested"), None, "nothing gets through");
    stage.plane.set_proxy(Mode::Pass).await.unwrap();
    let fixed = curfew::cluster::clock::now().to_string();
    stage.phase("Failed", 60).await;
    let verdict = stage
        .until("the rollback is confirmed", 20, |seen| seen.verdict_with("confirmed"))
        .await;
    assert_verdict(&verdict, "rollback", "confirmed");
    stage.event("RollbackConfirmed").await;
    assert_eq!(stage.told("RollbackRequested").await, 1);
    let took = seconds_between(&fixed, verdict["at"].as_str().unwrap());
    eprintln!("{mode:?}: the verdict came {took} s after the network was fixed");
    assert!(took < MADE_UP_FOR, "after {took} s");
}

#[tokio::test]
async fn what_passes_while_curfew_is_cut_off_is_made_up_for_and_nothing_else_is_touched() {
    let Some(plane) = planes::own(Options::with_curfew()).await else {
        return;
    };
    let (cut_off, refused, healthy) = tokio::join!(
        Stage::open(&plane, "cut-off"),
        Stage::open(&plane, "refused"),
        Stage::open(&plane, "healthy"),
    );
    let app = |iterations: i64| App {
        pods: 4,
        // Until the network is cut.
        deadline: 300,
        analysis: json!({"interval": "10s", "threshold": 3, "iterations": iterations}),
        ..App::default()
    };
    let (short, long) = (app(1), app(50));
    tokio::join!(cut_off.install(&short), refused.install(&short), healthy.install(&long));
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

    is_cut(&cut_off, Mode::Blackhole).await;
    is_cut(&refused, Mode::Refuse).await;
    assert!(
        !healthy.ever(|seen| seen.verdict().is_some() || seen.failed_checks() > 0 || seen.phase() == "Failed"),
        "it was touched"
    );
    assert!(plane.runs(Component::Curfew));
}
