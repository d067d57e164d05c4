//! Whatever else happens, each so many times at most: what users, pods, gates and the Deployment controller do, and
//! what is done to the enforcers.

use crate::{
    enforcer::{Doing, Enforcer},
    world::{Event, Setup, World},
};

/// How often each of the things may yet happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Left {
    /// A user pushes another template.
    pub pushes: u8,
    /// A user gives the rollout a longer deadline.
    pub longer_deadlines: u8,
    /// A user suspends the Canary; resuming it is free.
    pub suspensions: u8,
    /// A user deletes the Canary, which waits for its finalizer.
    pub deletions: u8,
    /// An admin exempts the Canary.
    pub exemptions: u8,
    /// The pods get ready.
    pub rises: u8,
    /// One of them gets unready.
    pub falls: u8,
    /// The primary gets unready; ready again is free.
    pub primary_falls: u8,
    /// The gates open or close. They begin open if they never do.
    pub gates: u8,
    /// A hook holds a tick.
    pub holds: u8,
    /// A hook or a metric fails a check.
    pub failing_checks: u8,
    /// The Deployment controller writes its own condition over ours.
    pub resets: u8,
    /// An enforcer is killed and another starts in its place, wherever it was.
    pub restarts: u8,
    /// The leading enforcer is stopped between two of its writes; going on is free.
    pub pauses: u8,
    /// The world's trouble begins; its end is free.
    pub troubles: u8,
}

/// One of these things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deed {
    Push,
    LongerDeadline,
    Suspend,
    Resume,
    Delete,
    Exempt,
    Rise,
    Fall,
    PrimaryFalls,
    PrimaryRises,
    Gates,
    Reset,
    Restart,
    Pause,
    GoOn(usize),
    Trouble,
    TroubleEnds,
}

impl World {
    /// What of these may happen now.
    pub fn deeds(&self, events: &mut Vec<Event>) {
        let (left, target, gone) = (&self.left, &self.target, self.canary.deleted);
        let pods = target.up && target.observed;
        let busy = self.is_led() && self.curfew[self.leader].doing.writes();
        let deeds = [
            (Deed::Push, left.pushes > 0),
            (Deed::LongerDeadline, left.longer_deadlines > 0),
            (Deed::Suspend, left.suspensions > 0 && !self.canary.suspended),
            (Deed::Resume, self.canary.suspended),
            (Deed::Delete, left.deletions > 0 && !gone),
            (Deed::Exempt, left.exemptions > 0 && !self.exempt),
            (Deed::Rise, left.rises > 0 && pods && !target.ready),
            (Deed::Fall, left.falls > 0 && pods && target.ready),
            (Deed::PrimaryFalls, left.primary_falls > 0 && self.primary_ready),
            (Deed::PrimaryRises, !self.primary_ready),
            (Deed::Gates, left.gates > 0),
            (Deed::Reset, left.resets > 0 && target.exceeded),
            (Deed::Restart, left.restarts > 0),
            (Deed::Pause, left.pauses > 0 && busy),
            (Deed::Trouble, left.troubles > 0 && !self.troubled),
            (Deed::TroubleEnds, self.troubled),
        ];
        let possible = deeds.into_iter().filter(|(_, possible)| *possible);
        events.extend(possible.map(|(deed, _)| Event::Deed(deed)));
        let paused = self.curfew.iter().enumerate().filter(|(_, enforcer)| enforcer.paused);
        events.extend(paused.map(|(index, _)| Event::Deed(Deed::GoOn(index))));
    }

    pub fn deed(&mut self, setup: &Setup, deed: Deed) {
        let (now, lag, leader) = (self.now, setup.lag, self.leader);
        match deed {
            Deed::Push => {
                self.left.pushes -= 1;
                self.write_target(lag, |target| {
                    target.template += 1;
                    target.observed = false;
                    target.ready = false;
                    target.since = now;
                });
            }
            Deed::LongerDeadline => {
                self.left.longer_deadlines -= 1;
                self.write_canary(lag, |canary| canary.deadline *= 2);
            }
            Deed::Suspend => {
                self.left.suspensions -= 1;
                self.truth.held();
                self.write_canary(lag, |canary| canary.suspended = true);
            }
            Deed::Resume => self.write_canary(lag, |canary| canary.suspended = false),
            Deed::Delete => {
                self.left.deletions -= 1;
                self.write_canary(lag, |canary| canary.deleted = true);
            }
            Deed::Exempt => {
                self.left.exemptions -= 1;
                self.exempt = true;
                self.wake_all();
            }
            Deed::Rise => {
                self.left.rises -= 1;
                self.write_target(lag, |target| (target.ready, target.since) = (true, now));
            }
            Deed::Fall => {
                self.left.falls -= 1;
                self.write_target(lag, |target| (target.ready, target.since) = (false, now));
            }
            Deed::PrimaryFalls => {
                self.left.primary_falls -= 1;
                self.primary_ready = false;
                self.wake_all();
            }
            Deed::PrimaryRises => {
                self.primary_ready = true;
                self.wake_all();
            }
            Deed::Gates => {
                self.left.gates -= 1;
                self.gates_open = !self.gates_open;
            }
            Deed::Reset => {
                self.left.resets -= 1;
                self.write_target(lag, |target| target.exceeded = false);
            }
            Deed::Restart => {
                self.left.restarts -= 1;
                self.curfew[leader] = Enforcer::default();
            }
            Deed::Pause => {
                self.left.pauses -= 1;
                self.curfew[leader].paused = true;
            }
            Deed::Trouble => {
                self.left.troubles -= 1;
                self.troubled = true;
                self.wake_all();
            }
            Deed::TroubleEnds => {
                self.troubled = false;
                self.trouble_ended = Some(now);
                self.wake_all();
            }
            Deed::GoOn(index) => {
                self.curfew[index].paused = false;
                if index != leader && self.curfew[index].doing == Doing::Nothing {
                    self.curfew[index] = Enforcer::default();
                }
            }
        }
    }
}
