//! The application teams: each rolls out its application, again and again, and does to it what teams do.
//!
//! A story is one push and what happens to it: a fix pushed in the middle, an edited deadline, a hold, another number of
//! replicas, a Canary that is deleted and made anew. Which, is chance with a seed of the team's own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, Error};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use testbed::OUTCOME;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::{
    facts::{CONTAINER, Canary},
    record::{Latest, Record},
};

/// How long an initialization may take among hundreds.
const INITIALIZATION: Duration = Duration::from_mins(5);
/// How long a request is tried again while something is broken.
const PATIENCE: Duration = Duration::from_mins(1);
/// How soon.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a team waits for the end of a rollout before it goes on to the next.
const GIVEN_UP: Duration = Duration::from_mins(2);

/// One team.
pub struct Team {
    pub app: String,
    pub deployments: Api<Deployment>,
    pub canaries: Api<DynamicObject>,
    pub rng: Rng,
    /// Who may roll out now, so that the machine is not asked for more than it has.
    pub turns: Arc<Semaphore>,
    latest: watch::Receiver<Latest>,
    replicas: i64,
    version: u32,
}

// === impl Team ===

impl Team {
    pub fn new(
        app: String,
        client: &Client,
        namespace: &str,
        canaries: &ApiResource,
        record: &Record,
        rng: Rng,
        turns: Arc<Semaphore>,
    ) -> Result<Self> {
        let latest = record.latest(&app).context("an application that is not watched")?;
        Ok(Self {
            app,
            deployments: Api::namespaced(client.clone(), namespace),
            canaries: Api::namespaced_with(client.clone(), namespace, canaries),
            rng,
            turns,
            latest,
            replicas: 2,
            version: 1,
        })
    }

    /// Brings the application and its Canary into the cluster, and waits until Flagger has taken it over.
    pub async fn move_in(&mut self) -> Result<()> {
        self.replicas = if self.rng.bool() { 2 } else { 4 };
        let labels = json!({"app": self.app});
        let deployment = json!({
            "metadata": {"name": self.app},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels, "annotations": {OUTCOME: "ready"}},
                    "spec": {"containers": [
                        {"name": "log", "image": "log:1"},
                        {"name": CONTAINER, "image": format!("{}:{}", self.app, self.version)},
                    ]},
                },
            },
        });
        create(&self.deployments, &deployment).await?;
        self.initialize().await
    }

    /// Rolls out for as long as nobody drops it.
    pub async fn live(&mut self) -> Result<()> {
        loop {
            let turn = Arc::clone(&self.turns).acquire_owned().await?;
            self.roll_out().await?;
            drop(turn);
            sleep(self.some(1, 6)).await;
        }
    }

    async fn initialize(&mut self) -> Result<()> {
        let canary = json!({
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": self.app},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.app},
                "progressDeadlineSeconds": self.rng.u32(15..=40),
                "service": {"port": 80},
                "analysis": {"interval": "10s", "threshold": 2, "iterations": self.rng.u32(1..=2)},
            },
        });
        create(&self.canaries, &canary).await?;
        self.phase(INITIALIZATION, |canary| canary.phase == "Initialized")
            .await
            .with_context(|| format!("{} was not initialized", self.app))
    }

    /// One push, what happens to it, and its end.
    async fn roll_out(&mut self) -> Result<()> {
        let before = self.latest.borrow().canary.clone().unwrap_or_default();
        let outcome = self.outcome();
        self.push(&outcome).await?;
        let is_new = |canary: &Canary| canary.rollout != before.rollout && canary.can_fail();
        // A rollout that has not begun is the checker's business, not the team's.
        if self.phase(PATIENCE, is_new).await.is_err() {
            return Ok(());
        }
        for _ in 0..self.rng.usize(0..=2) {
            sleep(self.some(1, 22)).await;
            if !self.latest.borrow().canary.as_ref().is_some_and(Canary::can_fail) {
                break;
            }
            if self.disturb().await? {
                return Ok(());
            }
        }
        let is_over = |canary: &Canary| matches!(canary.phase.as_str(), "Succeeded" | "Failed");
        let _ = self.phase(GIVEN_UP, is_over).await;
        Ok(())
    }

    /// Does something in mid-rollout. Answers whether that was its end.
    async fn disturb(&mut self) -> Result<bool> {
        match self.rng.u32(0..100) {
            0..40 => {
                let fix = if self.rng.u32(0..3) == 0 {
                    self.outcome()
                } else {
                    self.fine()
                };
                self.push(&fix).await?;
            }
            40..65 => {
                let deadline = self.rng.u32(15..=60);
                self.edit(&json!({"spec": {"progressDeadlineSeconds": deadline}}))
                    .await?;
            }
            65..80 => {
                self.edit(&json!({"spec": {"suspend": true}})).await?;
                sleep(self.some(3, 15)).await;
                self.edit(&json!({"spec": {"suspend": false}})).await?;
            }
            80..92 => {
                self.replicas = self.rng.i64(1..=4);
                self.patch(&json!({"spec": {"replicas": self.replicas}})).await?;
            }
            _ => {
                self.begin_anew().await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Deletes the Canary, puts the application back to what works, and makes the Canary anew.
    async fn begin_anew(&mut self) -> Result<()> {
        insist(
            async || {
                self.canaries
                    .delete(&self.app, &DeleteParams::default())
                    .await
                    .map(drop)
            },
            404,
        )
        .await?;
        self.until(PATIENCE, |latest| latest.canary.is_none() && !latest.has_primary)
            .await
            .context("a Canary was not deleted")?;
        self.patch(&json!({"spec": {"replicas": self.replicas}})).await?;
        self.push("ready").await?;
        self.initialize().await
    }

    /// Something that gets ready.
    fn fine(&mut self) -> String {
        if self.rng.bool() {
            "ready".to_owned()
        } else {
            format!("ready-after:{}", self.rng.u32(2..=12))
        }
    }

    fn outcome(&mut self) -> String {
        match self.rng.u32(0..100) {
            0..30 => self.fine(),
            30..40 => format!("ready-after:{}", self.rng.u32(12..=50)),
            40..48 => "crash".to_owned(),
            48..63 => "crash-one".to_owned(),
            63..71 => format!("crash-last:{}", self.rng.u32(4..=15)),
            71..85 => format!("flap:{}:{}", self.rng.u32(3..=15), self.rng.u32(2..=10)),
            85..93 => "unready".to_owned(),
            _ => "image-pull".to_owned(),
        }
    }

    async fn push(&mut self, outcome: &str) -> Result<()> {
        self.version += 1;
        let image = format!("{}:{}", self.app, self.version);
        let template = json!({
            "metadata": {"annotations": {OUTCOME: outcome}},
            "spec": {"containers": [{"name": CONTAINER, "image": image}]},
        });
        self.patch(&json!({"spec": {"template": template}})).await
    }

    async fn patch(&self, patch: &Value) -> Result<()> {
        let (params, patch) = (PatchParams::default(), Patch::Strategic(patch));
        insist(
            async || self.deployments.patch(&self.app, &params, &patch).await.map(drop),
            0,
        )
        .await
    }

    async fn edit(&self, patch: &Value) -> Result<()> {
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        insist(
            async || self.canaries.patch(&self.app, &params, &patch).await.map(drop),
            0,
        )
        .await
    }

    async fn phase(&mut self, patience: Duration, is_it: impl Fn(&Canary) -> bool) -> Result<()> {
        self.until(patience, |latest| latest.canary.as_ref().is_some_and(&is_it))
            .await
    }

    async fn until(&mut self, patience: Duration, is_it: impl FnMut(&Latest) -> bool) -> Result<()> {
        let found = timeout(patience, self.latest.wait_for(is_it)).await;
        found.with_context(|| format!("waited {} s in vain", patience.as_secs()))??;
        Ok(())
    }

    fn some(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.rng.u64(least * 1000..=most * 1000))
    }
}

async fn create<K>(api: &Api<K>, object: &Value) -> Result<()>
where
    K: Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object.clone())?;
    // Created already by a request whose answer was lost: as well.
    insist(
        async || api.create(&PostParams::default(), &object).await.map(drop),
        409,
    )
    .await
}

/// Asks again while something is broken. An answer with the code `fine` is as good as success.
async fn insist(ask: impl AsyncFn() -> Result<(), Error>, fine: u16) -> Result<()> {
    let since = tokio::time::Instant::now();
    loop {
        match ask().await {
            Ok(()) => return Ok(()),
            Err(Error::Api(status)) if status.code == fine => return Ok(()),
            Err(error) if since.elapsed() > PATIENCE => {
                bail!("asked for {} s in vain: {error}", PATIENCE.as_secs())
            }
            Err(_) => sleep(AGAIN).await,
        }
    }
}
