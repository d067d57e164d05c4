//! Leadership: of several Curfews one writes.
//!
//! The rules are client-go's (`tools/leaderelection`): a lease is judged by when *we* saw it change, on a clock that
//! nobody sets, never by the times that stand in it. They are decided by [`step`], a function of what was observed. The
//! lease saves work; what keeps two writers apart are the preconditions of their writes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tokio::sync::watch;

use super::{ask, clock};

/// The name of the lease.
const NAME: &str = "curfew";
/// How long a leader that says nothing more is believed to be there.
pub const LEASE: Duration = Duration::from_secs(15);
/// How long a leader that cannot renew goes on leading: less than others wait for it.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often a leader renews, and others look.
pub const RETRY: Duration = Duration::from_secs(2);

/// What a lease says, as far as it matters who leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Record {
    /// Who leads; empty after a release.
    pub holder: String,
    /// How long the holder asked to be believed.
    pub duration: Duration,
    /// A text that changes whenever the lease is written.
    pub version: String,
}

/// A lease as we saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Observed {
    /// What it said; nothing while there is none.
    pub record: Option<Record>,
    /// When we first saw it say so, on our own clock.
    pub since: Duration,
}

/// What to do about the lease now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Make it, in our name.
    Create,
    /// It is free or abandoned: take it.
    Take,
    /// It is ours: renew it.
    Renew,
    /// Somebody else leads.
    Follow,
}

/// What to do about a lease, seen by `me` at `now` on our own clock.
#[must_use]
pub fn step(me: &str, observed: &Observed, now: Duration) -> Step {
    match &observed.record {
        None => Step::Create,
        Some(record) if record.holder == me => Step::Renew,
        Some(record) if record.holder.is_empty() => Step::Take,
        Some(record) if now.saturating_sub(observed.since) >= record.duration => Step::Take,
        Some(_) => Step::Follow,
    }
}

// === impl Observed ===

impl Observed {
    /// Looks at the lease again: time runs from when it last changed.
    #[must_use]
    pub fn look(self, record: Option<Record>, now: Duration) -> Self {
        if record == self.record {
            self
        } else {
            Self { record, since: now }
        }
    }
}

/// Whether we lead, for those who are about to write.
#[derive(Clone, Debug)]
pub struct Leadership {
    begun: Instant,
    until: Arc<AtomicU64>,
}

// === impl Leadership ===

impl Default for Leadership {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            until: Arc::default(),
        }
    }
}

impl Leadership {
    /// Whether we lead at this moment. A leader that could not renew in time does not, whatever the lease says.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.now() < Duration::from_millis(self.until.load(Ordering::Acquire))
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn renewed_at(&self, when: Duration) {
        let until = u64::try_from((when + RENEW_DEADLINE).as_millis()).unwrap_or(u64::MAX);
        self.until.store(until, Ordering::Release);
    }

    fn lost(&self) {
        self.until.store(0, Ordering::Release);
    }
}

/// A candidate for leadership.
pub struct Candidate {
    leases: Api<Lease>,
    me: String,
    leadership: Leadership,
    elected: watch::Sender<bool>,
}

// === impl Candidate ===

impl Candidate {
    /// A candidate under a name that nobody else has.
    #[must_use]
    pub fn new(client: Client, namespace: &str, me: String, leadership: Leadership) -> (Self, watch::Receiver<bool>) {
        let (elected, changes) = watch::channel(false);
        (
            Self {
                leases: Api::namespaced(client, namespace),
                me,
                leadership,
                elected,
            },
            changes,
        )
    }

    /// Takes the lease whenever it may, and keeps it, until `stop` comes; then releases it.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut observed = Observed::default();
        let mut ours = None;
        tokio::pin!(stop);
        loop {
            if let Err(error) = self.attempt(&mut observed, &mut ours).await {
                tracing::warn!(%error, "the lease could not be looked after; trying again");
            }
            self.tell();
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = &mut stop => break,
            }
        }
        self.leadership.lost();
        self.tell();
        if let Some(lease) = ours {
            self.release(lease).await;
        }
    }

    async fn attempt(&self, observed: &mut Observed, ours: &mut Option<Lease>) -> Result<(), super::Error> {
        let stored = ask("read the lease", self.leases.get_opt(NAME)).await?;
        let now = self.leadership.now();
        *observed = std::mem::take(observed).look(stored.as_ref().map(record), now);
        let written = match (step(&self.me, observed, now), stored) {
            (Step::Follow, _) => {
                self.leadership.lost();
                *ours = None;
                return Ok(());
            }
            (Step::Renew, Some(lease)) => self.write(lease, false).await,
            (Step::Take, Some(lease)) => self.write(lease, true).await,
            (Step::Create | Step::Renew | Step::Take, _) => self.create().await,
        };
        match written {
            Ok(lease) => {
                // From before the request: that is when others may have begun to wait.
                self.leadership.renewed_at(now);
                *observed = std::mem::take(observed).look(Some(record(&lease)), now);
                *ours = Some(lease);
                Ok(())
            }
            // Somebody else was faster.
            Err(error) if error.is_conflict() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn create(&self) -> Result<Lease, super::Error> {
        let now = MicroTime(clock::now());
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.me.clone()),
                lease_duration_seconds: Some(seconds(LEASE)),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                lease_transitions: Some(0),
                ..LeaseSpec::default()
            }),
        };
        ask("create the lease", self.leases.create(&PostParams::default(), &lease)).await
    }

    /// Writes the lease in our name, on the condition that nobody else wrote it meanwhile.
    async fn write(&self, mut lease: Lease, taken: bool) -> Result<Lease, super::Error> {
        let now = MicroTime(clock::now());
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(self.me.clone());
        spec.lease_duration_seconds = Some(seconds(LEASE));
        spec.renew_time = Some(now.clone());
        if taken {
            spec.acquire_time = Some(now);
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default().saturating_add(1));
        }
        ask(
            "write the lease",
            self.leases.replace(NAME, &PostParams::default(), &lease),
        )
        .await
    }

    async fn release(&self, mut lease: Lease) {
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(clock::now()));
        match ask(
            "release the lease",
            self.leases.replace(NAME, &PostParams::default(), &lease),
        )
        .await
        {
            Ok(_) => tracing::info!("released the lease"),
            Err(error) => tracing::warn!(%error, "the lease is not released; others wait until it runs out"),
        }
    }

    fn tell(&self) {
        let ours = self.leadership.is_ours();
        self.elected.send_if_modified(|elected| {
            let changed = *elected != ours;
            if changed {
                tracing::info!(me = self.me, leading = ours, "leadership changed");
            }
            *elected = ours;
            changed
        });
    }
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        duration: Duration::from_secs(
            spec.lease_duration_seconds
                .and_then(|s| u64::try_from(s).ok())
                .unwrap_or(0),
        ),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn held(by: &str, version: &str) -> Option<Record> {
        Some(Record {
            holder: by.to_owned(),
            duration: LEASE,
            version: version.to_owned(),
        })
    }

    fn observed(record: Option<Record>, since: u32) -> Observed {
        Observed {
            record,
            since: SECOND * since,
        }
    }

    #[test]
    fn who_may_lead() {
        for (case, seen, now, expected) in [
            ("no lease", observed(None, 0), 0, Step::Create),
            ("ours", observed(held("a", "1"), 0), 100, Step::Renew),
            ("released", observed(held("", "1"), 100), 100, Step::Take),
            ("another's, fresh", observed(held("b", "1"), 100), 114, Step::Follow),
            ("another's, abandoned", observed(held("b", "1"), 100), 115, Step::Take),
            (
                "just seen for the first time",
                observed(held("b", "1"), 500),
                500,
                Step::Follow,
            ),
            ("our clock stood still", observed(held("b", "1"), 100), 90, Step::Follow),
        ] {
            assert_eq!(step("a", &seen, SECOND * now), expected, "{case}");
        }
    }

    #[test]
    fn time_runs_from_when_the_lease_last_changed() {
        let first = Observed::default().look(held("b", "1"), SECOND * 10);
        let same = first.clone().look(held("b", "1"), SECOND * 20);
        assert_eq!(same, first);
        let renewed = same.look(held("b", "2"), SECOND * 24);
        assert_eq!(step("a", &renewed, SECOND * 38), Step::Follow);
        assert_eq!(step("a", &renewed, SECOND * 39), Step::Take);
    }

    #[test]
    fn a_leader_that_cannot_renew_stops_before_others_start() {
        assert!(RENEW_DEADLINE + RETRY < LEASE);
        let leadership = Leadership::default();
        assert!(!leadership.is_ours());
        leadership.renewed_at(leadership.now());
        assert!(leadership.is_ours());
        leadership.lost();
        assert!(!leadership.is_ours());
    }
}
