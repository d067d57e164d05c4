//! `cargo xtask demo`: what Curfew is for, on a real control plane.
//!
//! ```text
//! stage (planes) ──► scenes ──► observation ──┬──► screen ──► tell, grid
//!                                             └──► summary ──► exit code
//! ```
//!
//! All scenes are played at once and shown one after the other: what a scene observed before it is shown has its own
//! time, in seconds since that scene began.

mod cluster;
mod grid;
mod lag;
mod observation;
mod scenes;
mod screen;
mod stage;
mod summary;
mod tell;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{attend::ended_by, ends::Ends};
use grid::Mark;
use lag::Lag;
use observation::{Journal, Observation, Scene, Seen, Side};
use screen::Screen;
use stage::{Pace, Stage};

/// How often the screen is drawn.
const FRAME: Duration = Duration::from_millis(250);

/// Show on a real control plane what Flagger does alone, and what it does with Curfew.
///
/// Exits with 0 only if all of it really happened.
#[derive(Args)]
pub struct Arguments {
    /// Shorter deadlines, under a policy that allows them.
    #[arg(long)]
    fast: bool,
    /// One scene only: 1 the poison, 2 the hang, 3 the traffic.
    #[arg(long, value_name = "N", value_parser = PossibleValuesParser::new(["1", "2", "3"]).try_map(|text| text.parse::<usize>()))]
    scene: Option<usize>,
    /// Keep everything running at the end, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

/// Plays the scenes and tells what they proved.
///
/// # Errors
/// When the planes do not start, or nobody reads what is told.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Arguments { fast, scene, keep } = arguments;
    let pace = if *fast { Pace::FAST } else { Pace::FULL };
    let scenes: Vec<Scene> = Scene::ALL
        .into_iter()
        .filter(|each| scene.is_none_or(|number| number == each.number()))
        .collect();
    let curfew = crate::curfew::build()?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start a runtime")?;
    runtime.block_on(perform(&scenes, pace, curfew, *keep))
}

async fn perform(scenes: &[Scene], pace: Pace, curfew: PathBuf, keep: bool) -> Result<ExitCode> {
    let mut ends = Ends::listen()?;
    let mut screen = Screen::new(pace.limit);
    let started = Instant::now();
    let planes = if scenes.contains(&Scene::Poison) {
        "two control planes"
    } else {
        "a control plane"
    };
    screen.say(
        Mark::Plain,
        &format!("Waiting for {planes}: etcd, kube-apiserver, kube-controller-manager, Flagger, Curfew."),
    )?;
    let stage = tokio::select! {
        stage = Stage::raise(scenes, pace, curfew) => stage?,
        signal = ends.next() => return Ok(ended_by(signal)),
    };
    screen.say(
        Mark::Plain,
        &format!("Ready after {:.0} s.", started.elapsed().as_secs_f64()),
    )?;

    let told = tokio::select! {
        told = show(scenes, &stage, &mut screen) => told,
        signal = ends.next() => {
            screen.close()?;
            screen.say(Mark::Plain, "Stopping the control planes.")?;
            strike(stage, &mut ends).await;
            return Ok(ended_by(signal));
        }
    };
    let holds = match &told {
        Ok(holds) => *holds,
        Err(_) => false,
    };
    if !holds {
        stage.keep_logs();
    }
    let seconds = started.elapsed().as_secs();
    let ended = told.and_then(|_| {
        screen.say(Mark::Plain, &format!("That took {seconds} s."))?;
        if keep {
            screen.print(&exploring(scenes, &stage))?;
        }
        Ok(())
    });
    if keep && ended.is_ok() {
        ends.next().await;
    }
    strike(stage, &mut ends).await;
    ended?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ends the planes; who cannot wait ends them at once.
async fn strike(stage: Stage, ends: &mut Ends) {
    tokio::select! {
        () = stage.strike() => {}
        _ = ends.next() => {}
    }
}

/// Plays the scenes, shows them and their summary. Whether everything was as promised.
async fn show(scenes: &[Scene], stage: &Stage, screen: &mut Screen) -> Result<bool> {
    let (sender, receiver) = unbounded_channel();
    let plays = scenes.iter().map(|scene| {
        let [alone, curfew] = Side::BOTH.map(|side| Journal::new(*scene, side, sender.clone()));
        scenes::play(*scene, stage, alone, curfew)
    });
    let plays = async {
        futures::future::join_all(plays).await;
        Ok(())
    };
    let mut program = Program {
        receiver,
        observations: Vec::new(),
        begins: Vec::new(),
    };
    let shown = async {
        for scene in scenes {
            program.show(*scene, screen).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(plays, shown)?;
    // A Curfew that does not answer has shown nothing.
    let lag = stage.metrics().await.ok().and_then(|metrics| Lag::parse(&metrics));
    let rows = summary::rows(scenes, &program.observations, lag.as_ref());
    let holds = summary::all_hold(&rows);
    let table = summary::table(&screen.grid(), &rows);
    screen.print(&format!("\n{table}\n"))?;
    if holds {
        screen.say(Mark::Good, "All of it really happened.")?;
    } else {
        screen.say(Mark::Bad, "Not all of it happened: see the rows marked FAILED.")?;
    }
    Ok(holds)
}

/// How to look around by hand.
fn exploring(scenes: &[Scene], stage: &Stage) -> String {
    let planes: String = stage.dirs().map(|(what, dir)| plane_by_hand(what, dir)).collect();
    let examples: String = scenes
        .iter()
        .map(|scene| match scene {
            Scene::Poison => "    kubectl --kubeconfig $PLANE_DIR/tenant apply -f xtask/demo/web.yaml\n",
            Scene::Hang => "    kubectl get canary web -n hang-curfew -o yaml\n",
            Scene::Traffic => "    kubectl get events -n traffic-curfew --sort-by=.metadata.creationTimestamp\n",
        })
        .collect();
    format!(
        "\nEverything runs until Ctrl-C. In another terminal:\n\
         {planes}\
         \n    kubectl get canaries,httproutes -A\n\
         {examples}    less $PLANE_DIR/logs/flagger.log $PLANE_DIR/logs/curfew.log\n"
    )
}

fn plane_by_hand(what: &str, dir: &Path) -> String {
    format!(
        "\n    # {what}\
         \n    export PLANE_DIR={}\
         \n    export KUBECONFIG=$PLANE_DIR/admin PATH=$PLANE_DIR/bin:$PATH\n",
        dir.display()
    )
}

/// The scenes in their order, as they are shown.
struct Program {
    receiver: UnboundedReceiver<Observation>,
    /// All of them so far, but for those that are replaced all the time.
    observations: Vec<Observation>,
    begins: Vec<(Scene, Instant)>,
}

// === impl Program ===

impl Program {
    /// Shows a scene until both of its sides have ended.
    async fn show(&mut self, scene: Scene, screen: &mut Screen) -> Result<()> {
        screen.open(scene)?;
        // What was observed while other scenes were shown.
        for observation in self
            .observations
            .iter()
            .filter(|observation| observation.scene == scene)
        {
            screen.observe(observation, self.began(scene))?;
        }
        let mut frames = tokio::time::interval(FRAME);
        while !self.is_over(scene) {
            tokio::select! {
                observation = self.receiver.recv() => {
                    let Some(observation) = observation else { break };
                    self.take(observation, scene, screen)?;
                }
                _ = frames.tick() => screen.tick()?,
            }
        }
        screen.close()
    }

    fn take(&mut self, observation: Observation, shown: Scene, screen: &mut Screen) -> Result<()> {
        if self.began(observation.scene).is_none()
            && !observation.at.is_zero()
            && let Some(began) = Instant::now().checked_sub(observation.at)
        {
            self.begins.push((observation.scene, began));
        }
        if observation.scene == shown {
            screen.observe(&observation, self.began(shown))?;
        }
        if !matches!(observation.seen, Seen::Now(_)) {
            self.observations.push(observation);
        }
        Ok(())
    }

    fn began(&self, scene: Scene) -> Option<Instant> {
        let of_scene = self.begins.iter().find(|(each, _)| *each == scene);
        of_scene.map(|(_, began)| *began)
    }

    fn is_over(&self, scene: Scene) -> bool {
        let ended = self
            .observations
            .iter()
            .filter(|observation| observation.scene == scene && matches!(observation.seen, Seen::Ended { .. }));
        ended.count() >= Side::BOTH.len()
    }
}
