//! What happens on the planes. A scene sets both sides up, begins on both at the same moment, and observes.

mod follow;
mod hang;
mod poison;
mod traffic;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::observation::{Journal, Scene, Seen, Side};
use super::stage::Stage;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(250);
/// By then Flagger has initialised a sound Canary on any machine on which the demo is of use.
const SETTING_UP: Duration = Duration::from_mins(2);

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

/// Both sides begin at this moment.
fn begin(journals: &mut [Journal; 2]) {
    let now = Instant::now();
    for journal in journals {
        journal.begin(now);
    }
}

/// A side is over.
fn end(journal: &Journal, result: Result<()>) {
    let error = result.err().map(|error| format!("{error:#}"));
    journal.write(Seen::Ended { error });
}

/// Looks until there is something; says what for.
async fn until<T>(
    journal: &Journal,
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    journal.write(Seen::Waiting(what.to_owned()));
    let started = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if started.elapsed() > patience {
            bail!("waited {} s for {what} in vain", patience.as_secs());
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The namespace of one side.
fn namespace(name: &str, side: Side) -> String {
    format!("{name}-{}", side.name())
}
