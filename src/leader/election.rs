//! The election: reads and writes the Lease as [`super::lease`] decides, and says who leads ([`super::leadership`]).
//!
//! Every two seconds the leader renews and the others look. Each request has half of the renew deadline, so that one
//! that hangs leaves time for another. Each write carries the uid and the resource version of what was decided on: of two
//! who take the same Lease one gets a conflict, and looks again. Whoever is told to stop gives the Lease up, for the next to
//! lead at once.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{
    leadership::{Leadership, Sure},
    lease::{Elector, Moment, RENEW_DEADLINE, RETRY_PERIOD, Record, Step},
};
use crate::cluster::{Error, FIELD_MANAGER, ask_within, clock};

/// The name of the Lease.
pub const NAME: &str = "curfew";

/// How long the API server may take for one request: half of the renew deadline, as controller-runtime has it.
const PATIENCE: Duration = Duration::from_secs(RENEW_DEADLINE.as_secs() / 2);

/// How often the same failure is told again.
const SELDOM: Duration = Duration::from_mins(1);

/// How often giving the Lease up is tried when somebody changes it meanwhile.
const RELEASES: usize = 3;

/// What an election is about.
pub struct Election {
    client: Client,
    namespace: String,
    identity: String,
    leadership: Leadership,
}

/// An election under way.
struct Campaign<'a, Forget, Tell> {
    election: &'a Election,
    forget: Forget,
    tell: Tell,
    begun: Instant,
    elector: Elector,
    /// The Lease as it was last read or written.
    lease: Option<Lease>,
    told: Option<(Result<String, String>, Instant)>,
}

// === impl Election ===

impl Election {
    /// An election for the Lease in this namespace, held under a name that nobody else may have.
    #[must_use]
    pub fn new(client: Client, namespace: String, identity: String) -> Self {
        Self {
            client,
            namespace,
            identity,
            leadership: Leadership::new(),
        }
    }

    /// Where its result can be looked up.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Stands for election until `stop`, then gives up what it holds. `forget` comes before each beginning of leadership,
    /// with the time until which somebody led before if the Lease says so, and after its end; `tell` hears who leads, or why
    /// that is not known.
    pub async fn run(
        self,
        forget: impl Fn(Option<Timestamp>) + Send,
        tell: impl Fn(Result<String, String>) + Send,
        stop: impl Future<Output = ()> + Send,
    ) {
        let mut campaign = Campaign {
            election: &self,
            forget,
            tell,
            begun: Instant::now(),
            elector: Elector::new(self.identity.clone()),
            lease: None,
            told: None,
        };
        tokio::select! {
            () = campaign.run() => {}
            () = stop => campaign.give_up().await,
        }
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn read(&self) -> Result<Option<Lease>, Error> {
        ask_within(PATIENCE, "read the Lease", self.leases().get_opt(NAME)).await
    }

    async fn create(&self, record: &Record) -> Result<Lease, Error> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec::from(record)),
        };
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        ask_within(PATIENCE, "create the Lease", self.leases().create(&params, &lease)).await
    }

    async fn write(&self, lease: &Lease, record: &Record) -> Result<Lease, Error> {
        let patch = Patch::Merge(json!({
            "metadata": {"uid": lease.metadata.uid, "resourceVersion": lease.metadata.resource_version},
            "spec": LeaseSpec::from(record),
        }));
        let params = PatchParams::apply(FIELD_MANAGER);
        ask_within(PATIENCE, "write the Lease", self.leases().patch(NAME, &params, &patch)).await
    }
}

// === impl Campaign ===

impl<Forget: Fn(Option<Timestamp>) + Send, Tell: Fn(Result<String, String>) + Send> Campaign<'_, Forget, Tell> {
    async fn run(&mut self) {
        loop {
            // A leader whose time is over while it tries has lost, whatever becomes of the try.
            let tried = match self.elector.remaining(self.now()) {
                Some(remaining) => tokio::time::timeout(remaining, self.attempt()).await,
                None => Ok(self.attempt().await),
            };
            self.notice();
            self.publish(tried.unwrap_or(Err(Error::Timeout("renew the Lease", RENEW_DEADLINE))));
            let remaining = self.elector.remaining(self.now());
            tokio::time::sleep(remaining.unwrap_or(RETRY_PERIOD).min(RETRY_PERIOD)).await;
            self.notice();
        }
    }

    /// Renews, takes or looks at the Lease, once.
    async fn attempt(&mut self) -> Result<(), Error> {
        if let (Some(record), Some(lease)) = (self.elector.renewal(self.now()), &self.lease) {
            let (asked, sure) = (self.now(), Sure::now());
            match self.election.write(lease, &record).await {
                Ok(lease) => {
                    self.wrote(lease, asked, sure);
                    return Ok(());
                }
                // Somebody changed or deleted it: what it says now decides.
                Err(error) if error.is_conflict() || error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        self.lease = self.election.read().await?;
        let step = self.elector.found(self.lease.as_ref().map(Record::from), self.now());
        self.notice();
        let (asked, sure) = (self.now(), Sure::now());
        let written = match (step, &self.lease) {
            (Step::Wait, _) => return Ok(()),
            (Step::Create(record) | Step::Take(record) | Step::Renew(record), None) => {
                self.election.create(&record).await
            }
            (Step::Create(record) | Step::Take(record) | Step::Renew(record), Some(lease)) => {
                self.election.write(lease, &record).await
            }
        };
        match written {
            Ok(lease) => self.wrote(lease, asked, sure),
            Err(error) if error.is_conflict() => tracing::debug!(%error, "another Curfew was faster"),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn wrote(&mut self, lease: Lease, asked: Moment, sure: Sure) {
        let record = Record::from(&lease);
        let transitions = record.transitions;
        self.elector.wrote(record, asked);
        let led_until = self
            .lease
            .replace(lease)
            .and_then(|before| Record::from(&before).renewed);
        // The answer may have come too late to be worth anything.
        if !self.elector.leads(self.now()) {
            return;
        }
        let Election {
            leadership,
            namespace,
            identity,
            ..
        } = self.election;
        if leadership.lead(sure, RENEW_DEADLINE, || (self.forget)(led_until)) {
            tracing::info!(
                namespace,
                lease = NAME,
                identity,
                transitions,
                "leads: looks after the Canaries"
            );
        }
    }

    /// Leads no more, if its time is over or another has the Lease.
    fn notice(&self) {
        if !self.elector.leads(self.now()) && self.election.leadership.end() {
            (self.forget)(None);
            let (namespace, identity) = (&self.election.namespace, &self.election.identity);
            tracing::warn!(
                namespace,
                lease = NAME,
                identity,
                "leads no more: leaves the Canaries alone"
            );
        }
    }

    /// Says who leads, or why that is not known: once, and trouble again after a while.
    fn publish(&mut self, tried: Result<(), Error>) {
        let (namespace, identity) = (&self.election.namespace, &self.election.identity);
        let (state, fix) = match tried {
            Ok(()) => (Ok(self.elector.holder().unwrap_or("nobody").to_owned()), None),
            Err(error) => {
                let fix = fix(&error, namespace);
                let rest = fix.as_deref().unwrap_or("trying again");
                (Err(format!("{error}; {rest}")), fix)
            }
        };
        let is_known = self
            .told
            .as_ref()
            .is_some_and(|(told, at)| *told == state && (told.is_ok() || at.elapsed() < SELDOM));
        if is_known {
            return;
        }
        match (&state, fix) {
            (Ok(holder), _) if holder == identity => {}
            (Ok(holder), _) => tracing::info!(namespace, lease = NAME, identity, holder, "another leads"),
            (Err(why), None) => tracing::warn!(namespace, lease = NAME, identity, why, "the election does not go on"),
            (Err(why), Some(_)) => tracing::error!(
                namespace,
                lease = NAME,
                identity,
                why,
                "this Curfew cannot lead, and one that does not lead holds no deadline"
            ),
        }
        (self.tell)(state.clone());
        self.told = Some((state, Instant::now()));
    }

    /// Stops to lead, and leaves the Lease as one that nobody holds.
    async fn give_up(mut self) {
        let (namespace, identity) = (&self.election.namespace, &self.election.identity);
        let held = self.elector.holder() == Some(identity);
        self.elector.resign();
        if !self.election.leadership.end() && !held {
            return;
        }
        for _ in 0..RELEASES {
            let released = async {
                let Some(lease) = self.election.read().await? else {
                    return Ok(());
                };
                let record = Record::from(&lease);
                if record.holder != *identity {
                    return Ok(());
                }
                let released = record.released(self.now());
                self.election.write(&lease, &released).await.map(drop)
            };
            match released.await {
                Ok(()) => {
                    tracing::info!(namespace, lease = NAME, identity, "gave the Lease up");
                    return;
                }
                // A renewal that was under way.
                Err(error) if error.is_conflict() => tracing::debug!(%error, "the Lease changed; trying again"),
                Err(error) => {
                    tracing::warn!(namespace, lease = NAME, %error, "did not give the Lease up; the next waits until it expires");
                    return;
                }
            }
        }
    }

    fn now(&self) -> Moment {
        Moment {
            elapsed: self.begun.elapsed(),
            wall: clock::now(),
        }
    }
}

/// What somebody has to do about an election that does not go on by itself.
fn fix(error: &Error, namespace: &str) -> Option<String> {
    match error.status() {
        Some(401 | 403) => Some(format!(
            "allow it to get, create and patch leases of coordination.k8s.io in the namespace {namespace}, as \
             deploy/kustomize/rbac.yaml does for curfew-system"
        )),
        Some(404) => Some(format!(
            "create the namespace {namespace}, or name another with --namespace"
        )),
        Some(_) | None => None,
    }
}

// === conversions ===

impl From<&Lease> for Record {
    fn from(lease: &Lease) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        Self {
            holder: spec.holder_identity.unwrap_or_default(),
            duration_seconds: spec.lease_duration_seconds.unwrap_or_default(),
            transitions: spec.lease_transitions.unwrap_or_default(),
            acquired: spec.acquire_time.map(|time| time.0),
            renewed: spec.renew_time.map(|time| time.0),
        }
    }
}

impl From<&Record> for LeaseSpec {
    fn from(record: &Record) -> Self {
        Self {
            holder_identity: Some(record.holder.clone()),
            lease_duration_seconds: Some(record.duration_seconds),
            lease_transitions: Some(record.transitions),
            acquire_time: record.acquired.map(MicroTime),
            renew_time: record.renewed.map(MicroTime),
            ..Self::default()
        }
    }
}
