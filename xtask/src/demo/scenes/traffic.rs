//! Scene 3: a pod breaks in mid-analysis, with 20 % of the traffic on the new version.

use anyhow::Result;
use serde_json::json;

use super::{
    course::{SETTING_UP, begin, end, namespace, until},
    follow::{Follow, Prepared},
};
use crate::demo::{
    observation::{Journal, Scene, Seen},
    stage::{Pace, Stage},
};

/// Plays the scene on both sides.
pub async fn play(stage: &Stage, journals: &mut [Journal; 2]) -> Result<()> {
    let spec = json!({
        "provider": "gatewayapi:v1",
        "progressDeadlineSeconds": stage.pace.limit.as_secs(),
        // No gateway runs: the HTTPRoute is what a gateway would obey.
        "service": {"port": 80, "hosts": ["web.example"], "gatewayRefs": [{"name": "gateway"}]},
        "analysis": {"interval": "10s", "threshold": 5, "stepWeight": 20, "maxWeight": 60},
    });
    let prepare = async |journal: &Journal| {
        let plane = stage.plane(Scene::Traffic, journal.side)?;
        Prepared::new(plane, journal, &namespace("traffic", journal.side), &spec).await
    };
    let (alone, curfew) = tokio::try_join!(prepare(&journals[0]), prepare(&journals[1]))?;
    begin(journals);
    let side = async |prepared, journal| end(journal, traffic(prepared, journal, stage.pace).await);
    tokio::join!(side(alone, &journals[0]), side(curfew, &journals[1]));
    Ok(())
}

async fn traffic(prepared: Prepared<'_>, journal: &Journal, pace: Pace) -> Result<()> {
    journal.write(Seen::Did("A new version is pushed: all its pods are ready".to_owned()));
    prepared.push("ready").await?;
    let mut rollout = Follow::new(prepared, journal, pace);
    rollout
        .until(
            "Flagger to send 20 % of the traffic to the new version",
            SETTING_UP,
            |look| look.weights.is_some_and(|weights| weights.canary == 20),
        )
        .await?;
    let pod = rollout.prepared.break_pod().await?;
    journal.write(Seen::Did(format!("The pod {pod} breaks")));
    let namespace = &rollout.prepared.namespace;
    until(journal, "the pod not to be ready", SETTING_UP, async || {
        Ok((!namespace.is_ready(&pod).await?).then_some(()))
    })
    .await?;
    rollout.start_clock();
    rollout.outcome().await
}
