//! A stage: a namespace with an application that Flagger rolls out, and eyes on its Canary.
//!
//! A stage watches its Canary from the first moment and keeps everything that it sees. Waiting goes through that
//! history in its order: each wait begins with what the wait before it found, so that a story is told as it happens,
//! and nothing is missed between two looks. When a story fails, its stages say what they saw.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Pod},
    events::v1::Event,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use testbed::{Handle, OUTCOME};

pub use crate::{
    app::{APP, App},
    history::{Seen, Steadily},
};
use crate::{
    history::{History, canaries, look_on},
    planes::{self, BUSY, POLL},
};

/// So many lines of Flagger's log are shown when a story fails.
const MOST_WORDS: usize = 30;

/// Within how many seconds a change is in the stamps, which are written once in ten seconds at most.
pub const STAMPED: u64 = 15;
/// A deadline that no initialization misses, in seconds.
const PATIENT: i64 = 900;

/// How long the end of a story may take.
const CLEARED_WITHIN: Duration = Duration::from_secs(5);

/// A namespace with an application.
pub struct Stage {
    /// Where it is.
    pub plane: Handle,
    /// The plane's admin.
    pub client: Client,
    /// Its name.
    pub namespace: String,
    began: Instant,
    history: std::sync::Arc<History>,
    /// The place in the history where the last wait ended.
    place: AtomicUsize,
}

// === impl Stage ===

impl Stage {
    /// A stage under Curfew's eyes.
    pub async fn open(plane: &Handle, story: &str) -> Self {
        let client = plane.client("admin").await.unwrap();
        let namespace = format!("{story}-{:04x}", fastrand::u16(..));
        let object = json!({"metadata": {"name": namespace}});
        Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &serde_json::from_value(object).unwrap())
            .await
            .unwrap();
        let history = std::sync::Arc::<History>::default();
        tokio::spawn(look_on(canaries(&client, &namespace), std::sync::Arc::clone(&history)));
        Self {
            plane: plane.clone(),
            client,
            namespace,
            began: Instant::now(),
            history,
            place: AtomicUsize::new(0),
        }
    }

    /// A stage on which Flagger is alone: the plane's policy exempts it.
    pub async fn alone(plane: &Handle, story: &str) -> Self {
        Self::open(plane, &format!("alone-{story}")).await
    }

    /// Brings an application onto the stage and waits until Flagger has taken it over.
    pub async fn install(&self, app: &App) {
        self.install_with(&app.deployment(), &app.canary()).await;
    }

    /// The same with a Deployment and a Canary of one's own.
    pub async fn install_with(&self, deployment: &Value, canary: &Value) {
        self.create(deployment).await;
        self.initialize(canary).await;
        // Flagger has asked for no replicas; what is pushed before they are gone would be an ordinary update.
        self.replicas_gone(APP).await;
    }

    /// Creates a Canary and waits until Flagger has taken it over. It has its own deadline from then on only: on a busy
    /// machine that may take longer.
    pub async fn initialize(&self, canary: &Value) {
        let deadline = canary["spec"]["progressDeadlineSeconds"].as_i64().expect("a deadline");
        let mut patient = canary.clone();
        patient["spec"]["progressDeadlineSeconds"] = PATIENT.into();
        self.create(&patient).await;
        self.phase("Initialized", 90).await;
        self.set_deadline(deadline).await;
    }

    /// Creates an object as the admin.
    pub async fn create(&self, object: &Value) {
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(object.types.as_ref().unwrap()).unwrap());
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &self.namespace, &resource);
        api.create(&PostParams::default(), &object).await.unwrap();
    }

    /// Pushes a new version whose pods do that (`plane.curfew.dev/outcome`).
    pub async fn push(&self, outcome: &str) {
        let image = format!("app:{:08x}", fastrand::u32(..));
        let template = json!({
            "metadata": {"annotations": {OUTCOME: outcome}},
            "spec": {"containers": [{"name": "app", "image": image}]},
        });
        let patch = Patch::Strategic(json!({"spec": {"template": template}}));
        self.deployments()
            .patch(APP, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Pushes a version that is fine and waits until Flagger has looked at it twice, in an ordinary rollout: what is left of
    /// a verdict would end it at the first look. That it is promoted in the end is shown by `gates` (in steps of traffic) and
    /// `skip_analysis`.
    pub async fn next_version_is_analysed(&self) {
        let verdict = self.now().verdict();
        self.push("ready").await;
        self.phase("Progressing", 60).await;
        self.until("Flagger goes on with it", 60, |seen| {
            assert!(seen.phase() != "Failed", "the next version was failed");
            (seen.iterations() > 0 || seen.weight() > 0 || seen.phase() == "Promoting").then_some(())
        })
        .await;
        assert_eq!(self.now().verdict(), verdict, "the next version was judged");
    }

    /// Changes the target Deployment.
    pub async fn change_target(&self, spec: &Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.deployments()
            .patch(APP, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Waits until Curfew knows that Flagger rolled back, and answers its verdict.
    pub async fn rolled_back(&self, patience: u64) -> Value {
        self.phase("Failed", patience).await;
        self.until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
            .await
    }

    /// Changes the Canary's deadline.
    pub async fn set_deadline(&self, seconds: i64) {
        let patch = Patch::Merge(json!({"spec": {"progressDeadlineSeconds": seconds}}));
        self.canaries()
            .patch(APP, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Writes the Canary's status in Flagger's place.
    pub async fn set_status(&self, status: &Value) {
        let patch = Patch::Merge(json!({"status": status}));
        self.canaries()
            .patch_status(APP, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Makes a running pod of the new version do something else, and says which.
    pub async fn turn(&self, pod: &str, outcome: &str) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {OUTCOME: outcome}}}));
        self.pods().patch(pod, &PatchParams::default(), &patch).await.unwrap();
    }

    /// The names of the target's pods.
    pub async fn target_pods(&self) -> Vec<String> {
        let target = ListParams::default().labels(&format!("app={APP}"));
        let pods = self.pods().list(&target).await.unwrap();
        pods.iter().map(ResourceExt::name_any).collect()
    }

    /// Waits until a pod is not ready, and answers since when, by its own condition.
    pub async fn unready_since(&self, pod: &str) -> String {
        let pods = self.pods();
        self.eventually(&format!("{pod} is not ready"), 10, async || {
            let conditions = pods.get(pod).await.unwrap().status?.conditions?;
            let ready = conditions
                .into_iter()
                .find(|condition| condition.type_ == "Ready" && condition.status == "False");
            Some(ready?.last_transition_time?.0.to_string())
        })
        .await
    }

    /// How many seconds each pod of the target took to be ready, by its own times.
    pub async fn startups(&self) -> Vec<i64> {
        let target = ListParams::default().labels(&format!("app={APP}"));
        let pods = self.pods().list(&target).await.unwrap();
        let startup = |pod: &Pod| {
            let conditions = pod.status.as_ref()?.conditions.as_ref()?;
            let ready = conditions
                .iter()
                .find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
            let (ready, created) = (
                ready.last_transition_time.as_ref()?,
                pod.metadata.creation_timestamp.as_ref()?,
            );
            Some(ready.0.as_second() - created.0.as_second())
        };
        pods.iter().filter_map(startup).collect()
    }

    /// The name of a pod of the target that is not ready.
    pub async fn unready_pod(&self) -> String {
        let target = ListParams::default().labels(&format!("app={APP}"));
        let pods = self.pods().list(&target).await.unwrap();
        let is_ready = |pod: &Pod| {
            let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
            conditions.is_some_and(|all| all.iter().any(|it| it.type_ == "Ready" && it.status == "True"))
        };
        let unready = pods.iter().find(|pod| !is_ready(pod));
        unready.expect("a pod that is not ready").name_any()
    }

    // --- watching ---

    /// Waits until the Canary's history has something in it, and answers what `look` made of it. On a busy machine it waits
    /// [`BUSY`] times as long: what must come soon is asserted by its times.
    pub async fn until<T>(&self, what: &str, patience: u64, mut look: impl FnMut(&Seen) -> Option<T>) -> T {
        let patience = patience * BUSY;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(patience);
        let mut length = self.history.grows();
        let mut place = self.place.load(Ordering::Relaxed);
        loop {
            while let Some(seen) = self.history.get(place) {
                if let Some(found) = look(&seen) {
                    self.place.store(place, Ordering::Relaxed);
                    return found;
                }
                place += 1;
            }
            if tokio::time::timeout_at(deadline, length.changed()).await.is_err() {
                let around = self.describe_around().await;
                panic!("{}: waited {patience} s in vain until {what}\n{around}", self.namespace);
            }
        }
    }

    /// Waits for a phase.
    pub async fn phase(&self, phase: &str, patience: u64) -> Seen {
        self.until(&format!("its phase is {phase}"), patience, |seen| {
            (seen.phase() == phase).then(|| seen.clone())
        })
        .await
    }

    /// Watches that nothing of a kind happened since the last wait ended, and does for some seconds from now on; fails at
    /// once when it does.
    pub async fn never(&self, what: &str, seconds: u64, mut look: impl FnMut(&Seen) -> bool) {
        let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
        let mut length = self.history.grows();
        let mut place = self.place.load(Ordering::Relaxed);
        loop {
            while let Some(seen) = self.history.get(place) {
                if look(&seen) {
                    let around = self.describe_around().await;
                    panic!("{}: {what}\n{around}", self.namespace);
                }
                place += 1;
            }
            if tokio::time::timeout_at(end, length.changed()).await.is_err() {
                return;
            }
        }
    }

    /// The Canary as it was last seen.
    pub fn now(&self) -> Seen {
        self.history
            .get(self.history.len().saturating_sub(1))
            .expect("a Canary")
    }

    /// The Canary as it was first seen in a phase.
    pub fn first(&self, phase: &str) -> Seen {
        let first = self.history.all().into_iter().find(|seen| seen.phase() == phase);
        first.unwrap_or_else(|| panic!("it never was {phase}"))
    }

    /// Whether anything that was ever seen is so.
    pub fn ever(&self, mut look: impl FnMut(&Seen) -> bool) -> bool {
        self.history.all().iter().any(&mut look)
    }

    /// Looks five times a second at something that is not in the Canary's history, as long as [`Stage::until`] does.
    pub async fn eventually<T>(&self, what: &str, patience: u64, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let patience = patience * BUSY;
        let deadline = Instant::now() + Duration::from_secs(patience);
        loop {
            if let Some(found) = look().await {
                return found;
            }
            if Instant::now() >= deadline {
                let around = self.describe_around().await;
                panic!("{}: waited {patience} s in vain until {what}\n{around}", self.namespace);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits for an Event of Curfew's and answers its note.
    pub async fn event(&self, reason: &str) -> String {
        self.eventually(&format!("Curfew tells {reason}"), 10, async || {
            let events = self.curfews_events().await;
            events
                .into_iter()
                .find(|(found, _)| found == reason)
                .map(|(_, note)| note)
        })
        .await
    }

    /// What Curfew told about the Canary's rollouts: reasons and notes. What the audit finds is another matter.
    pub async fn curfews_events(&self) -> Vec<(String, String)> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut events = api.list(&ListParams::default()).await.unwrap().items;
        events.sort_by_key(|event| event.event_time.clone());
        let ours = events.into_iter().filter(|event| {
            event.reporting_controller.as_deref() == Some("curfew.dev/curfew")
                && event.reason.as_deref() != Some("PolicyFinding")
                && event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(APP)
        });
        ours.map(|event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default()))
            .collect()
    }

    /// How often Curfew told this about the Canary.
    pub async fn told(&self, reason: &str) -> usize {
        let events = self.curfews_events().await;
        events.iter().filter(|(found, _)| found == reason).count()
    }

    /// Waits until a Deployment has so many replicas, all of them available.
    pub async fn replicas(&self, deployment: &str, wanted: i32) {
        self.eventually(&format!("{deployment} has {wanted} replicas"), 60, async || {
            let found = self.deployments().get(deployment).await.unwrap();
            let available = found.status.and_then(|status| status.available_replicas).unwrap_or(0);
            (found.spec?.replicas? == wanted && available == wanted).then_some(())
        })
        .await;
    }

    /// Waits until a Deployment has no pods any more.
    pub async fn replicas_gone(&self, deployment: &str) {
        self.eventually(&format!("{deployment} has no pods"), 60, async || {
            let found = self.deployments().get(deployment).await.unwrap();
            let left = found.status.and_then(|status| status.replicas).unwrap_or(0);
            (left == 0).then_some(())
        })
        .await;
    }

    /// Waits until a Deployment has so many available replicas.
    pub async fn replicas_available(&self, deployment: &str, wanted: i32) {
        self.eventually(
            &format!("{deployment} has {wanted} available replicas"),
            60,
            async || {
                let found = self.deployments().get(deployment).await.unwrap();
                (found.status?.available_replicas? == wanted).then_some(())
            },
        )
        .await;
    }

    /// The weights of primary and canary in the `HTTPRoute`.
    pub async fn weights(&self) -> (i64, i64) {
        let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute");
        let resource = ApiResource::from_gvk(&kind);
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let route = api.get(APP).await.unwrap();
        let backends = &route.data["spec"]["rules"][0]["backendRefs"];
        let weight = |index: usize| backends[index]["weight"].as_i64().expect("a weight");
        (weight(0), weight(1))
    }

    // --- objects ---

    /// The namespace's Canaries.
    pub fn canaries(&self) -> Api<DynamicObject> {
        canaries(&self.client, &self.namespace)
    }

    /// The namespace's Deployments.
    pub fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The namespace's pods.
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    // --- when a story fails ---

    async fn describe_around(&self) -> String {
        let mut text = String::new();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        if let Ok(mut events) = api.list(&ListParams::default()).await {
            events.items.sort_by_key(ResourceExt::creation_timestamp);
            let canarys = |event: &&Event| {
                event
                    .regarding
                    .as_ref()
                    .is_some_and(|it| it.kind.as_deref() == Some("Canary"))
            };
            for event in events.iter().filter(canarys) {
                let (reason, note) = (event.reason.as_deref(), event.note.as_deref());
                let _ = writeln!(text, "  event {}: {}", reason.unwrap_or("?"), note.unwrap_or_default());
            }
        }
        if let Ok(deployments) = self.deployments().list(&ListParams::default()).await {
            for deployment in deployments {
                let status = deployment.status.clone().unwrap_or_default();
                let _ = writeln!(
                    text,
                    "  deployment {}: {:?} wanted, {:?} available",
                    deployment.name_any(),
                    deployment.spec.as_ref().and_then(|spec| spec.replicas),
                    status.available_replicas
                );
            }
        }
        text
    }

    fn describe_history(&self) -> String {
        let mut text = String::new();
        let mut last = String::new();
        for seen in self.history.all() {
            let line = seen.describe();
            if line != last {
                let at = seen.at.duration_since(self.began).as_secs_f64();
                let _ = writeln!(text, "  {at:5.1} s  {line}");
                last = line;
            }
        }
        text
    }
}

impl Stage {
    /// The last lines about this stage in Flagger's log.
    fn flaggers_words(&self) -> String {
        let log = std::fs::read_to_string(self.plane.log("flagger")).unwrap_or_default();
        let mut lines: Vec<_> = log.lines().filter(|line| line.contains(&self.namespace)).collect();
        lines.drain(..lines.len().saturating_sub(MOST_WORDS));
        lines.join("\n")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Shown when the story fails, and with `--show-output`.
        eprintln!("what {} saw:\n{}", self.namespace, self.describe_history());
        if std::thread::panicking() {
            eprintln!("what Flagger said of it:\n{}", self.flaggers_words());
            planes::keep_logs(&self.plane);
            return;
        }
        // Flagger would check these Canaries for as long as the plane lives, and the others would have to wait for that. The
        // runtime of the story is not driven any more.
        let (plane, namespace) = (self.plane.clone(), self.namespace.clone());
        let cleared = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .ok()?;
            runtime.block_on(async {
                let canaries = canaries(&plane.client("admin").await.ok()?, &namespace);
                let (params, all) = (DeleteParams::background(), ListParams::default());
                tokio::time::timeout(CLEARED_WITHIN, canaries.delete_collection(&params, &all))
                    .await
                    .ok()
            })
        });
        // A plane that is broken by now keeps them.
        let _ = cleared.join();
    }
}
