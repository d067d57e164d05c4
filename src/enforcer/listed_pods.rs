//! The pods of a target, as they were last listed.

use std::time::{Duration, Instant};

use crate::rollout::pods::PodSeen;

/// How often a target's pods are listed at most.
const PODS_SELDOM: Duration = Duration::from_secs(2);

/// The pods of a target, as they were last listed.
#[derive(Debug, Default)]
pub struct ListedPods {
    /// When, and which.
    listed: Option<(Instant, Vec<PodSeen>)>,
    /// The version of the target for which they were listed.
    of: Option<String>,
}

// === impl ListedPods ===

impl ListedPods {
    /// The pods, if they were listed.
    #[must_use]
    pub fn pods(&self) -> Option<&[PodSeen]> {
        self.listed.as_ref().map(|(_, pods)| pods.as_slice())
    }

    /// Whether they were listed for this version of the target.
    #[must_use]
    pub fn are_of(&self, version: Option<&String>) -> bool {
        self.of.as_ref() == version
    }

    /// How long to wait before they may be listed again, if it is too early.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        let (listed, _) = self.listed.as_ref()?;
        let wait = PODS_SELDOM.saturating_sub(listed.elapsed());
        (!wait.is_zero()).then_some(wait)
    }

    /// Notes that they were listed for a version of the target.
    pub fn list(&mut self, pods: Vec<PodSeen>, version: Option<String>) {
        self.listed = Some((Instant::now(), pods));
        self.of = version;
    }

    /// Notes that they were read together with everything else, or could not be.
    pub fn read(&mut self, pods: Option<Vec<PodSeen>>) {
        self.listed = pods.map(|pods| (Instant::now(), pods));
    }

    /// Forgets them: there is no target whose pods matter.
    pub fn forget(&mut self) {
        self.listed = None;
    }
}
