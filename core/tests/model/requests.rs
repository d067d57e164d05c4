//! What an enforcer does, request by request, as `src/enforcer/{reconcile,act_on_remedy,apply}.rs` do.
//!
//! It looks on what its watches show; if something is to be done it reads the Canary, then the target, judges again, and
//! pulls the levers with one write each, every write refused if its object changed since it was read. Then it
//! reads the Canary once more. Between any two of these requests anybody else may act.

use std::{collections::BTreeMap, sync::Arc};

use curfew_core::{
    deadline::{
        Conditions, Inputs,
        evaluate::{Evaluation, Pending},
        limits::Limits,
    },
    flagger::{canary::Canary, phase::Phase},
    policy::{EnforcementPolicy, action::Action},
    rollout::{
        levers::{Levers, TargetLever},
        observation::Observation,
        remedy::Remedy,
        stamp::{Stamp, VERDICT, requested},
        verdict::Outcome,
    },
};

use crate::{
    cluster::{CanaryState, THRESHOLD, TargetState, at, canary_object, look},
    enforcer::{Doing, Enforcer},
    world::{Setup, World},
};

/// What one look found.
struct Found {
    seen: Observation,
    stamp: Stamp,
    evaluation: Evaluation,
    remedy: Remedy,
}

impl World {
    /// The next step of an enforcer.
    pub fn enforcer_acts(&mut self, setup: &Setup, index: usize) {
        let doing = std::mem::take(&mut self.curfew[index].doing);
        match doing {
            Doing::Nothing => self.look_cached(setup, index),
            Doing::Read { canary, stale } => self.look_fresh(setup, index, &canary, stale),
            Doing::Pull { .. } => self.pull(setup, index, &doing),
            Doing::ReadBack { judged, breach } => {
                let now = self.now;
                let canary = self.canary.clone();
                self.curfew[index].remember_told(breach, now);
                let failed = canary.phase == Phase::Failed;
                if !failed && (!canary.may_act() || canary.applied != judged) {
                    self.curfew[index].doing = Doing::ReadToWithdraw { canary, stale: false };
                } else {
                    self.write_down(setup, index);
                }
            }
            Doing::ReadToWithdraw { canary, stale } => {
                self.curfew[index].doing = Doing::Withdraw {
                    canary,
                    restore: self.target.exceeded,
                    stale_canary: stale,
                    stale_target: false,
                };
            }
            Doing::Withdraw { .. } => self.withdraw(setup, index, doing),
            Doing::Write(notes) => {
                self.write_canary(setup.lag, |canary| canary.notes = notes);
                let enforcer = &mut self.curfew[index];
                enforcer.noted = Some(self.now);
                enforcer.ahead = setup.lag;
            }
        }
        let enforcer = &mut self.curfew[index];
        if enforcer.doing == Doing::Nothing && index != self.leader {
            // It has found out that somebody else leads.
            *enforcer = Enforcer {
                paused: enforcer.paused,
                ..Enforcer::default()
            };
        }
    }

    /// Judges what was read, under these conditions.
    fn found(
        &self,
        setup: &Setup,
        (canary, target): (&CanaryState, &TargetState),
        before: &Stamp,
        conditions: Conditions,
    ) -> Found {
        let (object, seen, stamp) = look(canary, target, self.primary_ready, setup.shape(), before, self.now);
        let limits = limits(&object, self.exempt);
        let inputs = Inputs {
            observation: &seen,
            limits: &limits,
            conditions,
        };
        let evaluation = (setup.evaluate)(&inputs, &stamp, at(self.now));
        let remedy = (setup.remedy)(&evaluation, &inputs, &stamp, at(self.now));
        Found {
            seen,
            stamp,
            evaluation,
            remedy,
        }
    }

    /// A look on what the watches show.
    fn look_cached(&mut self, setup: &Setup, index: usize) {
        let enforcer = &self.curfew[index];
        let canary = enforcer.old_canary.clone().unwrap_or_else(|| self.canary.clone());
        let target = enforcer.old_target.clone().unwrap_or_else(|| self.target.clone());
        let before = enforcer
            .stamp
            .clone()
            .unwrap_or_else(|| Stamp::recall(&canary_object(&canary, setup.shape()), None, at(self.now)));
        let idle = self.exempt && !requested(&before);
        let found = self.found(setup, (&canary, &target), &before, Conditions::default());
        let settled = self.is_settled(&found, &self.curfew[index], &canary, &target, &before);
        let enforcer = &mut self.curfew[index];
        enforcer.looked = true;
        if idle {
            enforcer.stamp = Some(before);
        } else if found.is_another_rollout(&before) || !settled {
            enforcer.stamp = Some(before);
            enforcer.ahead = enforcer.old_canary.is_some();
            enforcer.doing = Doing::Read {
                canary: self.canary.clone(),
                stale: false,
            };
        } else {
            enforcer.stamp = Some(found.stamp);
            let pending = found.evaluation.pending;
            self.write_down_pending(setup, index, pending);
        }
    }

    fn is_settled(
        &self,
        found: &Found,
        enforcer: &Enforcer,
        canary: &CanaryState,
        target: &TargetState,
        before: &Stamp,
    ) -> bool {
        match &found.remedy {
            // A hold writes to the primary, which is only ready or not here.
            Remedy::None | Remedy::Await(_) | Remedy::Report(_) | Remedy::Hold(_) => true,
            Remedy::Withhold(breach, why) => enforcer.withheld == Some((breach.clock, why.kind())),
            Remedy::RollBack(_, levers) => {
                let told = match levers.target {
                    TargetLever::None => true,
                    TargetLever::ExceedDeadline | TargetLever::BackdateTransition => target.exceeded,
                    TargetLever::Later(until) => until.is_none_or(|until| at(self.now) < until),
                };
                requested(before) && (!levers.fail_checks || canary.failed >= THRESHOLD) && told
            }
            Remedy::LastResort(_) | Remedy::FinishLastResort | Remedy::Withdraw | Remedy::Confirm => false,
        }
    }

    /// The target was read after the Canary: both are judged again, and what that asks for is done.
    fn look_fresh(&mut self, setup: &Setup, index: usize, canary: &CanaryState, stale: bool) {
        let now = self.now;
        let before = self.curfew[index].memory().clone();
        let target = self.target.clone();
        let conditions = self.conditions(setup);
        let found = self.found(setup, (canary, &target), &before, conditions);
        let doubted = self.is_in_doubt(setup) && !requested(&before);
        let enforcer = &mut self.curfew[index];
        if found.is_another_rollout(&before) {
            enforcer.before = None;
            enforcer.withheld = None;
        }
        enforcer.stamp = Some(found.stamp);
        match found.remedy {
            Remedy::RollBack(
                breach,
                Levers {
                    fail_checks,
                    target: lever,
                },
            ) => {
                if let Some(rollout) = &mut enforcer.memory().rollout {
                    rollout.breach = Some(breach);
                }
                let fail_checks = fail_checks && canary.failed < THRESHOLD;
                let exceed = lever == TargetLever::ExceedDeadline && !target.exceeded;
                if fail_checks {
                    enforcer.before.get_or_insert_default().failed = Some(canary.failed);
                } else if exceed {
                    enforcer.before.get_or_insert_default();
                }
                self.truth.begun(doubted);
                if fail_checks || exceed {
                    enforcer.doing = Doing::Pull {
                        judged: canary.applied,
                        breach,
                        fail_checks,
                        exceed,
                        told: false,
                        stale_canary: stale,
                        stale_target: false,
                    };
                    return;
                }
                enforcer.remember_told(breach, now);
            }
            Remedy::Withhold(breach, why) => {
                if enforcer.withheld != Some((breach.clock, why.kind())) {
                    enforcer.withheld = Some((breach.clock, why.kind()));
                    enforcer.give_verdict(breach, Outcome::Withheld, now);
                }
            }
            Remedy::Withdraw => {
                enforcer.doing = Doing::Withdraw {
                    canary: canary.clone(),
                    restore: target.exceeded,
                    stale_canary: stale,
                    stale_target: false,
                };
                return;
            }
            Remedy::Confirm => {
                enforcer.before = None;
                if let Some(verdict) = &mut enforcer.memory().verdict {
                    verdict.result = Outcome::Confirmed;
                }
            }
            // The evidence for the last resort is never there in this world, and its reports decide nothing.
            Remedy::None
            | Remedy::Await(_)
            | Remedy::Report(_)
            | Remedy::Hold(_)
            | Remedy::LastResort(_)
            | Remedy::FinishLastResort => {}
        }
        let pending = found.evaluation.pending;
        self.write_down_pending(setup, index, pending);
    }

    /// The next of the two writes.
    fn pull(&mut self, setup: &Setup, index: usize, doing: &Doing) {
        let now = self.now;
        let Doing::Pull {
            judged,
            breach,
            mut fail_checks,
            mut exceed,
            told,
            stale_canary,
            stale_target,
        } = *doing
        else {
            return;
        };
        let stale = if fail_checks { stale_canary } else { stale_target };
        if stale && setup.preconditions {
            // Refused. What was done already must not be forgotten, and everything is judged anew.
            let enforcer = &mut self.curfew[index];
            if told {
                enforcer.remember_told(breach, now);
            }
            enforcer.looked = false;
            self.write_down(setup, index);
            return;
        }
        self.truth.lever(&self.canary, fail_checks, stale_canary);
        if fail_checks {
            fail_checks = false;
            self.write_canary(setup.lag, |canary| canary.failed = THRESHOLD);
        } else {
            exceed = false;
            self.write_target(setup.lag, |target| target.exceeded = true);
        }
        self.curfew[index].doing = if exceed {
            Doing::Pull {
                judged,
                breach,
                fail_checks,
                exceed,
                told: true,
                stale_canary,
                stale_target,
            }
        } else {
            Doing::ReadBack { judged, breach }
        };
    }

    /// First the condition, then the count, each as it was.
    fn withdraw(&mut self, setup: &Setup, index: usize, doing: Doing) {
        let Doing::Withdraw {
            canary,
            restore,
            stale_canary,
            stale_target,
        } = doing
        else {
            return;
        };
        let count = self.curfew[index].before.map_or(Some(0), |before| before.failed);
        let count = count.filter(|_| canary.phase.can_roll_back() && canary.failed >= THRESHOLD);
        let stale = if restore {
            stale_target
        } else {
            count.is_some() && stale_canary
        };
        if stale && setup.preconditions {
            self.curfew[index].looked = false;
            self.write_down(setup, index);
            return;
        }
        if restore {
            self.write_target(setup.lag, |target| target.exceeded = false);
            self.curfew[index].doing = Doing::Withdraw {
                canary,
                restore: false,
                stale_canary,
                stale_target,
            };
            return;
        }
        if let Some(count) = count {
            self.write_canary(setup.lag, |canary| canary.failed = count);
        }
        let enforcer = &mut self.curfew[index];
        enforcer.before = None;
        if let Some(rollout) = &mut enforcer.memory().rollout {
            rollout.breach = None;
        }
        if let Some(verdict) = &mut enforcer.memory().verdict
            && verdict.result == Outcome::Requested
        {
            verdict.result = Outcome::Withheld;
        }
        self.write_down(setup, index);
    }

    fn write_down(&mut self, setup: &Setup, index: usize) {
        self.write_down_pending(setup, index, None);
    }

    /// Makes the Canary say what is remembered, at most once in a step unless it is a verdict.
    fn write_down_pending(&mut self, setup: &Setup, index: usize, pending: Option<Pending>) {
        if !setup.stamps {
            return;
        }
        let now = self.now;
        let enforcer = &mut self.curfew[index];
        let pending = pending.map(|pending| (pending.clock, pending.deadline));
        let wanted = enforcer.memory().annotations(pending);
        let notes: BTreeMap<_, _> = wanted
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect();
        let urgent = notes.get(VERDICT) != self.canary.notes.get(VERDICT);
        if notes != *self.canary.notes && (urgent || enforcer.noted != Some(now)) {
            enforcer.doing = Doing::Write(Arc::new(notes));
        }
    }
}

impl Found {
    fn is_another_rollout(&self, before: &Stamp) -> bool {
        let identity = |stamp: &Stamp| {
            stamp
                .rollout
                .as_ref()
                .map(|rollout| (rollout.promoted_since, rollout.revision.applied.clone()))
        };
        self.seen.running && identity(&self.stamp) != identity(before)
    }
}

/// The limits of the Canary: the readiness clock rolls back, and what would only be told is off.
fn limits(canary: &Canary, exempt: bool) -> Limits {
    let mut limits = Limits::of(canary, &EnforcementPolicy::default());
    limits.clocks.retain(|limit| limit.action != Action::Report);
    if exempt { limits.off() } else { limits }
}
