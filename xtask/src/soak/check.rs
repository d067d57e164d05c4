//! What Curfew did with one application, held against the truth. Pure.
//!
//! The facts are replayed in the order in which they were received, and time passes between them in small steps. A
//! verdict is seen where it takes effect: in the target's condition or the Canary's failed checks.

use std::collections::BTreeMap;

use super::{
    facts::{Canary, Fact, Seconds, Seen},
    faults::{self, Fault, Kind},
    truth::{Scene, Standing, Version, key},
};

/// How finely time passes.
const STEP: Seconds = 0.05;
/// How much later than its deadline a verdict may be handed over, faults apart.
pub const LATE: Seconds = 2.0;
/// Pods are listed when the target changes, and once in two seconds at most; so exits are found out that much later.
const POD_LISTS: Seconds = 2.0;
/// How soon after a change an act may still be about what was before it.
const RACE: Seconds = 1.0;
/// How long a fix that was pushed may wait to be taken up: one interval, and five seconds.
const TAKEN_UP: Seconds = 15.0;
/// Flagger looks every ten seconds; a busy machine may make it miss some.
const ROLLED_BACK: Seconds = 40.0;

/// What came of an application's rollouts.
#[derive(Debug, Default)]
pub struct Conduct {
    pub begun: usize,
    pub promoted: usize,
    /// Rolled back after a verdict, by its clock.
    pub by_curfew: BTreeMap<String, usize>,
    /// Flagger's own deadline was first.
    pub by_flagger: usize,
    /// A fix was taken up in mid-rollout.
    pub replaced: usize,
    /// Deleted, or still running at the end.
    pub open: usize,
    /// What truth cannot decide, and why.
    pub undecided: Vec<String>,
    /// How late each verdict was.
    pub lateness: Vec<Seconds>,
    pub violations: Vec<Violation>,
}

/// Something that must not have happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    pub at: Seconds,
    pub since: Seconds,
    pub what: Wrong,
    pub why: String,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Wrong {
    /// Nothing was breached.
    Unfounded,
    /// A rollout that breached was left alone.
    Missed,
    Late,
    /// A verdict was handed over, and the rollout went on.
    NotRolledBack,
    /// An act in a phase, or on an object, that is to be left alone.
    Forbidden,
}

/// Holds what was seen of one application against the truth.
pub fn check(seen: &[Seen], faults: &[Fault], end: Seconds) -> Conduct {
    let Some(first) = seen.first() else {
        return Conduct::default();
    };
    let mut checker = Checker::new(faults);
    let (mut now, mut next) = (first.at, 0);
    while now < end {
        while let Some(seen) = seen.get(next).filter(|seen| seen.at <= now) {
            checker.see(&seen.fact, now);
            next += 1;
        }
        let until = seen.get(next).map_or(end, |seen| seen.at.min(end));
        let step = (until - now).clamp(1e-3, STEP);
        checker.pass(now, step);
        now += step;
    }
    checker.finish(end);
    checker.conduct
}

struct Checker<'a> {
    faults: &'a [Fault],
    blind: Vec<(Seconds, Seconds)>,
    conduct: Conduct,
    scene: Scene,
    version: Option<Version>,
    account: Account,
    /// The rollout that was counted last.
    rollout: [String; 2],
    condemned: bool,
    phase_since: Seconds,
    pushed: Seconds,
    /// The deadline before the last edit, and when that was.
    deadline: (Seconds, Seconds),
    held_since: Seconds,
}

/// What Curfew owes to a version, and what it did.
#[derive(Debug, Default)]
struct Account {
    /// The verdict that is in Flagger's hands.
    verdict: Option<Seconds>,
    /// One was on the version before, and was there when this one began.
    inherited: bool,
    /// How often one was handed over.
    pulls: u32,
    /// When one became due, and for how long it has been.
    due: Option<Seconds>,
    overdue: Seconds,
    late: bool,
    /// When the truth last had a breach: with slack, and without.
    may_breach: Option<Seconds>,
    breach: Option<Seconds>,
    breached_for: Seconds,
    /// For how long Flagger could have rolled back.
    condemned_for: Seconds,
    told: bool,
}

// === impl Checker ===

impl<'a> Checker<'a> {
    fn new(faults: &'a [Fault]) -> Self {
        Self {
            faults,
            blind: faults::blind(faults),
            conduct: Conduct::default(),
            scene: Scene::default(),
            version: None,
            account: Account::default(),
            rollout: Default::default(),
            condemned: false,
            phase_since: 0.0,
            pushed: f64::NEG_INFINITY,
            deadline: (f64::INFINITY, f64::NEG_INFINITY),
            held_since: f64::INFINITY,
        }
    }

    fn see(&mut self, fact: &Fact, now: Seconds) {
        let is_blind = self.window(now).is_some();
        match fact {
            Fact::Canary(canary) => self.see_canary(canary, now),
            Fact::CanaryGone => {
                self.end("", "", now);
                self.scene.see(fact);
            }
            Fact::Target(target) => {
                if self
                    .scene
                    .target
                    .as_ref()
                    .is_some_and(|before| before.image != target.image)
                {
                    self.pushed = now;
                }
                self.scene.see(fact);
                if let Some(version) = &mut self.version {
                    version.see_target(target);
                }
            }
            Fact::Pod(name, pod) => {
                let before = self.scene.pods.get(name).map(|pod| pod.ready);
                self.scene.see(fact);
                if let Some(version) = &mut self.version {
                    version.see_pod(name, pod, is_blind, now);
                    if is_blind && before != Some(pod.ready) {
                        version.flip(now);
                    }
                }
            }
            Fact::TargetGone | Fact::Primary(_) | Fact::PrimaryGone | Fact::PodGone(_) => self.scene.see(fact),
        }
        let condemned = self.scene.is_condemned();
        match (self.condemned, condemned) {
            (false, true) => self.judge(now),
            // Taken back or written over: should it be due again, it is owed again.
            (true, false) => {
                self.account = Account {
                    pulls: self.account.pulls,
                    may_breach: self.account.may_breach,
                    breach: self.account.breach,
                    ..Account::default()
                };
            }
            (true, true) | (false, false) => {}
        }
        self.condemned = condemned;
    }

    fn see_canary(&mut self, canary: &Canary, now: Seconds) {
        let before = self.scene.canary.clone().unwrap_or_else(|| Canary {
            deadline: canary.deadline,
            ..Canary::default()
        });
        if canary.phase != before.phase {
            self.phase_since = now;
        }
        if canary.deadline.total_cmp(&before.deadline).is_ne() {
            self.deadline = (before.deadline, now);
            self.forgive(now);
            if let Some(version) = &mut self.version {
                version.edit(now);
            }
        }
        let is_held = |canary: &Canary| canary.suspended || canary.leaving;
        if is_held(canary) != is_held(&before) {
            self.held_since = if is_held(canary) { now } else { f64::INFINITY };
            self.forgive(now);
        }
        let is_same = self.version.as_ref().is_some_and(|version| version.key == key(canary));
        if !canary.can_fail() || !is_same {
            let became = if canary.can_fail() {
                "Progressing"
            } else {
                &canary.phase
            };
            self.end(became, &canary.verdict, now);
        }
        self.scene.see(&Fact::Canary(canary.clone()));
        if !canary.can_fail() {
            return;
        }
        if let Some(version) = &mut self.version {
            let advanced = version.see_canary(canary, &self.scene, now);
            if advanced {
                self.forgive(now);
            }
            return;
        }
        let rollout = [canary.uid.clone(), canary.rollout.clone()];
        self.conduct.begun += usize::from(rollout != self.rollout);
        self.rollout = rollout;
        // What was pushed at that very moment may or may not be what Flagger took up.
        let image = self.scene.target.as_ref().map(|target| target.image.clone());
        let image = image.filter(|_| now - self.pushed > RACE);
        self.version = Some(Version::begin(canary, &self.scene, image, now));
        self.account = Account {
            inherited: self.condemned,
            ..Account::default()
        };
    }

    /// A version ends: the Canary is in another phase now, or gone (no phase), or rolls out another one.
    fn end(&mut self, became: &str, verdict: &str, now: Seconds) {
        let Some(version) = self.version.take() else { return };
        let account = std::mem::take(&mut self.account);
        self.settle(&version, &account, now);
        match became {
            "Failed" if account.pulls > 0 => {
                let clock = verdict.split(' ').next().unwrap_or_default();
                *self.conduct.by_curfew.entry(clock.to_owned()).or_default() += 1;
            }
            "Failed" if account.inherited && self.condemned && account.may_breach.is_none() => {
                if self.excused(version.begun, now) > 0.0 {
                    self.undecided(now, "a fix failed by a verdict that could not be taken back in time");
                } else {
                    let why =
                        "a fix failed by the verdict on the version before it, which was not taken back".to_owned();
                    self.violation(Wrong::Unfounded, &version, now, why);
                }
            }
            "Failed" => self.conduct.by_flagger += 1,
            "Promoting" | "Finalising" | "Succeeded" => self.conduct.promoted += 1,
            "Progressing" => self.conduct.replaced += 1,
            _ => self.conduct.open += 1,
        }
    }

    /// What was owed is not owed any more; what was owed for too long was missed.
    fn forgive(&mut self, now: Seconds) {
        let Some(version) = self.version.take() else { return };
        let account = std::mem::take(&mut self.account);
        self.settle(&version, &account, now);
        self.account = Account {
            due: None,
            overdue: 0.0,
            late: false,
            breached_for: 0.0,
            ..account
        };
        self.version = Some(version);
    }

    /// What is owed at the end of a version, or of the soak.
    fn settle(&mut self, version: &Version, account: &Account, now: Seconds) {
        if account.verdict.is_some() {
            return;
        }
        let overdue = account.overdue;
        if account.late {
            let why = format!("a verdict was due for {overdue:.1} s, and there was none");
            self.violation(Wrong::Missed, version, now, why);
        } else if account.breached_for > LATE && overdue == 0.0 {
            self.undecided(now, "a breach that a hindered watcher need not have seen");
        }
    }

    /// A verdict was handed over.
    fn judge(&mut self, now: Seconds) {
        let late = self.account.late;
        let Some(version) = self.version.take() else {
            if now - self.phase_since > RACE + self.excused(self.phase_since, now) {
                let phase = self.scene.canary.as_ref().map_or("", |canary| canary.phase.as_str());
                let why = format!("a verdict in phase {phase:?}");
                self.conduct.violations.push(Violation {
                    at: now,
                    since: self.phase_since,
                    what: Wrong::Forbidden,
                    why,
                });
            }
            return;
        };
        // What was judged a moment ago takes effect now; through a bad network, later.
        let moment = |at: Option<Seconds>| at.is_some_and(|at| now - at <= RACE + LATE + self.excused(at, now));
        let (is_breach, may_breach) = (moment(self.account.breach), moment(self.account.may_breach));
        let spent = version.most;
        if !is_breach && may_breach {
            self.undecided(now, "a verdict within the rounding of its deadline");
        } else if !is_breach {
            let why = format!("a verdict after {spent:.1} s of unready time and no crash limit");
            self.violation(Wrong::Unfounded, &version, now, why);
        }
        if now - self.held_since > RACE + self.excused(self.held_since, now) {
            let why = "a verdict on a Canary that is suspended or being deleted".to_owned();
            self.violation(Wrong::Forbidden, &version, now, why);
        }
        let waits = now - self.pushed;
        let is_fixed = version.image.is_some() && !self.scene.is_synced(&version) && self.window(now).is_none();
        if is_fixed && waits > RACE && waits < TAKEN_UP {
            let why = format!("a verdict {waits:.1} s after a fix was pushed that Flagger has not looked at");
            self.violation(Wrong::Unfounded, &version, now, why);
        }
        if late {
            let why = format!("a verdict {:.1} s after it was due", self.account.overdue);
            self.violation(Wrong::Late, &version, now, why);
        }
        self.conduct.lateness.push(self.account.overdue);
        self.account = Account {
            verdict: Some(now),
            pulls: self.account.pulls + 1,
            may_breach: self.account.may_breach,
            breach: self.account.breach,
            ..Account::default()
        };
        self.version = Some(version);
    }

    fn pass(&mut self, now: Seconds, step: Seconds) {
        let window = self.window(now);
        let Some(mut version) = self.version.take() else { return };
        let is_started = |fault: &Fault| fault.kind.restarts_curfew() && (now..now + step).contains(&fault.end);
        if self.faults.iter().any(is_started) {
            version.restart();
        }
        version.pass(&self.scene, now, step, window);
        let deadline = self
            .scene
            .canary
            .as_ref()
            .map_or(f64::INFINITY, |canary| canary.deadline);
        self.note_breach(&version, deadline, now, step);
        let is_looked_at = version.standing != Standing::Frozen;
        let is_due = version.must_have_spent(deadline) || version.must_have_crashed();
        if self.condemned {
            self.note_rollback(&version, now, if is_looked_at { step } else { 0.0 });
        } else if is_due && is_looked_at && self.scene.is_synced(&version) {
            let due = *self.account.due.get_or_insert(now);
            self.account.overdue += step;
            self.account.late |= self.account.overdue > self.allowed(&version, due, now);
        }
        self.version = Some(version);
    }

    /// Notes when the truth had a breach. A deadline that was just edited may still be taken for what it was.
    fn note_breach(&mut self, version: &Version, deadline: Seconds, now: Seconds, step: Seconds) {
        let (before, edited) = self.deadline;
        let low = if now - edited < LATE {
            deadline.min(before)
        } else {
            deadline
        };
        let busy = self.faults.iter().filter(|fault| fault.kind == Kind::MachineBusy);
        let busy: Seconds = busy
            .filter(|fault| fault.end > version.begun && fault.start < now)
            .map(|fault| fault.end - fault.start)
            .sum();
        if version.has_spent(low - version.slack() - busy) || version.has_crashed() {
            self.account.may_breach = Some(now);
        }
        if version.has_spent(low - STEP) || version.has_crashed() {
            self.account.breach = Some(now);
            if self.scene.is_synced(version) && !self.condemned {
                self.account.breached_for += step;
            }
        }
    }

    fn note_rollback(&mut self, version: &Version, now: Seconds, step: Seconds) {
        let Some(verdict) = self.account.verdict else { return };
        self.account.condemned_for += step;
        let excused = faults::excused_flagger(self.faults, verdict, now);
        if self.account.condemned_for > ROLLED_BACK + excused && !self.account.told {
            self.account.told = true;
            let why = format!(
                "still {} s after the verdict Flagger has not rolled back",
                ROLLED_BACK + excused
            );
            self.violation(Wrong::NotRolledBack, version, now, why);
        }
    }

    /// How long a verdict may be overdue.
    fn allowed(&self, version: &Version, due: Seconds, now: Seconds) -> Seconds {
        // After a restart, a rollout that was not stamped yet is believed later.
        let is_unproven = self.faults.iter().any(|fault| {
            fault.kind.restarts_curfew()
                && (fault.start - faults::STAMPS_LAG..=fault.end + faults::UNPROVEN).contains(&version.begun)
        });
        // What something took away is put back after two seconds, and twice as long each time.
        let again = if self.account.pulls > 0 {
            2.0_f64.powi(i32::try_from(self.account.pulls.min(6)).unwrap_or(6))
        } else {
            0.0
        };
        LATE + self.excused(due, now)
            + again
            + if is_unproven { faults::UNPROVEN } else { 0.0 }
            + if version.must_have_crashed() { POD_LISTS } else { 0.0 }
    }

    fn finish(&mut self, end: Seconds) {
        self.end("", "", end);
    }

    fn window(&self, now: Seconds) -> Option<Seconds> {
        let window = self.blind.iter().find(|(start, end)| (*start..*end).contains(&now));
        window.map(|(start, _)| *start)
    }

    fn excused(&self, due: Seconds, now: Seconds) -> Seconds {
        faults::excused(self.faults, due, now)
    }

    fn undecided(&mut self, now: Seconds, why: &str) {
        self.conduct.undecided.push(format!("{now:.2}: {why}"));
    }

    fn violation(&mut self, what: Wrong, version: &Version, now: Seconds, why: String) {
        self.conduct.violations.push(Violation {
            at: now,
            since: version.begun,
            what,
            why,
        });
    }
}

#[cfg(test)]
#[path = "check_test.rs"]
mod tests;
