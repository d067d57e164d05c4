//! Faults: what was broken, from when to when, and what of it excuses whom. Pure.

use super::facts::Seconds;

/// The lease is 15 s, and whoever wants it looks every 2 s: a Curfew that was killed has not given it back.
const LEASE: Seconds = 17.0;

/// Stamps are written once in ten seconds at most, and not at once: what was so shortly before is not known after a restart.
pub const STAMPS_LAG: Seconds = 12.0;

/// A rollout that is found running without a stamp is believed one interval, and five seconds, later.
pub const UNPROVEN: Seconds = 15.0;

/// What was broken.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// SIGKILL, and started again.
    CurfewKilled,
    /// SIGTERM, and started again.
    CurfewRestarted,
    /// SIGSTOP for some seconds.
    CurfewStopped,
    FlaggerRestarted,
    ControllersStopped,
    ApiServerStopped,
    /// Between Curfew and the API server: everything comes later.
    NetworkSlow,
    /// Between Curfew and the API server: nothing comes.
    NetworkCut,
    /// Between Curfew and the API server: connections are closed.
    NetworkRefused,
    /// Nobody did that: this machine did not let its processes run for a while.
    MachineBusy,
    /// Nobody did that either: the API server took long to answer the admin.
    ApiServerSlow,
}

/// Something that was broken for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    pub kind: Kind,
    pub start: Seconds,
    /// When it was fixed; a Curfew: when it was ready again.
    pub end: Seconds,
}

// === impl Kind ===

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::CurfewKilled => "Curfew killed",
            Self::CurfewRestarted => "Curfew restarted",
            Self::CurfewStopped => "Curfew stopped",
            Self::FlaggerRestarted => "Flagger restarted",
            Self::ControllersStopped => "controllers stopped",
            Self::ApiServerStopped => "API server stopped",
            Self::NetworkSlow => "network slow",
            Self::NetworkCut => "network cut",
            Self::NetworkRefused => "connections refused",
            Self::MachineBusy => "machine busy",
            Self::ApiServerSlow => "API server slow",
        }
    }

    /// Whether Curfew forgot what it had not written down.
    pub const fn restarts_curfew(self) -> bool {
        matches!(self, Self::CurfewKilled | Self::CurfewRestarted)
    }

    /// Whether it hinders Curfew, and not only Flagger or the controllers.
    const fn hinders_curfew(self) -> bool {
        match self {
            Self::CurfewKilled
            | Self::CurfewRestarted
            | Self::CurfewStopped
            | Self::ApiServerStopped
            | Self::NetworkSlow
            | Self::NetworkCut
            | Self::NetworkRefused
            | Self::MachineBusy
            | Self::ApiServerSlow => true,
            Self::FlaggerRestarted | Self::ControllersStopped => false,
        }
    }
}

// === impl Fault ===

impl Fault {
    /// The end of what it does by itself: for a Curfew that was killed, the lease must run out.
    fn over(&self) -> Seconds {
        match self.kind {
            Kind::CurfewKilled => self.end + LEASE,
            _ => self.end,
        }
    }

    fn length(&self) -> Seconds {
        self.over() - self.start
    }

    /// Until when it is felt: recovery takes as long as the fault did, at the most. One who starts anew has nothing to
    /// recover from.
    fn felt_until(&self) -> Seconds {
        if self.kind.restarts_curfew() {
            self.over()
        } else {
            self.over() + self.length()
        }
    }

    /// While what happens may be seen late, or not at all.
    pub fn blind(&self) -> Option<(Seconds, Seconds)> {
        let start = if self.kind.restarts_curfew() {
            self.start - STAMPS_LAG
        } else {
            self.start
        };
        self.kind.hinders_curfew().then(|| (start, self.felt_until()))
    }
}

/// When Curfew may be blind: merged, in order.
pub fn blind(faults: &[Fault]) -> Vec<(Seconds, Seconds)> {
    merged(faults.iter().filter_map(Fault::blind))
}

/// How much later than it was due at `due` something may be done at `now`: as long as what hindered Curfew lasted, counted
/// once where it overlaps.
pub fn excused(faults: &[Fault], due: Seconds, now: Seconds) -> Seconds {
    hindrance(faults.iter().filter(|fault| fault.kind.hinders_curfew()), due, now)
}

/// The same for Flagger's part, which everything hinders.
pub fn excused_flagger(faults: &[Fault], due: Seconds, now: Seconds) -> Seconds {
    hindrance(faults.iter(), due, now)
}

fn hindrance<'a>(faults: impl Iterator<Item = &'a Fault>, due: Seconds, now: Seconds) -> Seconds {
    let felt = faults.filter(|fault| fault.start <= now && fault.felt_until() >= due);
    merged(felt.map(|fault| (fault.start, fault.over())))
        .into_iter()
        .map(|(start, end)| end - start)
        .sum()
}

fn merged(spans: impl Iterator<Item = (Seconds, Seconds)>) -> Vec<(Seconds, Seconds)> {
    let mut spans: Vec<_> = spans.collect();
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut merged: Vec<(Seconds, Seconds)> = Vec::new();
    for (start, end) in spans {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: Kind, start: Seconds, end: Seconds) -> Fault {
        Fault { kind, start, end }
    }

    #[test]
    fn a_fault_excuses_its_own_length_and_no_more() {
        let faults = [fault(Kind::NetworkCut, 10.0, 16.0)];
        assert_eq!(excused(&faults, 12.0, 18.0), 6.0);
        // It is felt as long again as it lasted.
        assert_eq!(excused(&faults, 21.9, 30.0), 6.0);
        assert_eq!(excused(&faults, 22.1, 30.0), 0.0);
        assert_eq!(excused(&faults, 5.0, 9.0), 0.0);
    }

    #[test]
    fn faults_at_the_same_time_count_once() {
        let faults = [
            fault(Kind::NetworkCut, 10.0, 16.0),
            fault(Kind::MachineBusy, 12.0, 18.0),
        ];
        assert_eq!(excused(&faults, 12.0, 18.0), 8.0);
    }

    #[test]
    fn what_hinders_only_flagger_is_no_excuse_for_curfew() {
        let faults = [fault(Kind::FlaggerRestarted, 10.0, 16.0)];
        assert_eq!(excused(&faults, 12.0, 18.0), 0.0);
        assert_eq!(excused_flagger(&faults, 12.0, 18.0), 6.0);
        assert_eq!(blind(&faults), []);
    }

    #[test]
    fn after_a_kill_the_lease_must_run_out() {
        let killed = [fault(Kind::CurfewKilled, 10.0, 13.0)];
        assert_eq!(excused(&killed, 12.0, 18.0), 20.0);
        let asked = [fault(Kind::CurfewRestarted, 10.0, 13.0)];
        assert_eq!(excused(&asked, 12.0, 18.0), 3.0);
    }

    #[test]
    fn what_was_not_stamped_before_a_restart_is_not_known() {
        let faults = [
            fault(Kind::CurfewRestarted, 20.0, 23.0),
            fault(Kind::NetworkSlow, 40.0, 42.0),
        ];
        assert_eq!(blind(&faults), [(8.0, 23.0), (40.0, 44.0)]);
    }
}
