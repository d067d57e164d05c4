//! The process, put together from top to bottom.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::http::{HeaderValue, header};
use futures::{FutureExt as _, StreamExt as _, future::ready};
use kube::{Client, client::ClientBuilder};
use tokio::sync::oneshot;

use super::{
    admin,
    args::Args,
    client_errors,
    error::{Error, StartError},
    identity::{self, Identity},
    logging,
    metrics::{AdmissionMetrics, Registry},
    readiness::Readiness,
    register::Registration,
    shutdown,
    tasks::{Tasks, WEBHOOK},
    tls::Certificate,
    webhook::{self, Webhook},
};
use crate::{
    audit::{
        auditor::{Audit, DirtySet},
        findings::{Counts, FindingStore},
    },
    cluster::{
        Cluster, WriteGate,
        api_health::ApiHealth,
        autoscalers::Autoscalers,
        events::EventPublisher,
        lookup::CachedLookup,
        policies::InForce,
        policy_objects,
        watch::{Queue, Watches},
    },
    enforcer::{self, rollouts::Rollouts, state::CanaryStates},
    leader::election::Election,
    policy::{Checked, Policies, crd::PLURAL as POLICIES, file},
    rules,
};

/// How long a stopping server waits for requests under way.
const DRAIN: Duration = Duration::from_secs(10);
/// How long it waits for everything: until nobody asks any more, and then for requests under way.
const PATIENCE: Duration = Duration::from_secs(21);

/// Serves until a signal comes.
///
/// # Errors
/// It cannot start as it was asked to, or one of its parts failed.
#[expect(
    clippy::too_many_lines,
    reason = "the whole process is put together in one place, from top to bottom"
)]
pub async fn run(args: Args) -> Result<(), Error> {
    let Args {
        policy,
        register,
        webhook_addr,
        admin_addr,
        tls_dir,
        namespace,
        flagger_mesh_provider,
        flagger_selector_labels,
        log_format,
        log_level,
    } = args;
    logging::start(log_format, &log_level)?;
    let mut signals = shutdown::Signals::listen().map_err(StartError::Signals)?;
    let from_file = read_policies(policy.as_deref())?;
    let certificate = certificate(tls_dir, &namespace, webhook_addr)?;
    let webhook_listener = listen("--webhook-addr", webhook_addr)?;
    // The port that was found free, where none was asked for.
    let webhook_addr = webhook_listener.local_addr().unwrap_or(webhook_addr);
    let admin_listener = listen("--admin-addr", admin_addr)?;
    let api_health = ApiHealth::default();
    let instance = std::env::var("HOSTNAME").unwrap_or_else(|_| "curfew".to_owned());
    let client = client(&api_health, &instance).await?;

    let mut registry = Registry::new();
    let readiness = Readiness::new();
    readiness.set("webhook", Ok(()));
    readiness.set("certificate", Ok(()));
    let mut tasks = Tasks::default();
    let policies = watch_policies(&client, from_file, &readiness, &mut tasks);
    let identity = Identity::default();
    let states = Arc::new(CanaryStates::default());
    let rollouts = Arc::new(Rollouts::default());
    let marks = DirtySet::default();
    let (watches, queue) = start_watches(&client, &states, &rollouts, &marks, &readiness);
    enforcer::metrics::Metrics::tell(registry.inner(), api_health.clone(), Arc::clone(&rollouts));
    registry.count_rollouts(watches.canaries.clone());
    let holder = identity::holder(&instance)?;
    let election = Election::new(client.clone(), namespace, holder);
    registry.tell_leader(election.leadership());
    let leadership = election.leadership();
    let cluster = Cluster {
        client: client.clone(),
        watches: watches.clone(),
        policies: policies.clone(),
        api_health: api_health.clone(),
        gate: WriteGate::new(leadership.clone()),
    };
    let publisher = EventPublisher::new(client.clone(), instance, cluster.gate.clone(), api_health.clone());
    let context = Arc::new(enforcer::Context {
        cluster: cluster.clone(),
        leadership: leadership.clone(),
        states,
        rollouts,
        metrics: enforcer::metrics::Metrics::new(registry.inner()),
        publisher: publisher.clone(),
    });
    let lookup = CachedLookup {
        api_health,
        scalers: start_scalers(&client, &watches, &marks, &mut tasks),
        watches: watches.clone(),
        mesh_provider: flagger_mesh_provider,
        selector_labels: flagger_selector_labels,
    };
    let webhook = Webhook {
        policies: policies.clone(),
        lookup: Arc::new(lookup.clone()),
        namespaces: watches.namespaces.clone(),
        identity: identity.clone(),
        metrics: AdmissionMetrics::new(registry.inner()),
        stopping: shutdown::Stopping::default(),
    };
    let audit = Audit {
        cluster,
        leadership,
        publisher,
        lookup,
        marks,
        finding_store: FindingStore::default(),
    };
    registry
        .inner()
        .register_collector(Box::new(Counts(audit.finding_store.clone())));
    let stopping = webhook.stopping.clone();
    let registration = register.then(|| Registration::new(webhook_addr, certificate.ca_bundle.clone()));

    let webhook_handle = axum_server::Handle::new();
    let admin_handle = axum_server::Handle::new();
    tasks.spawn(
        WEBHOOK,
        webhook::serve(webhook_listener, certificate, webhook, webhook_handle.clone()),
    );
    tasks.spawn(
        "the admin listener",
        admin::serve(admin_listener, readiness.clone(), registry, admin_handle.clone()),
    );
    tasks.spawn("the audit", async {
        audit.run().await;
        Ok(())
    });
    let stop_enforcer = tasks.spawn_enforcer(context, queue, election, readiness.clone());
    let (stop_registering, stop) = oneshot::channel();
    let registering = tokio::spawn(identity::register_when_ready(
        client.clone(),
        identity.clone(),
        readiness.clone(),
        policies,
        registration.clone(),
        stop,
    ));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %webhook_addr, %admin_addr, "started");

    let ended = tokio::select! {
        ended = tasks.first_to_end() => Err(ended),
        () = signals.next() => Ok(()),
    };
    readiness.set("running", Err("stopping".to_owned()));
    // What is removed must not be written once more.
    drop(stop_registering);
    let _ = tokio::time::timeout(DRAIN, registering).await;
    if let Some(registration) = &registration {
        // Not to be cut short: a configuration that is left behind refuses everybody's Canaries.
        let _ = tokio::time::timeout(DRAIN, registration.remove(&client)).await;
    }
    // Whoever leads next need not wait until nobody asks the webhook any more.
    drop(stop_enforcer);
    tokio::select! {
        () = drain(&stopping, &webhook_handle, &admin_handle, &mut tasks) => tracing::info!("stopped"),
        () = signals.next() => tracing::warn!("a second signal: stopping at once"),
    }
    ended
}

/// Answers those who still ask, until nobody does or patience ends.
async fn drain(
    stopping: &shutdown::Stopping,
    webhook: &axum_server::Handle<SocketAddr>,
    admin: &axum_server::Handle<SocketAddr>,
    tasks: &mut Tasks,
) {
    let quiet = async {
        stopping.until_quiet().await;
        webhook.graceful_shutdown(Some(DRAIN));
    };
    let _ = tokio::join!(quiet, tokio::time::timeout(PATIENCE, tasks.until_ended()));
    admin.graceful_shutdown(Some(Duration::ZERO));
}

/// Starts the watches of autoscalers, by which Canaries that have one may be judged anew.
fn start_scalers(client: &Client, watches: &Watches, marks: &DirtySet, tasks: &mut Tasks) -> Autoscalers {
    let (scalers, changes) = Autoscalers::start(client);
    let (canaries, marks) = (watches.canaries.clone(), marks.clone());
    let changes = changes.for_each(move |()| {
        let all = canaries.state().into_iter();
        let scaled = all.filter(|canary| canary.spec.autoscaler.is_some());
        marks.mark(scaled.map(|canary| (canary.namespace().to_owned(), canary.name().to_owned())));
        ready(())
    });
    tasks.spawn("the watch of autoscalers", changes.map(Ok));
    scalers
}

fn start_watches(
    client: &Client,
    states: &Arc<CanaryStates>,
    rollouts: &Arc<Rollouts>,
    marks: &DirtySet,
    readiness: &Readiness,
) -> (Watches, Queue) {
    let (gone, changed) = (marks.clone(), marks.clone());
    let (states, rollouts, readiness) = (Arc::clone(states), Arc::clone(rollouts), readiness.clone());
    let (watches, queue) = Watches::start(
        client,
        move |canary| {
            states.forget(canary);
            rollouts.forget(canary);
            gone.gone(canary);
        },
        move |what, state| match state {
            Ok(()) => readiness.set(what, Ok(())),
            Err(why) => readiness.fail_if_waiting(what, why),
        },
    );
    let queue = queue.inspect(move |looked_at| {
        if let Ok(canary) = looked_at {
            changed.mark([(canary.namespace.clone().unwrap_or_default(), canary.name.clone())]);
        }
    });
    (watches, Box::pin(queue))
}

/// The policies in force: those of the file together with those of the cluster.
fn watch_policies(client: &Client, from_file: Vec<Checked>, readiness: &Readiness, tasks: &mut Tasks) -> InForce {
    let policies = InForce::awaiting(Policies::new(from_file.clone()));
    let readiness = readiness.clone();
    let watch = policy_objects::watch(client, from_file, policies.clone());
    let watch = watch.for_each(move |state| {
        match state {
            Ok(()) => readiness.set(POLICIES, Ok(())),
            Err(why) => readiness.fail_if_waiting(POLICIES, why),
        }
        ready(())
    });
    tasks.spawn("the watch of policies", watch.map(Ok));
    policies
}

/// The policies of a file, if there is one.
fn read_policies(path: Option<&Path>) -> Result<Vec<Checked>, StartError> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let text = std::fs::read_to_string(path).map_err(|source| StartError::PolicyFile {
        path: path.to_owned(),
        source,
    })?;
    file::read(&text, &rules::vocabulary()).map_err(|source| StartError::Policy {
        path: path.to_owned(),
        source,
    })
}

fn certificate(dir: Option<PathBuf>, namespace: &str, addr: SocketAddr) -> Result<Certificate, StartError> {
    match dir {
        Some(dir) => Certificate::read(&dir),
        None => Certificate::self_made(namespace, addr.ip()),
    }
    .map_err(StartError::from)
}

fn listen(flag: &'static str, addr: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(addr).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|source| StartError::Listen {
        flag,
        address: addr,
        source,
    })
}

async fn client(api_health: &ApiHealth, instance: &str) -> Result<Client, StartError> {
    let mut config = kube::Config::infer()
        .await
        .map_err(|error| StartError::NoCluster(Box::new(error)))?;
    // So that audit logs tell replicas apart.
    if let Ok(agent) = HeaderValue::from_str(&format!("curfew/{} ({instance})", env!("CARGO_PKG_VERSION"))) {
        config.headers.push((header::USER_AGENT, agent));
    }
    let server = config.cluster_url.to_string();
    ClientBuilder::try_from(config)
        .map(|builder| {
            builder
                .with_layer(api_health)
                .with_layer(&client_errors::layer(server))
                .build()
        })
        .map_err(|error| StartError::Kubeconfig(Box::new(error)))
}
