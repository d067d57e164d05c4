//! The planes that the scenes are played on.
//!
//! Flagger and Curfew share one plane, and scenes 2 and 3 have both of their sides on it: the policy exempts the
//! namespaces of the one side. Scene 1 stops Flagger for everybody, so its first side has a plane of its own, without
//! Curfew.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use testbed::{CurfewOptions, Options, Plane};

use super::observation::{Scene, Side};

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/policy.yaml");
const POLICY_FAST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/policy-fast.yaml");

/// The times of a performance.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// `progressDeadlineSeconds` of the rollouts.
    pub limit: Duration,
    /// How long after the deadline it is seen that nothing happens.
    pub linger: Duration,
    /// How long Flagger has for a new Canary; it needs about ten seconds.
    pub patience: Duration,
    policy: &'static str,
}

/// The running planes.
pub struct Stage {
    pub pace: Pace,
    guarded: Plane,
    /// Flagger without Curfew, to be poisoned.
    unguarded: Option<Plane>,
}

// === impl Pace ===

impl Pace {
    pub const FULL: Self = Self {
        limit: Duration::from_mins(1),
        linger: Duration::from_secs(45),
        patience: Duration::from_secs(40),
        policy: POLICY,
    };
    pub const FAST: Self = Self {
        limit: Duration::from_secs(20),
        linger: Duration::from_secs(25),
        patience: Duration::from_secs(30),
        policy: POLICY_FAST,
    };
}

// === impl Stage ===

impl Stage {
    /// Starts the planes that these scenes need.
    ///
    /// # Errors
    /// When a plane does not start.
    pub async fn raise(scenes: &[Scene], pace: Pace, curfew: PathBuf) -> Result<Self> {
        let guarded = Options {
            curfew: Some(CurfewOptions {
                binary: Some(curfew),
                policy: Some(pace.policy.into()),
                ..CurfewOptions::default()
            }),
            ..Options::default()
        };
        let unguarded = async {
            if scenes.contains(&Scene::Poison) {
                return Plane::start(Options::default()).await.map(Some);
            }
            Ok(None)
        };
        let (guarded, unguarded) = tokio::try_join!(Plane::start(guarded), unguarded)?;
        Ok(Self {
            pace,
            guarded,
            unguarded,
        })
    }

    /// Where one side of a scene is played.
    ///
    /// # Errors
    /// When that plane was not started.
    pub fn plane(&self, scene: Scene, side: Side) -> Result<&Plane> {
        match (scene, side) {
            (Scene::Poison, Side::Alone) => self.unguarded.as_ref().context("the plane of scene 1 was not started"),
            _ => Ok(&self.guarded),
        }
    }

    /// What Curfew counts, as Prometheus reads it.
    ///
    /// # Errors
    /// When Curfew does not answer.
    pub async fn metrics(&self) -> Result<String> {
        let (status, text) = testbed::get(&format!("{}/metrics", self.guarded.curfew_admin_url())).await?;
        if status != 200 {
            bail!("Curfew answered {status}: {text}");
        }
        Ok(text)
    }

    /// The planes' directories, with what they are.
    pub fn dirs(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let unguarded = self
            .unguarded
            .as_ref()
            .map(|plane| ("Flagger alone, poisoned", plane.dir()));
        std::iter::once(("Flagger and Curfew", self.guarded.dir())).chain(unguarded)
    }

    /// Keeps the planes' directories when they end.
    pub fn keep_logs(&self) {
        for plane in self.planes() {
            plane.keep_logs();
        }
    }

    /// Ends the planes.
    pub async fn strike(self) {
        let unguarded = async {
            if let Some(plane) = self.unguarded {
                plane.stop().await;
            }
        };
        tokio::join!(self.guarded.stop(), unguarded);
    }

    fn planes(&self) -> impl Iterator<Item = &Plane> {
        std::iter::once(&self.guarded).chain(&self.unguarded)
    }
}
