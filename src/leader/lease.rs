//! Who leads: client-go's algorithm on a Lease, decided without a client and without a clock.
//!
//! What the Lease says is a [`Record`]. Nobody believes the times in it, which another machine's clock wrote: an
//! [`Elector`] notes when it saw the record change, by its own monotonic clock, and a record that has not changed for as
//! long as its holder promised has expired. [`step`] says what to do about a record, the elector keeps what it found and
//! what it wrote. [`super::election`] reads and writes.
//!
//! Where client-go (`tools/leaderelection/leaderelection.go`, v0.36.3) leaves room, this is the stricter: a renewal counts
//! from when it was *asked* for, not from its answer, and a record without a duration counts as one with ours. So nobody
//! leads longer than [`RENEW_DEADLINE`] after it asked, and nobody takes over sooner than the holder's duration after that.

use std::time::Duration;

use jiff::Timestamp;

/// How long the others wait for a leader that does not renew: client-go's default for core components.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long a leader that cannot renew leads on: client-go's default.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How long everybody waits between two tries: client-go's default. Its jitter, made for hundreds, is left out.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// What a Lease says; a missing field is as its zero, as client-go reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Record {
    /// Who holds it; nobody when empty.
    pub holder: String,
    /// How long its holder wants to be waited for, in seconds.
    pub duration_seconds: i32,
    /// How often it went from one holder to another.
    pub transitions: i32,
    /// Since when its holder has it, by the holder's clock.
    pub acquired: Option<Timestamp>,
    /// When its holder last renewed it, by the holder's clock.
    pub renewed: Option<Timestamp>,
}

/// A moment, by both clocks of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Moment {
    /// Since this process began, by the clock that never jumps: what is decided by.
    pub elapsed: Duration,
    /// What is written for people to read.
    pub wall: Timestamp,
}

/// A record, and since when it is known to be so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Observed {
    /// What it says.
    pub record: Record,
    /// When it was first seen so, since this process began.
    pub since: Duration,
}

/// What to do about a Lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// There is none: create it with this.
    Create(Record),
    /// Another holds it.
    Wait,
    /// Nobody holds it any more: write this.
    Take(Record),
    /// It is ours: write this.
    Renew(Record),
}

/// One that wants to lead, and what it knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Elector {
    me: String,
    observed: Option<Observed>,
    /// Until when it leads, since this process began.
    leads_until: Option<Duration>,
}

/// What `me` should do about a Lease that says this, or that is not there.
#[must_use]
pub fn step(observed: Option<&Observed>, me: &str, now: Moment) -> Step {
    let fresh = |transitions| Record {
        holder: me.to_owned(),
        duration_seconds: seconds(LEASE_DURATION),
        transitions,
        acquired: Some(now.wall),
        renewed: Some(now.wall),
    };
    let Some(Observed { record, .. }) = observed else {
        return Step::Create(fresh(0));
    };
    if record.holder == me {
        return Step::Renew(Record {
            acquired: record.acquired.or(Some(now.wall)),
            ..fresh(record.transitions)
        });
    }
    let is_held = !record.holder.is_empty() && !observed.is_some_and(|observed| observed.is_expired(now));
    if is_held {
        Step::Wait
    } else {
        Step::Take(fresh(record.transitions.saturating_add(1)))
    }
}

// === impl Record ===

impl Record {
    /// What client-go leaves behind when it gives a Lease up: nobody holds it, and it is soon over.
    #[must_use]
    pub fn released(&self, now: Moment) -> Self {
        Self {
            holder: String::new(),
            duration_seconds: 1,
            transitions: self.transitions,
            acquired: Some(now.wall),
            renewed: Some(now.wall),
        }
    }

    /// How long its holder wants to be waited for. One that does not say so (somebody edited the Lease) may well go on
    /// leading for as long as we would.
    fn duration(&self) -> Duration {
        match u64::try_from(self.duration_seconds) {
            Ok(seconds) if seconds > 0 => Duration::from_secs(seconds),
            Ok(_) | Err(_) => LEASE_DURATION,
        }
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

// === impl Observed ===

impl Observed {
    fn is_expired(&self, now: Moment) -> bool {
        now.elapsed >= self.since.saturating_add(self.record.duration())
    }
}

// === impl Elector ===

impl Elector {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(me: String) -> Self {
        Self {
            me,
            observed: None,
            leads_until: None,
        }
    }

    /// Notes what the Lease says, or that there is none, and answers what to do.
    #[must_use]
    pub fn found(&mut self, record: Option<Record>, now: Moment) -> Step {
        self.observed = record.map(|record| match self.observed.take() {
            Some(observed) if observed.record == record => observed,
            Some(_) | None => Observed {
                record,
                since: now.elapsed,
            },
        });
        let step = step(self.observed.as_ref(), &self.me, now);
        // Whose Lease was taken, emptied or deleted leads no more until it has it again: others may have seen that too.
        if !matches!(step, Step::Renew(_)) {
            self.leads_until = None;
        }
        step
    }

    /// What to write without reading first: a leader takes what it last wrote for what the Lease says.
    #[must_use]
    pub fn renewal(&self, now: Moment) -> Option<Record> {
        match step(self.observed.as_ref(), &self.me, now) {
            Step::Renew(record) if self.leads(now) => Some(record),
            Step::Renew(_) | Step::Create(_) | Step::Wait | Step::Take(_) => None,
        }
    }

    /// Notes that the Lease was written so, as it was asked for at that moment.
    pub fn wrote(&mut self, record: Record, asked: Moment) {
        self.observed = Some(Observed {
            record,
            since: asked.elapsed,
        });
        self.leads_until = Some(asked.elapsed.saturating_add(RENEW_DEADLINE));
    }

    /// Whether it leads.
    #[must_use]
    pub fn leads(&self, now: Moment) -> bool {
        self.leads_until.is_some_and(|until| now.elapsed < until)
    }

    /// How much longer it leads without a renewal.
    #[must_use]
    pub fn remaining(&self, now: Moment) -> Option<Duration> {
        self.leads_until.and_then(|until| until.checked_sub(now.elapsed))
    }

    /// Leads no more, whatever the Lease says.
    pub fn resign(&mut self) {
        self.leads_until = None;
    }

    /// Who holds the Lease, as far as is known.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        let holder = self.observed.as_ref().map(|observed| observed.record.holder.as_str());
        holder.filter(|holder| !holder.is_empty())
    }
}

#[cfg(test)]
#[path = "lease_test.rs"]
mod tests;
