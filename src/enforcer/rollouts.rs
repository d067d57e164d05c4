//! The running rollouts at a glance: whose deadline comes next, for the breakers and for those who read metrics.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use crate::{
    cluster::watch::Watches,
    deadline::{
        breaker::{Breaker, BreakerAnswer, Load},
        evaluate::Evaluation,
    },
    flagger::{
        canary::Canary,
        effective::Effective,
        phase::Phase,
        ready::{Readiness, readiness},
    },
    policy::canary_policy,
    rollout::{
        Clock,
        guard::{Cause, Share},
    },
};

/// For how long a count of troubled workloads is good enough: many ask in the same moment.
const RECENT: Duration = Duration::from_secs(1);

/// Deadlines that are so close together count as passing at once: a storm's are not all in the same millisecond.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(2);

/// When to ask again while not every rollout was looked at once.
const SOON: SignedDuration = SignedDuration::from_secs(1);

/// The running rollouts, and the breakers of the policies.
#[derive(Debug, Default)]
pub struct Rollouts(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    known: HashMap<(String, String), Rollout>,
    breakers: HashMap<String, Breaker>,
    /// Whether every running rollout was looked at once.
    complete: bool,
    counted: Option<(Instant, Share, Share)>,
}

/// One running rollout.
#[derive(Clone, Debug)]
struct Rollout {
    /// The policy that applies.
    policy: String,
    /// The next deadline that would act or report.
    next: Option<(Clock, Timestamp)>,
    /// When it is to be rolled back; none once Flagger was handed the verdict.
    rolls_back_at: Option<Timestamp>,
}

/// Whether a breach of a Canary may be acted upon.
#[derive(Clone, Copy, Debug)]
pub struct BreakerQuestion<'a> {
    /// The Canary.
    pub canary: &'a Canary,
    /// The policy that applies to it.
    pub policy: &'a str,
    /// What that says of its breaker.
    pub settings: canary_policy::BreakerSettings,
    /// The deadline that passed.
    pub deadline: Timestamp,
}

// === impl Rollouts ===

impl Rollouts {
    /// Notes what a look at a Canary found.
    pub fn note(&self, canary: &Canary, policy: &str, evaluation: &Evaluation, is_requested: bool) {
        let mut inner = self.0.lock();
        let key = key(canary);
        if canary.status.phase.rank().is_none() {
            inner.known.remove(&key);
            return;
        }
        let rollout = Rollout {
            policy: policy.to_owned(),
            next: evaluation.pending.map(|pending| (pending.clock, pending.deadline)),
            rolls_back_at: evaluation.rolls_back_at.filter(|_| !is_requested),
        };
        inner.known.insert(key, rollout);
    }

    /// Notes a Canary whose deadlines nobody enforces.
    pub fn note_off(&self, canary: &Canary, policy: &str) {
        let rollout = Rollout {
            policy: policy.to_owned(),
            next: None,
            rolls_back_at: None,
        };
        self.0.lock().known.insert(key(canary), rollout);
    }

    /// Forgets a Canary that is gone.
    pub fn forget(&self, canary: &Canary) {
        self.0.lock().known.remove(&key(canary));
    }

    /// Forgets everything: somebody else looked after the rollouts meanwhile.
    pub fn clear(&self) {
        *self.0.lock() = Inner::default();
    }

    /// Asks the policy's breaker whether a breach may be acted upon.
    pub fn check_breaker(&self, question: &BreakerQuestion<'_>, watches: &Watches, now: Timestamp) -> BreakerAnswer {
        let BreakerQuestion {
            canary,
            policy,
            settings,
            deadline,
        } = *question;
        if !settings.enabled {
            return BreakerAnswer::Allow;
        }
        let mut inner = self.0.lock();
        if !inner.is_complete(watches) {
            return BreakerAnswer::Hold(now.checked_add(SOON).unwrap_or(now), Cause::Starting);
        }
        let load = inner.load(policy, watches, now);
        let who = name(&key(canary));
        let breaker = inner.breakers.entry(policy.to_owned()).or_default();
        let was_open = breaker.state(now).is_some();
        let answer = breaker.ask(&who, deadline, &load, settings, now);
        if let BreakerAnswer::Hold(_, cause) = answer
            && !was_open
        {
            tracing::error!(policy, %cause, "the breaker is open: deadlines that pass are only reported");
        }
        answer
    }

    /// The deadlines that come next, the nearest first: namespace, name, clock, and when it is.
    #[must_use]
    pub fn nearest(&self, most: usize) -> Vec<(String, String, Clock, Timestamp)> {
        let inner = self.0.lock();
        let mut nearest: Vec<_> = inner
            .known
            .iter()
            .filter_map(|((namespace, name), rollout)| {
                let (clock, deadline) = rollout.next?;
                Some((namespace.clone(), name.clone(), clock, deadline))
            })
            .collect();
        nearest.sort_by_key(|(.., deadline)| *deadline);
        nearest.truncate(most);
        nearest
    }

    /// Whether any breaker is open.
    #[must_use]
    pub fn is_breaker_open(&self, now: Timestamp) -> bool {
        let breakers = &mut self.0.lock().breakers;
        breakers.values_mut().any(|breaker| breaker.state(now).is_some())
    }
}

// === impl Inner ===

impl Inner {
    /// Whether every rollout that the watch shows was looked at since the start: before that nobody knows how many are due.
    fn is_complete(&mut self, watches: &Watches) -> bool {
        if !self.complete {
            let all = watches.canaries.state();
            let mut running = all.iter().filter(|canary| canary.status.phase.rank().is_some());
            self.complete = running.all(|canary| self.known.contains_key(&key(canary)));
        }
        self.complete
    }

    fn load(&mut self, policy: &str, watches: &Watches, now: Timestamp) -> Load {
        let (primaries, behind) = match self.counted {
            Some((at, primaries, behind)) if at.elapsed() < RECENT => (primaries, behind),
            _ => {
                let (primaries, behind) = troubled(watches);
                self.counted = Some((Instant::now(), primaries, behind));
                (primaries, behind)
            }
        };
        let soon = now.checked_add(AT_ONCE).unwrap_or(now);
        let under = self.known.iter().filter(|(_, rollout)| rollout.policy == policy);
        let due = under
            .clone()
            .filter(|(_, rollout)| rollout.rolls_back_at.is_some_and(|deadline| deadline <= soon));
        Load {
            running: under.count(),
            due: due.map(|(key, _)| name(key)).collect(),
            primaries,
            behind,
        }
    }
}

/// How many primaries are not ready, and how many running rollouts have a workload at which its controller has not looked.
fn troubled(watches: &Watches) -> (Share, Share) {
    let (mut primaries, mut behind) = (Share::default(), Share::default());
    for canary in watches.canaries.state() {
        let (kind, namespace) = (canary.spec.target.kind.as_str(), canary.namespace());
        let primary = watches.workload(kind, namespace, &canary.primary_name());
        // While Flagger initializes or promotes, a primary is rightly not ready.
        let is_steady = !matches!(
            canary.status.phase,
            Phase::None | Phase::Initializing | Phase::Promoting | Phase::Finalising
        );
        if let Some(primary) = primary.as_ref().filter(|primary| is_steady && primary.wanted > 0) {
            let threshold = Effective::of(&canary).primary_ready_threshold;
            primaries.of += 1;
            primaries.troubled += usize::from(matches!(readiness(primary, threshold), Readiness::NotReady(_)));
        }
        if canary.status.phase.rank().is_some() {
            let target = watches.workload(kind, namespace, &canary.spec.target.name);
            behind.of += 1;
            behind.troubled += usize::from([target, primary].iter().flatten().any(|workload| workload.unobserved()));
        }
    }
    (primaries, behind)
}

fn key(canary: &Canary) -> (String, String) {
    (canary.namespace().to_owned(), canary.name().to_owned())
}

fn name((namespace, name): &(String, String)) -> String {
    format!("{namespace}/{name}")
}
