//! A scripted API server, and the real enforcer that works against it.

use std::{sync::Arc, time::Duration};

use curfew::{
    cluster::{
        Cluster, WriteGate,
        api_health::{self, ApiHealth},
        autoscalers::Autoscalers,
        events::EventPublisher,
        lookup::CachedLookup,
        policies::InForce,
        watch::Watches,
    },
    enforcer::{self, Context, metrics::Metrics, rollouts::Rollouts, state::CanaryStates},
    flagger::canary::Canary,
    leader::election::Election,
    policy::file,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{
    app::{self, APP, NAMESPACE},
    request::Request,
    server::Server,
    world::World,
};

/// Long enough for what would come at once to come, and for one back-off to pass.
pub const A_WHILE: Duration = Duration::from_millis(2_500);

const POLICY: &str = "
apiVersion: curfew.dev/v1alpha1
kind: CanaryPolicy
metadata: {name: scripted}
spec: {enforcement: {warnAtPercent: 100, breaker: {enabled: false}}}
";

/// A server with an application, and an enforcer.
pub struct Stage {
    pub server: Server,
    /// Where the Lease is, so that it does not stand between everything else.
    pub leases: Server,
    /// How long a watch may be silent.
    pub silent: Duration,
    /// The policies in force.
    pub policy: &'static str,
    enforcer: Option<Enforcer>,
}

/// The enforcer at work; it ends when this is dropped, wherever it is.
struct Enforcer {
    task: JoinHandle<()>,
    election: JoinHandle<()>,
    context: Arc<Context>,
    lookup: CachedLookup,
}

// === impl Enforcer ===

impl Enforcer {
    fn start(stage: &Stage) -> Self {
        let Stage { server, leases, .. } = stage;
        let api_health = ApiHealth::new(stage.silent);
        let client = server.client(&api_health);
        let states = Arc::new(CanaryStates::default());
        let rollouts = Arc::new(Rollouts::default());
        let (forgetful, too) = (Arc::clone(&states), Arc::clone(&rollouts));
        let forget = move |canary: &Canary| {
            forgetful.forget(canary);
            too.forget(canary);
        };
        let (watches, queue) = Watches::start(&client, forget, |_, _| {});
        let election = Election::new(
            leases.client(&ApiHealth::default()),
            NAMESPACE.to_owned(),
            "scripted".to_owned(),
        );
        let leadership = election.leadership();
        let (known, glance) = (Arc::clone(&states), Arc::clone(&rollouts));
        let forget_all = move |led_until| {
            known.clear(led_until);
            glance.clear();
        };
        let lookup = CachedLookup {
            watches: watches.clone(),
            api_health: api_health.clone(),
            scalers: Autoscalers::default(),
            mesh_provider: None,
            selector_labels: None,
        };
        let cluster = Cluster {
            client: client.clone(),
            policies: InForce::new(file::parse(stage.policy, &curfew::rules::vocabulary()).expect("policies")),
            watches,
            api_health: api_health.clone(),
            gate: WriteGate::new(leadership.clone()),
        };
        let publisher = EventPublisher::new(client, "scripted".to_owned(), cluster.gate.clone(), api_health);
        let context = Arc::new(Context {
            cluster,
            states,
            rollouts,
            metrics: Metrics::new(&mut prometheus_client::registry::Registry::default()),
            leadership,
            publisher,
        });
        let never = futures::future::pending::<()>;
        Self {
            task: tokio::spawn(enforcer::run(Arc::clone(&context), queue, never())),
            election: tokio::spawn(election.run(forget_all, |_| {}, never())),
            context,
            lookup,
        }
    }
}

impl Drop for Enforcer {
    fn drop(&mut self) {
        self.task.abort();
        self.election.abort();
    }
}

// === impl Stage ===

impl Stage {
    /// An application at rest, and an enforcer that has seen it.
    pub async fn open() -> Self {
        Self::with(|world| app::install(world, APP)).await
    }

    /// Whatever is there, and an enforcer that has seen it.
    pub async fn with(install: impl FnOnce(&mut World)) -> Self {
        let mut stage = Self::without_enforcer(install).await;
        stage.start().await;
        stage
    }

    /// A rollout with a deadline of so many seconds, which was seen from its beginning.
    pub async fn stamped(deadline: i64) -> Self {
        let stage = Self::with(|world| {
            app::install(world, APP);
            world.change("canaries", NAMESPACE, APP, |canary| {
                canary["spec"]["progressDeadlineSeconds"] = json!(deadline);
            });
        })
        .await;
        stage.begin();
        stage
            .server
            .until("the rollout is stamped", |_, log| {
                let is_stamp = |request: &Request| request.is("patch", "canaries") && request.succeeded();
                log.iter().any(is_stamp).then_some(())
            })
            .await;
        stage
    }

    /// Whatever is there, and nobody who looks at it.
    pub async fn without_enforcer(install: impl FnOnce(&mut World)) -> Self {
        let server = Server::start().await;
        server.change(|world| {
            world.create(
                "namespaces",
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
            );
            install(world);
        });
        Self {
            server,
            leases: Server::start().await,
            silent: api_health::SILENT,
            policy: POLICY,
            enforcer: None,
        }
    }

    /// Starts an enforcer that knows nothing yet, and waits until it watches everything.
    pub async fn start(&mut self) {
        let before = self.server.log().len();
        self.start_unheard();
        self.server
            .until("the enforcer watches", |_, log| {
                let kinds = ["canaries", "daemonsets", "deployments", "events", "namespaces"];
                let watches = |kind| log[before..].iter().any(|request| request.is("watch", kind));
                kinds.into_iter().all(watches).then_some(())
            })
            .await;
    }

    /// Starts an enforcer that knows nothing yet, and may not get far.
    pub fn start_unheard(&mut self) {
        self.enforcer = Some(Enforcer::start(self));
    }

    /// Whether the enforcer is at work.
    pub fn runs(&self) -> bool {
        self.enforcer
            .as_ref()
            .is_some_and(|enforcer| !enforcer.task.is_finished())
    }

    /// Whether the enforcer leads.
    pub fn leads(&self) -> bool {
        self.enforcer
            .as_ref()
            .is_some_and(|enforcer| enforcer.context.leadership.is_leader())
    }

    /// What the rules would be told by the enforcer's watches.
    pub fn lookup(&self) -> &CachedLookup {
        let enforcer = self.enforcer.as_ref().expect("an enforcer");
        &enforcer.lookup
    }

    /// What the enforcer works with.
    pub fn context(&self) -> Arc<Context> {
        let enforcer = self.enforcer.as_ref().expect("an enforcer");
        Arc::clone(&enforcer.context)
    }

    /// Ends the enforcer, wherever it is.
    pub fn kill(&mut self) {
        self.enforcer = None;
    }

    /// The rollout of the application begins.
    pub fn begin(&self) {
        self.server.change(|world| app::begin(world, APP));
    }

    /// Waits until both levers are in place and the verdict is written down.
    pub async fn handed_over(&self, name: &str) {
        self.server
            .until("Flagger is handed the verdict", |world, _| {
                app::is_handed_over(world, name).then_some(())?;
                app::has_result(world, name, "requested")
            })
            .await;
    }

    /// Waits until the verdict has this result.
    pub async fn result(&self, result: &str) {
        let what = format!("the verdict is {result}");
        self.server
            .until(&what, |world, _| app::has_result(world, APP, result))
            .await;
    }

    /// Waits for an Event of this reason.
    pub async fn told(&self, reason: &str) -> Request {
        let is_told = |request: &&Request| request.is("create", "events") && request.body["reason"] == reason;
        self.server
            .until(reason, |_, log| log.iter().find(is_told).cloned())
            .await
    }

    /// The reasons of the Events that were written, in order.
    pub fn events(&self) -> Vec<String> {
        let log = self.server.log();
        let events = log.iter().filter(|request| request.is("create", "events"));
        events
            .filter(|request| request.succeeded())
            .map(|request| request.body["reason"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// How often the verdict was written down with this result.
    pub fn verdicts(&self, result: &str) -> usize {
        let log = self.server.log();
        let wanted = format!("\"result\":\"{result}\"");
        let written = |request: &&Request| {
            let verdict = &request.body["metadata"]["annotations"]["curfew.dev/verdict"];
            request.succeeded() && verdict.as_str().is_some_and(|verdict| verdict.contains(&wanted))
        };
        log.iter().filter(written).count()
    }

    /// What holds for every write at any time: it says of which object in which state it is, and touches nothing but what
    /// is Curfew's to touch.
    pub fn assert_careful(&self) {
        for write in self.server.writes() {
            let body = &write.body;
            match write.resource.as_str() {
                "canaries" => assert_only(body, &["metadata"], &["annotations"]),
                "canaries/status" => assert_only(body, &["metadata", "status"], &[]),
                "deployments/status" => {
                    assert_only(body, &["metadata", "status"], &[]);
                    let status = body["status"].as_object().expect("a status");
                    assert!(status.keys().eq(["conditions"]), "{body}");
                }
                "events" => {}
                other => panic!("a write of {other}: {body}"),
            }
        }
    }
}

fn assert_only(body: &Value, parts: &[&str], metadata: &[&str]) {
    let keys = |value: &Value| -> Vec<String> { value.as_object().expect("an object").keys().cloned().collect() };
    assert!(keys(body).iter().all(|key| parts.contains(&key.as_str())), "{body}");
    for precondition in ["uid", "resourceVersion"] {
        assert!(
            body["metadata"][precondition].is_string(),
            "without {precondition}: {body}"
        );
    }
    let allowed = |key: &String| ["uid", "resourceVersion"].contains(&key.as_str()) || metadata.contains(&key.as_str());
    assert!(keys(&body["metadata"]).iter().all(allowed), "{body}");
}
