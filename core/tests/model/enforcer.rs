//! Curfew's enforcers: what each remembers, what it sees, and where in its work it is.

use std::{collections::BTreeMap, sync::Arc};

use curfew_core::rollout::{
    Clock,
    breach::Breach,
    guard::GuardKind,
    stamp::{Stamp, requested},
    verdict::{Outcome, RemedyName, Ruling, Verdict},
};

use crate::cluster::{CanaryState, TargetState, at};

/// One enforcer: what it remembers, what it sees, and where in its work it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Enforcer {
    /// Its stamp; none: it has just begun, and reads what stands on the Canary.
    pub stamp: Option<Stamp>,
    /// What the levers found.
    pub before: Option<Before>,
    pub withheld: Option<(Clock, GuardKind)>,
    /// The step at which it last wrote annotations.
    pub noted: Option<u8>,
    pub doing: Doing,
    /// Whether it has looked since anything changed that it sees.
    pub looked: bool,
    /// What the watches still show, where that is not what there is.
    pub old_canary: Option<CanaryState>,
    pub old_target: Option<TargetState>,
    /// Whether it has read something newer than the watch shows.
    pub ahead: bool,
    pub paused: bool,
}

/// What the levers found before they moved anything: the count of failed checks, if that one was moved. The condition
/// never stood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Before {
    pub failed: Option<u8>,
}

/// Where an enforcer is between two requests. What was read and changed since is stale.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Doing {
    #[default]
    Nothing,
    /// The Canary was read to judge it; the target comes next.
    Read { canary: CanaryState, stale: bool },
    /// The levers are being pulled.
    Pull {
        judged: u8,
        breach: Breach,
        fail_checks: bool,
        exceed: bool,
        told: bool,
        stale_canary: bool,
        stale_target: bool,
    },
    /// The levers are there; the Canary is read once more.
    ReadBack { judged: u8, breach: Breach },
    /// The Canary was read to take the levers back; the target comes next.
    ReadToWithdraw { canary: CanaryState, stale: bool },
    /// The levers are being taken back.
    Withdraw {
        canary: CanaryState,
        restore: bool,
        stale_canary: bool,
        stale_target: bool,
    },
    /// The stamp is to be written.
    Write(Arc<BTreeMap<&'static str, String>>),
}

// === impl Doing ===

impl Doing {
    /// Whether it is about to write, or has just written.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Pull { .. } | Self::ReadBack { .. } | Self::Write(_))
    }
}

// === impl Enforcer ===

impl Enforcer {
    pub fn can_act(&self, leads: bool) -> bool {
        let busy = self.doing != Doing::Nothing;
        !self.paused && (busy || (leads && !self.looked && !self.waits_for_watch()))
    }

    /// Whether it has nothing left to do.
    pub fn is_up_to_date(&self) -> bool {
        self.looked && self.old_canary.is_none() && self.old_target.is_none()
    }

    fn waits_for_watch(&self) -> bool {
        self.ahead && self.old_canary.is_some()
    }

    pub fn canary_changed(&mut self, before: &CanaryState, lag: bool) {
        match &mut self.doing {
            Doing::Read { stale, .. } | Doing::ReadToWithdraw { stale, .. } => *stale = true,
            Doing::Pull { stale_canary, .. } | Doing::Withdraw { stale_canary, .. } => *stale_canary = true,
            Doing::Nothing | Doing::ReadBack { .. } | Doing::Write(_) => {}
        }
        if lag {
            self.old_canary.get_or_insert_with(|| before.clone());
        } else {
            self.looked = false;
        }
    }

    pub fn target_changed(&mut self, before: &TargetState, lag: bool) {
        match &mut self.doing {
            Doing::Pull { stale_target, .. } | Doing::Withdraw { stale_target, .. } => *stale_target = true,
            Doing::Nothing
            | Doing::Read { .. }
            | Doing::ReadToWithdraw { .. }
            | Doing::ReadBack { .. }
            | Doing::Write(_) => {}
        }
        if lag {
            self.old_target.get_or_insert_with(|| before.clone());
        } else {
            self.looked = false;
        }
    }

    pub fn show_canary(&mut self) {
        self.old_canary = None;
        self.ahead = false;
        self.looked = false;
    }

    pub fn show_target(&mut self) {
        self.old_target = None;
        self.looked = false;
    }

    pub fn memory(&mut self) -> &mut Stamp {
        self.stamp.get_or_insert_default()
    }

    pub fn give_verdict(&mut self, breach: Breach, result: Outcome, now: u8) {
        let stamp = self.memory();
        let revision = stamp.rollout.as_ref().map(|rollout| rollout.revision.to_string());
        stamp.verdict = Some(Verdict::new(
            at(now),
            revision.unwrap_or_default(),
            Ruling {
                breach,
                remedy: RemedyName::Rollback,
                result,
                reason: String::new(),
            },
        ));
    }

    /// Flagger has been told something: that must not be forgotten.
    pub fn remember_told(&mut self, breach: Breach, now: u8) {
        if !requested(self.memory()) {
            self.give_verdict(breach, Outcome::Requested, now);
        }
    }
}
