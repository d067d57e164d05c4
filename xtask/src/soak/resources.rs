//! Curfew's memory and open files, as the kernel counts them.

use std::time::Duration;

use testbed::{Component, Plane};

use super::{facts::Seconds, record::Record};

/// How often they are looked at.
const EVERY: Duration = Duration::from_secs(2);
/// How long a fresh process fills its caches and connections.
pub const WARM_UP: Seconds = 20.0;
/// How much the resident memory may grow after that. The allocator keeps what a burst of rollouts needed once, and
/// debug builds are wasteful; a leak goes on and passes this.
const MEMORY: u64 = 12 * 1024;
/// How many more files may be open. Each rollout that is looked after has a connection while it asks, and idle ones are
/// kept for 90 s (hyper's pool); two dozen rollouts go on at once, and the API server has some to the webhook. A file that
/// is lost with every fault or every rollout passes this soon.
const FILES: u64 = 32;

/// The middle of so many looks is no accident.
const LOOKS: usize = 5;

/// One look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub at: Seconds,
    pub pid: u32,
    /// Resident memory, KiB.
    pub memory: u64,
    pub files: u64,
}

/// What the last process had after its warm-up, and at the end: each the middle of some looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    pub warm: Sample,
    pub end: Sample,
}

/// Looks for as long as nobody drops it.
pub async fn watch(plane: &Plane, record: &Record, samples: &mut Vec<Sample>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let pids = plane.describe().map(|description| description.pids).unwrap_or_default();
        if let Some(pid) = pids.get(Component::Curfew.name()) {
            samples.extend(look(*pid, record.now()));
        }
    }
}

fn look(pid: u32, at: Seconds) -> Option<Sample> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    Some(Sample {
        at,
        pid,
        memory: resident(&status)?,
        files: u64::try_from(files).ok()?,
    })
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

// === impl Growth ===

impl Growth {
    /// Of the process that ran last; none if it did not run for long enough.
    pub fn of(samples: &[Sample]) -> Option<Self> {
        let last = samples.last()?.pid;
        let own: Vec<_> = samples.iter().filter(|sample| sample.pid == last).copied().collect();
        let warm_at = own.first()?.at + WARM_UP;
        let warm: Vec<_> = own.into_iter().filter(|sample| sample.at >= warm_at).collect();
        if warm.len() < 2 * LOOKS {
            return None;
        }
        Some(Self {
            warm: middle(&warm[..LOOKS])?,
            end: middle(&warm[warm.len() - LOOKS..])?,
        })
    }

    /// Why it is too much, if it is.
    pub fn complaint(&self) -> Option<String> {
        let Self { warm, end } = self;
        let grown = |what: &str, from: u64, to: u64, allowed: u64, unit: &str| {
            (to > from + allowed)
                .then(|| format!("{what} grew from {from} to {to}{unit}, by more than {allowed}{unit}"))
        };
        grown("resident memory", warm.memory, end.memory, MEMORY, " KiB")
            .or_else(|| grown("open files", warm.files, end.files, FILES, ""))
    }
}

fn middle(samples: &[Sample]) -> Option<Sample> {
    let of = |value: fn(&Sample) -> u64| {
        let mut values: Vec<_> = samples.iter().map(value).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    };
    Some(Sample {
        memory: of(|sample| sample.memory)?,
        files: of(|sample| sample.files)?,
        ..*samples.first()?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(pid: u32, memory: impl Fn(u32) -> u64, files: u64) -> Vec<Sample> {
        let sample = |index| Sample {
            at: f64::from(index) * 2.0,
            pid,
            memory: memory(index),
            files,
        };
        (0..60).map(sample).collect()
    }

    #[test]
    fn what_a_process_needs_to_warm_up_is_no_growth() {
        let warming = samples(1, |index| if index < 10 { 1000 * u64::from(index) } else { 40_000 }, 20);
        let growth = Growth::of(&warming).expect("enough looks");
        assert_eq!((growth.warm.memory, growth.end.memory), (40_000, 40_000));
        assert_eq!(growth.complaint(), None);
    }

    #[test]
    fn a_leak_is_found() {
        let leaking = samples(1, |index| 40_000 + 400 * u64::from(index), 20);
        let complaint = Growth::of(&leaking).expect("enough looks").complaint();
        assert!(complaint.is_some_and(|complaint| complaint.contains("resident memory grew from")));
        let mut files = samples(1, |_| 40_000, 20);
        for sample in &mut files[40..] {
            sample.files = 60;
        }
        let complaint = Growth::of(&files).expect("enough looks").complaint();
        assert_eq!(
            complaint.as_deref(),
            Some("open files grew from 20 to 60, by more than 32")
        );
    }

    #[test]
    fn only_the_last_process_counts_and_only_if_it_ran_for_long() {
        let mut both = samples(1, |_| 10_000, 20);
        both.extend(samples(2, |_| 40_000, 20));
        assert_eq!(Growth::of(&both).map(|growth| growth.warm.memory), Some(40_000));
        both.truncate(65);
        assert_eq!(Growth::of(&both), None);
    }

    #[test]
    fn the_kernel_is_read() {
        assert_eq!(resident("Name:\tcurfew\nVmRSS:\t   31244 kB\n"), Some(31_244));
        assert_eq!(resident("Name:\tcurfew\n"), None);
    }
}
