//! The truth about one version of a rollout: how much unready time it has spent, and how often its containers failed. Pure.
//!
//! Two accounts are kept of the same time. `most` is what the plane really did: nobody may roll back before it
//! reaches the deadline. `least` is what a watcher that was hindered or restarted must have seen of that at the least:
//! once it reaches the deadline, a verdict is due. Without faults the two are the same. Time passes in small steps,
//! in each of which nothing changes.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Canary, Fact, Seconds, TargetPod, Workload};

/// Ready time pays back one part in so many.
const PAYBACK: Seconds = 4.0;

/// How long a container must be up so that whoever looks once in two seconds has seen it.
const SEEN_UP: Seconds = 3.0;

/// Failed exits of one container that are too many: the built-in policy's.
const CRASHES: usize = 3;

/// How wrong a moment may be that is kept in whole seconds.
const ROUNDING: Seconds = 1.0;

/// How much later than the checker a watcher may see a change on a busy machine.
const PER_FLIP: Seconds = 0.1;

/// What the plane shows at a moment.
#[derive(Debug, Default)]
pub struct Scene {
    pub canary: Option<Canary>,
    pub target: Option<Workload>,
    pub primary: Option<Workload>,
    pub pods: BTreeMap<String, TargetPod>,
}

/// How the target stands against what Flagger needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    Ready,
    /// The time counts.
    Unready,
    /// Every unready pod is young, and as many are available as were wanted: it grows.
    Growing,
    /// Nobody can tell, or it is not the target that is waited for.
    Frozen,
}

/// One version of one rollout, from when Flagger took it up.
#[derive(Debug)]
pub struct Version {
    /// Canary, rollout and revision.
    pub key: [String; 3],
    pub begun: Seconds,
    /// The image that Flagger took up; none if another was pushed at that very moment.
    pub image: Option<String>,
    /// Replicas wanted at the last progress.
    pub wanted: i64,
    /// Phase, weight and iterations, as far as it came.
    best: (bool, i64, i64),
    progressed: Seconds,
    pub standing: Standing,
    pub least: Seconds,
    pub most: Seconds,
    /// While something hinders: since when, what `least` was then, and whether anything has changed since.
    hindered: Option<Hindered>,
    flips: u32,
    /// Something hindered at the last progress, and a watcher may have come to see the target when more were wanted.
    hindered_at_first: bool,
    /// Curfew was started anew since the last progress.
    pub restarts: u32,
    crashes: BTreeMap<String, Crashes>,
    crashed: Crashed,
}

#[derive(Clone, Copy, Debug)]
struct Hindered {
    window: Seconds,
    since: Seconds,
    least: Seconds,
    changed: bool,
}

/// The failures of one container.
#[derive(Debug, Default)]
struct Crashes {
    up_since: Option<Seconds>,
    was_up: bool,
    /// It was up long enough to be seen so.
    was_seen_up: bool,
    /// Every failed exit, and those that must have been seen; in whole seconds, as they are written.
    most: BTreeSet<i64>,
    least: BTreeSet<i64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Crashed {
    No,
    /// Too often; whoever looks when the target changes has yet to find out.
    Unseen,
    Seen,
}

// === impl Scene ===

impl Scene {
    pub fn see(&mut self, fact: &Fact) {
        match fact {
            Fact::Canary(canary) => self.canary = Some(canary.clone()),
            Fact::CanaryGone => self.canary = None,
            Fact::Target(target) => self.target = Some(target.clone()),
            Fact::TargetGone => self.target = None,
            Fact::Primary(primary) => self.primary = Some(primary.clone()),
            Fact::PrimaryGone => self.primary = None,
            Fact::Pod(name, pod) => {
                self.pods.insert(name.clone(), pod.clone());
            }
            Fact::PodGone(name) => {
                self.pods.remove(name);
            }
        }
    }

    /// How the target stands. `wanted` is what was wanted at the last progress.
    pub fn standing(&self, wanted: i64, now: Seconds) -> Standing {
        let (Some(canary), Some(target), Some(primary)) = (&self.canary, &self.target, &self.primary) else {
            return Standing::Frozen;
        };
        let is_held = canary.suspended || canary.leaving || !canary.can_fail();
        let is_primary_waited_for = !primary.observed || !primary.is_ready() || primary.exceeded;
        if is_held || !target.observed || is_primary_waited_for {
            return Standing::Frozen;
        }
        // None of none is not ready, whatever Flagger thinks.
        if target.is_ready() && target.wanted > 0 {
            return Standing::Ready;
        }
        let oldest = self.pods.values().filter(|pod| !pod.ready).map(|pod| pod.created);
        let is_young = oldest
            .reduce(f64::min)
            .is_some_and(|oldest| now < oldest + canary.deadline);
        if target.wanted > 0 && target.available >= wanted && is_young {
            Standing::Growing
        } else {
            Standing::Unready
        }
    }

    /// Whether the live template is the one that Flagger took up.
    pub fn is_synced(&self, version: &Version) -> bool {
        let live = self.target.as_ref().map(|target| &target.image);
        live.is_some() && live == version.image.as_ref()
    }

    /// Whether a verdict of Curfew's is in Flagger's hands.
    pub fn is_condemned(&self) -> bool {
        let by_condition = self.target.as_ref().is_some_and(|target| target.by_curfew);
        let by_count = |canary: &Canary| canary.can_fail() && canary.is_failed_by_count();
        by_condition || self.canary.as_ref().is_some_and(by_count)
    }
}

// === impl Version ===

impl Version {
    pub fn begin(canary: &Canary, scene: &Scene, image: Option<String>, now: Seconds) -> Self {
        let mut version = Self {
            key: key(canary),
            begun: now,
            image,
            wanted: scene.target.as_ref().map_or(0, |target| target.wanted),
            best: best(canary),
            progressed: now,
            standing: Standing::Frozen,
            least: 0.0,
            most: 0.0,
            hindered: None,
            flips: 0,
            hindered_at_first: false,
            restarts: 0,
            crashes: BTreeMap::new(),
            crashed: Crashed::No,
        };
        for (name, pod) in &scene.pods {
            version.see_pod(name, pod, false, now);
        }
        version
    }

    /// Structural progress empties the account: a new maximum, or a phase forward. With nothing running, nothing advances.
    pub fn see_canary(&mut self, canary: &Canary, scene: &Scene, now: Seconds) -> bool {
        let (phase, weight, iterations) = best(canary);
        let further =
            (phase && !self.best.0) || (phase == self.best.0 && (weight > self.best.1 || iterations > self.best.2));
        let wanted = scene.target.as_ref().map_or(0, |target| target.wanted);
        if !further || wanted == 0 {
            return false;
        }
        self.best = (phase, weight.max(self.best.1), iterations.max(self.best.2));
        (self.least, self.most, self.progressed, self.wanted) = (0.0, 0.0, now, wanted);
        (self.flips, self.restarts, self.hindered_at_first) = (0, 0, false);
        if let Some(hindered) = &mut self.hindered {
            (hindered.since, hindered.least) = (now, 0.0);
        }
        true
    }

    /// The target says how many it wants a moment after the rollout begins, and whoever lists its pods does so when it
    /// changes.
    pub fn see_target(&mut self, target: &Workload) {
        if self.wanted == 0 {
            self.wanted = target.wanted;
        }
        if self.crashed == Crashed::Unseen {
            self.crashed = Crashed::Seen;
        }
    }

    pub fn see_pod(&mut self, name: &str, pod: &TargetPod, blind: bool, now: Seconds) {
        if self.image.as_ref().is_some_and(|image| *image != pod.image) {
            return;
        }
        let crashes = self.crashes.entry(name.to_owned()).or_default();
        crashes.up_since = pod.up.then(|| crashes.up_since.unwrap_or(now));
        crashes.was_up |= pod.up;
        for at in &pod.exits {
            #[expect(clippy::cast_possible_truncation, reason = "seconds of a soak")]
            let exit = at.round() as i64;
            // The version's own pods may fail before Flagger takes it up. What was seen once must not be found anew when
            // the view is clear again.
            if crashes.most.insert(exit) && crashes.was_seen_up && !blind && *at >= self.begun {
                crashes.least.insert(exit);
            }
        }
        if self.crashed == Crashed::No && crashes.least.len() >= CRASHES {
            self.crashed = Crashed::Unseen;
        }
    }

    /// Something changed that a watcher who is hindered now cannot place in time.
    pub fn flip(&mut self, now: Seconds) {
        self.flips += 1;
        self.edit(now);
    }

    /// Somebody edited the Canary: one who does not see that now need not count the time.
    pub fn edit(&mut self, now: Seconds) {
        if let Some(hindered) = &mut self.hindered {
            hindered.changed = true;
            self.least = (hindered.least - (now - hindered.since) / PAYBACK).clamp(0.0, self.least);
        }
    }

    /// Curfew was started anew: the exits that it saw before are forgotten.
    pub fn restart(&mut self) {
        self.restarts += 1;
        for crashes in self.crashes.values_mut() {
            crashes.least.clear();
            crashes.was_seen_up = false;
        }
        self.crashed = Crashed::No;
    }

    /// Lets a step of time pass in which nothing changes. `window` is the beginning of what hinders, if anything does.
    pub fn pass(&mut self, scene: &Scene, now: Seconds, step: Seconds, window: Option<Seconds>) {
        match (window, self.hindered) {
            (Some(window), Some(hindered)) if hindered.window.total_cmp(&window).is_eq() => {}
            (Some(window), _) => {
                self.hindered = Some(Hindered {
                    window,
                    since: now,
                    least: self.least,
                    changed: false,
                });
            }
            (None, _) => self.hindered = None,
        }
        self.hindered_at_first |= window.is_some() && now - self.progressed <= step;
        let standing = scene.standing(self.wanted, now);
        if standing != self.standing {
            self.flip(now);
            self.standing = standing;
        }
        let back = step / PAYBACK;
        let changed = self.hindered.is_some_and(|hindered| hindered.changed);
        match standing {
            _ if changed => self.least = (self.least - back).max(0.0),
            Standing::Unready => self.least += step,
            Standing::Ready => self.least = (self.least - back).max(0.0),
            Standing::Growing | Standing::Frozen => {}
        }
        match standing {
            Standing::Unready => self.most += step,
            Standing::Ready => self.most = (self.most - back).max(0.0),
            Standing::Growing if self.may_growing_count() => self.most += step,
            Standing::Growing | Standing::Frozen => {}
        }
        for crashes in self.crashes.values_mut() {
            let up = crashes.up_since.map_or(0.0, |since| now - since);
            crashes.was_seen_up |= up >= SEEN_UP && window.is_none();
        }
    }

    /// Whether a watcher need not know how many were wanted at the last progress, and so not that the target grows.
    fn may_growing_count(&self) -> bool {
        self.restarts > 0 || self.hindered_at_first
    }

    /// How far `most` may be off.
    pub fn slack(&self) -> Seconds {
        ROUNDING + PER_FLIP * f64::from(self.flips) + ROUNDING * f64::from(self.restarts)
    }

    /// Whether the time that counts has reached the deadline, in a moment in which it counts.
    pub fn has_spent(&self, deadline: Seconds) -> bool {
        let counts = match self.standing {
            Standing::Unready => true,
            Standing::Growing => self.may_growing_count(),
            Standing::Ready | Standing::Frozen => false,
        };
        counts && self.most >= deadline
    }

    /// Whether everybody must know that it has.
    pub fn must_have_spent(&self, deadline: Seconds) -> bool {
        self.standing == Standing::Unready && self.least >= deadline
    }

    /// Whether a container failed too often after it had been up.
    pub fn has_crashed(&self) -> bool {
        self.crashes
            .values()
            .any(|crashes| crashes.was_up && crashes.most.len() >= CRASHES)
    }

    /// Whether everybody must know that one has.
    pub fn must_have_crashed(&self) -> bool {
        self.crashed == Crashed::Seen
    }
}

/// What names a version: the Canary, the rollout, the revision.
pub fn key(canary: &Canary) -> [String; 3] {
    [canary.uid.clone(), canary.rollout.clone(), canary.applied.clone()]
}

fn best(canary: &Canary) -> (bool, i64, i64) {
    (canary.phase == "WaitingPromotion", canary.weight, canary.iterations)
}

#[cfg(test)]
#[path = "truth_test.rs"]
mod tests;
