//! The audit: what the webhook would say about the Canaries that are stored already.
//!
//! The caches hold what the clocks need of a Canary and not its whole spec, so the audit reads what it judges: one
//! Canary after the other where something changed that the rules look at, and page by page when a policy changed, when this Curfew
//! begins to lead, and every ten minutes. Only the leader audits.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, ListParams},
};
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::{
    findings::{FindingStore, Key, Summary},
    policy_status,
};
use crate::{
    cluster::{
        Cluster, Error, ask,
        events::{EventPublisher, EventReason},
        lookup::CachedLookup,
        policies::PolicyState,
    },
    flagger::{canary::Canary, phase::Phase, ready::share},
    leader::leadership::Leadership,
    policy::{Policies, ROLLOUT_DEADLINE, Rule},
    rollout::{stamp::READY_AFTER, target_ref::TargetRef},
    rules::{Finding, Lookup, case::Case, lookup::LookupResult},
};

/// Everything is judged anew so often: exemptions end, and namespaces get other labels.
const EVERYTHING: Duration = Duration::from_mins(10);
/// Changes that come together are judged together.
const SETTLE: Duration = Duration::from_millis(500);
/// When to try again what the API server did not answer.
const AGAIN: Duration = Duration::from_secs(10);
/// When to try again to write the status of a policy.
const TELL_AGAIN: Duration = Duration::from_secs(30);
/// More Canaries than this are listed rather than read one by one.
const FEW: usize = 200;
/// So many Canaries are named in one line of the log.
const MOST_NAMED: usize = 20;
/// Canaries in a page of a list.
const PAGE: u32 = 500;

/// The Canaries that may have to be judged anew. Clones see the same.
#[derive(Clone, Debug, Default)]
pub struct DirtySet(Arc<Marked>);

#[derive(Debug, Default)]
struct Marked {
    canaries: Mutex<BTreeSet<Key>>,
    /// Workloads and Services that Canaries shared with one that is gone.
    shared: Mutex<BTreeSet<Key>>,
    some: Notify,
}

/// What was told of each policy last.
type PublishedStatus = BTreeMap<String, (PolicyState, Option<Summary>)>;

/// The audit.
pub struct Audit {
    /// The cluster.
    pub cluster: Cluster,
    /// Whether this one leads.
    pub leadership: Leadership,
    /// What writes Events.
    pub publisher: EventPublisher,
    /// What the rules know beyond the Canary.
    pub lookup: CachedLookup,
    /// What may have changed.
    pub marks: DirtySet,
    /// What was found.
    pub finding_store: FindingStore,
}

// === impl DirtySet ===

impl DirtySet {
    /// Something changed that these Canaries have to do with.
    pub fn mark(&self, canaries: impl IntoIterator<Item = Key>) {
        self.0.canaries.lock().extend(canaries);
        self.0.some.notify_one();
    }

    /// A Canary is gone, and leaves what it shared to the others.
    pub fn gone(&self, canary: &Canary) {
        let named = |name: &str| (canary.namespace().to_owned(), name.to_owned());
        let shared = [canary.spec.target.name.as_str(), canary.apex_name()].map(named);
        self.0.shared.lock().extend(shared);
        self.mark([key(canary)]);
    }

    /// A Canary points elsewhere now, and leaves what it shared to the others.
    fn left(&self, namespace: &str, names: Vec<String>) {
        if !names.is_empty() {
            let shared = names.into_iter().map(|name| (namespace.to_owned(), name));
            self.0.shared.lock().extend(shared);
            self.0.some.notify_one();
        }
    }

    /// These could not be judged; they wait for whatever happens next.
    fn put_back(&self, canaries: &[Arc<Canary>]) {
        self.0.canaries.lock().extend(canaries.iter().map(|canary| key(canary)));
    }

    fn take(&self) -> (BTreeSet<Key>, BTreeSet<Key>) {
        let canaries = std::mem::take(&mut *self.0.canaries.lock());
        (canaries, std::mem::take(&mut *self.0.shared.lock()))
    }
}

// === impl Audit ===

impl Audit {
    /// Audits until it is dropped.
    pub async fn run(self) {
        let mut policies = pin!(self.cluster.policies.changes());
        let mut states = pin!(self.cluster.policies.state_changes());
        let mut beginnings = pin!(self.leadership.beginnings());
        let mut everything_at = Instant::now();
        let mut tell_again_at = None;
        let mut told = BTreeMap::new();
        // By which policies everything was judged last, and whether that could not be done since.
        let mut judged_by: Option<Arc<Policies>> = None;
        let mut is_outdated = false;
        let mut has_failed = false;
        loop {
            tokio::select! {
                () = self.marks.0.some.notified() => {}
                Some(()) = beginnings.next() => everything_at = Instant::now(),
                Some(()) = policies.next() => everything_at = Instant::now(),
                Some(()) = states.next() => {}
                () = sleep_until(tell_again_at.unwrap_or(everything_at)) => {}
                () = sleep_until(everything_at) => {}
            }
            if tell_again_at.is_some_and(|at| Instant::now() >= at) {
                tell_again_at = None;
                told.clear();
            }
            sleep(SETTLE).await;
            if !self.leadership.is_leader() {
                self.marks.take();
                self.finding_store.clear();
                judged_by = None;
                everything_at = Instant::now() + EVERYTHING;
                continue;
            }
            if !self.cluster.watches.all_listed() || !self.cluster.policies.is_known() {
                everything_at = Instant::now() + SETTLE;
                continue;
            }
            let current = self.cluster.policies.current();
            let (marked, shared) = self.marks.take();
            let changed = self.changed(marked, shared);
            let is_time = Instant::now() >= everything_at || changed.len() > FEW;
            is_outdated |= is_time;
            // First what changed, of which something may be to tell. At the beginning everything has.
            let mut done = Ok(());
            if changed.len() <= FEW && judged_by.is_some() {
                done = self.judge_some(&changed, &current).await;
            }
            // One that can never be read by itself holds up nobody else.
            if is_time && (done.is_ok() || has_failed) {
                done = self.judge_everything(&current).await;
            }
            has_failed = done.is_err();
            if let Err(error) = done {
                tracing::warn!(%error, "the audit is not complete; trying again");
                everything_at = Instant::now() + AGAIN;
                continue;
            }
            if is_time {
                everything_at = Instant::now() + EVERYTHING;
                is_outdated = false;
                judged_by = Some(Arc::clone(&current));
                told.clear();
            }
            // Of policies that have changed meanwhile there is nothing to tell yet.
            let now = self.cluster.policies.current();
            let is_by_these = judged_by.as_ref().is_some_and(|by| Arc::ptr_eq(by, &now));
            if !is_outdated && is_by_these && !self.publish_policies(&mut told).await {
                tell_again_at.get_or_insert_with(|| Instant::now() + TELL_AGAIN);
            }
        }
    }

    /// Those of the marked Canaries, and of their neighbours, for which something changed that the rules look at.
    fn changed(&self, mut marked: BTreeSet<Key>, mut shared: BTreeSet<Key>) -> Vec<Arc<Canary>> {
        let watches = &self.cluster.watches;
        for (namespace, name) in &marked {
            match watches.canary(namespace, name) {
                Some(canary) => shared.extend(
                    [canary.spec.target.name.as_str(), canary.apex_name()]
                        .map(|name| (namespace.clone(), name.to_owned())),
                ),
                None => self.finding_store.forget(&(namespace.clone(), name.clone())),
            }
        }
        for (namespace, name) in &shared {
            let around = watches.canaries_about(namespace, name);
            marked.extend(around.iter().map(|canary| key(canary)));
        }
        marked
            .into_iter()
            .filter_map(|(namespace, name)| watches.canary(&namespace, &name))
            .filter(|canary| !self.finding_store.is_current(&key(canary), self.inputs(canary)))
            .collect()
    }

    /// What an evaluation of this Canary rests on.
    fn inputs(&self, canary: &Canary) -> u64 {
        let mut hasher = DefaultHasher::new();
        let (namespace, metadata) = (canary.namespace(), &canary.metadata);
        (&metadata.uid, metadata.generation, &metadata.labels).hash(&mut hasher);
        for annotation in [ROLLOUT_DEADLINE, READY_AFTER] {
            canary.annotation(annotation).hash(&mut hasher);
        }
        matches!(canary.status.phase, Phase::None | Phase::Initializing).hash(&mut hasher);
        let primary = TargetRef {
            name: canary.primary_name(),
            ..canary.spec.target.clone()
        };
        let primary = match self.lookup.workload(namespace, &primary) {
            LookupResult::Found(primary) => primary.wanted,
            LookupResult::Missing | LookupResult::Unavailable(_) | LookupResult::NotTracked => 0,
        };
        match self.lookup.workload(namespace, &canary.spec.target) {
            LookupResult::Found(target) => {
                (
                    &target.selector,
                    target.progress_deadline,
                    target.min_ready,
                    target.startup,
                )
                    .hash(&mut hasher);
                // What an autoscaler does matters only where it makes a difference to a rule.
                let replicas = if target.wanted > 0 { target.wanted } else { primary };
                let may_miss = target.max_unavailable.map(|most| most.pods(replicas) > 0);
                (replicas > 0, may_miss).hash(&mut hasher);
                for threshold in thresholds(canary) {
                    threshold
                        .map(|threshold| share(replicas, threshold) == 0)
                        .hash(&mut hasher);
                }
            }
            LookupResult::Missing => 1.hash(&mut hasher),
            LookupResult::Unavailable(_) => 2.hash(&mut hasher),
            LookupResult::NotTracked => 3.hash(&mut hasher),
        }
        let scaler = canary.spec.autoscaler.as_ref();
        let scaler = scaler.map(|scaler| match self.lookup.scaler(namespace, scaler) {
            LookupResult::Found(()) => 0,
            LookupResult::Missing => 1,
            LookupResult::Unavailable(_) => 2,
            LookupResult::NotTracked => 3,
        });
        scaler.hash(&mut hasher);
        let target = canary.spec.target.name.as_str();
        for others in [
            self.lookup.others_on_target(namespace, target, canary.name()),
            self.lookup.others_at_apex(namespace, canary.apex_name(), canary.name()),
        ] {
            if let LookupResult::Found(others) = others {
                others.hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Judges these. What cannot be read now is for the next time, as is all behind it.
    async fn judge_some(&self, canaries: &[Arc<Canary>], policies: &Policies) -> Result<(), Error> {
        for (done, canary) in canaries.iter().enumerate() {
            let api =
                Api::<DynamicObject>::namespaced_with(self.cluster.client.clone(), canary.namespace(), &resource());
            let read = ask("read a Canary for the audit", api.get_opt(canary.name())).await;
            match read.inspect_err(|_| self.marks.put_back(&canaries[done..]))? {
                Some(object) => {
                    if self.judge(object, policies, |_| true) {
                        stops_flagger(&[format!("{}/{}", canary.namespace(), canary.name())]);
                    }
                }
                None => self.finding_store.forget(&key(canary)),
            }
        }
        Ok(())
    }

    async fn judge_everything(&self, policies: &Policies) -> Result<(), Error> {
        let api = Api::<DynamicObject>::all_with(self.cluster.client.clone(), &resource());
        let mut page = ListParams::default().limit(PAGE);
        let (mut there, mut poisonous) = (BTreeSet::new(), Vec::new());
        loop {
            let list = ask("list the Canaries for the audit", api.list(&page)).await?;
            for object in list.items {
                let canary = (
                    object.metadata.namespace.clone().unwrap_or_default(),
                    object.metadata.name.clone().unwrap_or_default(),
                );
                // Everybody at once would be a storm of Events; what stops Flagger for all is worth one.
                self.judge(object, policies, |finding| finding.rule == Rule::UNDECODABLE);
                if self.finding_store.finds(&canary, Rule::UNDECODABLE) {
                    poisonous.push(format!("{}/{}", canary.0, canary.1));
                }
                there.insert(canary);
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => break,
            }
        }
        self.finding_store.retain(&there);
        if !poisonous.is_empty() {
            stops_flagger(&poisonous);
        }
        Ok(())
    }

    /// Writes the status of the policies of the cluster of which there is something else to tell than was told. Answers
    /// whether all of it is told.
    async fn publish_policies(&self, told: &mut PublishedStatus) -> bool {
        let mut all = true;
        let mut summaries = self.finding_store.summaries();
        for policy in self.cluster.policies.states() {
            let name = policy.name.clone();
            let news = (policy, summaries.remove(&name));
            if told.get(&name) == Some(&news) {
                continue;
            }
            if let Err(error) = policy_status::write(&self.cluster, &news.0, news.1.as_ref()).await {
                // Not with every change, which may be many a second.
                tracing::warn!(policy = name, %error, "the status of a CanaryPolicy is not what it should be; trying again");
                all = false;
            }
            told.insert(name, news);
        }
        all
    }

    /// Judges a Canary and tells what is new and worth telling. Answers whether it is news that this one stops Flagger.
    fn judge(&self, object: DynamicObject, policies: &Policies, is_published: impl Fn(&Finding) -> bool) -> bool {
        let Ok(object) = serde_json::to_value(object) else {
            return false;
        };
        let canary = Canary::from_json(object.clone());
        // First what it rests on: what changes while it is judged is judged again.
        let inputs = self.inputs(&canary);
        let namespace_labels = self.cluster.watches.namespaces.labels(canary.namespace());
        let case = Case {
            canary: &object,
            namespace: canary.namespace(),
            namespace_labels: &namespace_labels,
            name: canary.name(),
        };
        let judged = case.judge(policies, &self.lookup, self.cluster.now());
        // What is being deleted is nobody's to fix any more.
        let findings = if canary.metadata.deletion_timestamp.is_some() {
            Vec::new()
        } else {
            judged.findings
        };
        let shares = [canary.spec.target.name.as_str(), canary.apex_name()];
        let noted = self
            .finding_store
            .note(&key(&canary), inputs, shares, &judged.policy.name, &findings);
        self.marks.left(canary.namespace(), noted.left);
        let mut news = noted.news;
        news.retain(|finding| is_published(finding));
        if !news.is_empty() {
            let told: Vec<_> = news.iter().map(ToString::to_string).collect();
            let event = (EventReason::PolicyFinding, told.join(" | "));
            self.publisher.publish(&canary, vec![event]);
        }
        news.iter().any(|finding| finding.rule == Rule::UNDECODABLE)
    }
}

/// Tells the admins, who may not read Events.
fn stops_flagger(canaries: &[String]) {
    let (count, canaries) = (canaries.len(), canaries[..canaries.len().min(MOST_NAMED)].join(", "));
    tracing::error!(
        count,
        canaries,
        "Flagger cannot decode these Canaries, and sees no new one in the whole cluster until they are fixed or deleted"
    );
}

fn thresholds(canary: &Canary) -> [Option<i64>; 2] {
    let analysis = canary.spec.analysis.as_ref();
    [
        analysis.and_then(|analysis| analysis.primary_ready_threshold),
        analysis.and_then(|analysis| analysis.canary_ready_threshold),
    ]
}

fn key(canary: &Canary) -> Key {
    (canary.namespace().to_owned(), canary.name().to_owned())
}

fn resource() -> ApiResource {
    ApiResource::erase::<Canary>(&())
}
