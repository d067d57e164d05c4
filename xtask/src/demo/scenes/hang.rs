//! Scene 2: one pod of four is in CrashLoopBackOff, and the rollout hangs.

use anyhow::Result;
use serde_json::json;

use super::{
    course::{SETTING_UP, begin, end, namespace},
    follow::{Follow, Prepared},
};
use crate::demo::{
    observation::{Journal, Scene, Seen},
    stage::{Pace, Stage},
};

/// Plays the scene on both sides.
pub async fn play(stage: &Stage, journals: &mut [Journal; 2]) -> Result<()> {
    let spec = json!({
        "progressDeadlineSeconds": stage.pace.limit.as_secs(),
        "service": {"port": 80},
        "analysis": {"interval": "10s", "threshold": 5, "iterations": 3},
    });
    let prepare = async |journal: &Journal| {
        let plane = stage.plane(Scene::Hang, journal.side)?;
        Prepared::new(plane, journal, &namespace("hang", journal.side), &spec).await
    };
    let (alone, curfew) = tokio::try_join!(prepare(&journals[0]), prepare(&journals[1]))?;
    begin(journals);
    let side = async |prepared, journal| end(journal, hang(prepared, journal, stage.pace).await);
    tokio::join!(side(alone, &journals[0]), side(curfew, &journals[1]));
    Ok(())
}

async fn hang(prepared: Prepared<'_>, journal: &Journal, pace: Pace) -> Result<()> {
    journal.write(Seen::Did("A new version is pushed: 1 of its 4 pods crashes".to_owned()));
    prepared.push("crash-one").await?;
    let mut rollout = Follow::new(prepared, journal, pace);
    rollout
        .until("Flagger to see the new version", SETTING_UP, |look| {
            look.phase == "Progressing"
        })
        .await?;
    rollout.start_clock();
    rollout.outcome().await
}
