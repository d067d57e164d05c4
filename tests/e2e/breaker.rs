//! A storm of deadlines in the same second. Without a breaker every verdict is handed over at once, each once; with it
//! none is acted upon within its window, loudly, and then they are let go at a steady rate, the oldest first.
//!
//! So many rollouts are no rollouts of Flagger's: their status is written by hand, and no controller runs that would
//! know better.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams},
};
use plane::{Component, Options, Plane, audit};
use serde_json::{Value, json};

use crate::{curfew_says::Metrics, idle::CURFEW, planes};

/// How many deadlines pass in the same second: as many as two cores that do everything else as well can hold.
const MANY: usize = 150;

/// The window of the breaker, which is five minutes by default.
const WINDOW: i64 = 20;

/// Of so many rollouts half may fail within a window; those that were held back are let go at that rate.
const A_SECOND: usize = MANY / 2 / 20;

/// Everything is written within this time, on a machine that does other things as well.
const WRITTEN_WITHIN: i64 = 30;

/// Rollouts that were found running are believed when Flagger has had the time to look at all of them
/// (`docs/flagger.md#looks`).
const BELIEVED_AFTER: i64 = 50;

/// Within this time all of them are handed over without a breaker.
const HANDED_OVER_WITHIN: i64 = 10;

const POLICIES: &str = r#"
apiVersion: curfew.dev/v1alpha1
kind: CanaryPolicy
metadata: {name: with-breaker}
spec:
  precedence: 5
  canarySelector:
    matchLabels: {breaker: "on"}
  admission:
    deadline: {min: 10s, max: 1h}
  enforcement:
    lastResort: false
    breaker: {enabled: true, min: 20, percent: 50, window: 20s}
---
apiVersion: curfew.dev/v1alpha1
kind: CanaryPolicy
metadata: {name: without-breaker}
spec:
  precedence: 5
  canarySelector:
    matchLabels: {breaker: "off"}
  admission:
    deadline: {min: 10s, max: 1h}
  enforcement:
    lastResort: false
    breaker: {enabled: false}
"#;

/// Rollouts whose deadlines pass in the same second.
struct Crowd {
    name: &'static str,
    deadline: i64,
    began: Timestamp,
}

/// When Curfew first raised the failed checks of each Canary of a crowd, after its deadline; and how often.
type Handed = BTreeMap<String, (SignedDuration, usize)>;

// === impl Crowd ===

impl Crowd {
    fn labels(name: &str) -> Value {
        json!({"app": name})
    }

    fn deployment(name: &str) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": Self::labels(name)},
                "template": {
                    "metadata": {"labels": Self::labels(name)},
                    "spec": {"containers": [{"name": "app", "image": "app:1"}]},
                },
            },
        })
    }

    fn deployment_status(&self, available: i32) -> Value {
        let is_available = if available > 0 { "True" } else { "False" };
        let condition = |kind: &str, status: &str, reason: &str| {
            json!({"type": kind, "status": status, "reason": reason, "message": "",
                "lastUpdateTime": self.began, "lastTransitionTime": self.began})
        };
        json!({"status": {
            "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": available,
            "availableReplicas": available, "unavailableReplicas": 1 - available,
            "conditions": [condition("Progressing", "True", "NewReplicaSetAvailable"),
                condition("Available", is_available, "ByHand")],
        }})
    }

    fn pod(name: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": Self::labels(name)},
            "spec": {"containers": [{"name": "app", "image": "app:1"}]},
        })
    }

    fn pod_status(&self) -> Value {
        json!({"status": {
            "phase": "Running", "startTime": self.began,
            "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady",
                "lastTransitionTime": self.began}],
            "containerStatuses": [{"name": "app", "image": "app:1", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"running": {"startedAt": self.began}}}],
        }})
    }

    fn canary(&self, name: &str) -> Value {
        json!({
            "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
            "metadata": {"name": name, "labels": {"breaker": self.name}},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "progressDeadlineSeconds": self.deadline,
                "service": {"port": 80},
                "analysis": {"interval": "10s", "threshold": 3, "iterations": 1},
            },
        })
    }

    fn canary_status(&self) -> Value {
        json!({"status": {
            "phase": "Progressing", "failedChecks": 0, "canaryWeight": 0, "iterations": 0,
            "lastAppliedSpec": "5c7d9f6b8", "lastTransitionTime": self.began,
            "conditions": [{"type": "Promoted", "status": "Unknown", "reason": "Progressing", "message": "",
                "lastUpdateTime": self.began, "lastTransitionTime": self.began}],
        }})
    }

    /// Writes one rollout; its Canary's status last, which begins it.
    async fn write(&self, client: &Client, index: usize) {
        let name = format!("app-{index:03}");
        let primary = format!("{name}-primary");
        for (name, available) in [(&name, 0), (&primary, 1)] {
            self.create(client, &Self::deployment(name)).await;
            self.status(
                client,
                "apps/v1",
                "Deployment",
                name,
                &self.deployment_status(available),
            )
            .await;
        }
        self.create(client, &Self::pod(&name)).await;
        self.status(client, "v1", "Pod", &name, &self.pod_status()).await;
        self.create(client, &self.canary(&name)).await;
        self.status(client, "flagger.app/v1beta1", "Canary", &name, &self.canary_status())
            .await;
    }

    async fn create(&self, client: &Client, object: &Value) {
        let (version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let object = serde_json::from_value(object.clone()).unwrap();
        let api = self.api(client, version, kind);
        api.create(&PostParams::default(), &object).await.unwrap();
    }

    async fn status(&self, client: &Client, version: &str, kind: &str, name: &str, status: &Value) {
        let api = self.api(client, version, kind);
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(status))
            .await
            .unwrap();
    }

    fn api(&self, client: &Client, version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(client.clone(), self.name, &resource)
    }

    async fn write_all(&self, client: &Client) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}});
        let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
        api.create(&PostParams::default(), &serde_json::from_value(namespace).unwrap())
            .await
            .unwrap();
        stream::iter(0..MANY)
            .for_each_concurrent(16, |index| self.write(client, index))
            .await;
    }

    fn passes_at(&self) -> Timestamp {
        self.began + SignedDuration::from_secs(self.deadline)
    }

    /// Waits until a moment after the deadline.
    async fn after_deadline(&self, seconds: i64) {
        let moment = self.passes_at() + SignedDuration::from_secs(seconds);
        let wait = moment.duration_since(curfew::enforcer::clock::now());
        tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
    }

    fn handed(&self, plane: &Plane) -> Handed {
        let mut handed = Handed::new();
        for entry in audit::read(&plane.audit_log()).unwrap() {
            let ours = entry.user == CURFEW && entry.verb == "patch" && entry.code == 200;
            if ours && entry.resource == "canaries/status" && entry.namespace == self.name {
                let late = entry.at.duration_since(self.passes_at());
                handed.entry(entry.name).or_insert((late, 0)).1 += 1;
            }
        }
        handed
    }

    /// Waits until all are handed over.
    async fn all_handed(&self, plane: &Plane, patience: i64) -> Handed {
        let end = tokio::time::Instant::now() + Duration::from_secs(patience.unsigned_abs());
        loop {
            let handed = self.handed(plane);
            if handed.len() == MANY || tokio::time::Instant::now() >= end {
                return handed;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Lateness in milliseconds, in order.
fn lateness(handed: &Handed) -> Vec<i128> {
    let mut late: Vec<_> = handed.values().map(|(late, _)| late.as_millis()).collect();
    late.sort_unstable();
    late
}

async fn withheld(client: &Client, namespace: &str) -> Vec<String> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let all = api.list(&ListParams::default()).await.unwrap();
    let withheld = all
        .items
        .into_iter()
        .filter(|event| event.reason.as_deref() == Some("ActionWithheld"));
    withheld.filter_map(|event| event.note).collect()
}

#[tokio::test]
async fn of_a_storm_of_deadlines_all_are_handed_over_at_once_or_by_the_breaker_one_after_the_other() {
    let options = Options {
        flagger: false,
        ..Options::default()
    };
    let Some(plane) = planes::with_policies(options, POLICIES).await else {
        return;
    };
    plane.kill(Component::ControllerManager).unwrap();
    plane.pause(Component::Kubelet).unwrap();
    let client = plane.client("admin").await.unwrap();
    let now = Timestamp::from_second(curfew::enforcer::clock::now().as_second()).unwrap();
    let crowd = |name, deadline| Crowd {
        name,
        deadline,
        began: now,
    };
    let off = crowd("off", WRITTEN_WITHIN + BELIEVED_AFTER);
    let on = crowd("on", WRITTEN_WITHIN + BELIEVED_AFTER + HANDED_OVER_WITHIN);
    tokio::join!(off.write_all(&client), on.write_all(&client));
    let took = curfew::enforcer::clock::now().duration_since(now);
    eprintln!("{} rollouts were written within {took:#}", 2 * MANY);
    assert!(took.as_secs() < WRITTEN_WITHIN, "too slow a machine: {took:#}");

    off.after_deadline(0).await;
    let handed = off.all_handed(&plane, HANDED_OVER_WITHIN + 20).await;
    let late = lateness(&handed);
    eprintln!(
        "without a breaker {} verdicts were handed over {:?} ms to {:?} ms after their deadlines, half of them by {:?} ms",
        late.len(),
        late.first(),
        late.last(),
        late.get(late.len() / 2)
    );
    assert_eq!(handed.len(), MANY);
    assert!(handed.values().all(|(_, times)| *times == 1), "each once: {handed:?}");
    assert!(late[0] >= 0, "none early");
    assert!(late[MANY - 1] <= i128::from(HANDED_OVER_WITHIN) * 1_000, "{late:?}");

    // With the breaker, none is acted upon within its window.
    on.after_deadline(WINDOW / 2).await;
    assert!((Metrics::of(&plane).await.value("curfew_breaker_open") - 1.0).abs() < 0.1);
    on.after_deadline(WINDOW - 1).await;
    assert_eq!(on.handed(&plane), Handed::new());
    let notes = withheld(&client, on.name).await;
    assert_eq!(notes.len(), MANY);
    assert!(
        notes
            .iter()
            .all(|note| note.contains("deadlines passed within the breaker's window")),
        "{notes:?}"
    );
    let log = std::fs::read_to_string(plane.log("curfew")).unwrap();
    let loud = log
        .lines()
        .filter(|line| line.contains("\"ERROR\"") && line.contains("the breaker is open"))
        .count();
    assert_eq!(loud, 1, "it is said once, loudly");

    let steady = i64::try_from(MANY / A_SECOND).unwrap();
    let handed = on.all_handed(&plane, 3 * steady).await;
    let late = lateness(&handed);
    eprintln!(
        "with it {} were handed over {:?} ms to {:?} ms after",
        late.len(),
        late.first(),
        late.last()
    );
    assert_eq!(handed.len(), MANY);
    assert!(handed.values().all(|(_, times)| *times == 1), "each once: {handed:?}");
    let rate = late
        .windows(5 * A_SECOND * 2)
        .map(|some| some[some.len() - 1] - some[0])
        .min();
    assert!(rate > Some(5_000), "at a steady rate: {late:?}");
    let mut order: Vec<_> = handed.iter().map(|(name, (late, _))| (*late, name.as_str())).collect();
    order.sort_unstable();
    let first: Vec<_> = order.iter().take(MANY / 10).map(|(_, name)| *name).collect();
    assert!(
        first.iter().all(|name| *name < "app-050"),
        "one after the other: {first:?}"
    );
    let end = tokio::time::Instant::now() + Duration::from_mins(1);
    while Metrics::of(&plane).await.value("curfew_breaker_open") > 0.0 {
        assert!(tokio::time::Instant::now() < end, "it does not close");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
