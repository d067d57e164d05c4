//! What happens on the planes. A scene sets both sides up, begins on both at the same moment, and observes.

mod course;
mod follow;
mod hang;
mod poison;
mod traffic;

use self::course::end;
use super::{
    observation::{Journal, Scene},
    stage::Stage,
};

/// Plays a scene. What goes wrong is written down like everything else.
pub async fn play(scene: Scene, stage: &Stage, alone: Journal, curfew: Journal) {
    let mut journals = [alone, curfew];
    let result = match scene {
        Scene::Poison => poison::play(stage, &mut journals).await,
        Scene::Hang => Box::pin(hang::play(stage, &mut journals)).await,
        Scene::Traffic => Box::pin(traffic::play(stage, &mut journals)).await,
    };
    if let Err(error) = result {
        for journal in &journals {
            end(journal, Err(anyhow::anyhow!("{error:#}")));
        }
    }
}
