//! Serving: listeners, TLS, readiness, metrics, shutdown.
//!
//! [`run`] checks what it was given, binds both listeners, and starts the webhook, the admin pages, the watches
//! and the enforcer as tasks. A task that ends by itself ends the process; a signal ends them in stages.

pub mod admin;
pub mod args;
pub mod identity;
pub mod logging;
pub mod metrics;
mod reach;
pub mod readiness;
pub mod register;
pub mod shutdown;
mod tasks;
pub mod tls;
pub mod webhook;

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::http::{HeaderValue, header};
use kube::{Client, client::ClientBuilder};

pub use self::args::Args;
use self::{
    identity::Identity,
    metrics::{AdmissionMetrics, Registry},
    readiness::Readiness,
    register::Registration,
    tasks::{Tasks, WEBHOOK},
    tls::Certificate,
    webhook::Webhook,
};
use crate::{
    enforcer::{
        self,
        election::Election,
        link::Link,
        memory::Memories,
        rollouts::Rollouts,
        watch::{Queue, Watches},
    },
    policy::{Policies, file},
};

/// How long a stopping server waits for requests under way.
const DRAIN: Duration = Duration::from_secs(10);
/// How long it waits for everything: until nobody asks any more, and then for requests under way.
const PATIENCE: Duration = Duration::from_secs(21);

/// Why `serve` ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not start with what it was given.
    #[error("cannot start: {0}")]
    BadStart(String),
    /// A part of it ended that should run for ever.
    #[error("{0} ended unasked")]
    TaskEnded(String),
}

/// Serves until a signal comes.
///
/// # Errors
/// It cannot start as it was asked to, or one of its parts failed.
pub async fn run(args: Args) -> Result<(), Error> {
    let Args {
        policy,
        register,
        webhook_addr,
        admin_addr,
        tls_dir,
        namespace,
        log_format,
        log_level,
    } = args;
    logging::start(log_format, &log_level).map_err(Error::BadStart)?;
    let mut signals = shutdown::Signals::listen().map_err(|error| Error::BadStart(format!("signals: {error}")))?;
    let policies = Arc::new(read_policies(policy.as_deref())?);
    let certificate = certificate(tls_dir, &namespace, webhook_addr)?;
    let webhook_listener = listen("--webhook-addr", webhook_addr)?;
    let admin_listener = listen("--admin-addr", admin_addr)?;
    let webhook_addr = local_address(&webhook_listener)?;
    let link = Link::default();
    let instance = std::env::var("HOSTNAME").unwrap_or_else(|_| "curfew".to_owned());
    let client = client(&link, &instance).await?;

    let mut registry = Registry::new();
    let readiness = Readiness::new();
    readiness.set("webhook", Ok(()));
    readiness.set("certificate", Ok(()));
    let identity = Identity::default();
    let memories = Arc::new(Memories::default());
    let rollouts = Arc::new(Rollouts::default());
    let (watches, queue) = start_watches(&client, &memories, &rollouts, &readiness);
    enforcer::metrics::Metrics::tell(registry.inner(), link.clone(), Arc::clone(&rollouts));
    registry.count_rollouts(watches.canaries.clone());
    let holder = identity::holder(&instance).map_err(Error::BadStart)?;
    let election = Election::new(client.clone(), namespace, holder);
    registry.tell_leader(election.leadership());
    let context = Arc::new(enforcer::Context {
        client: client.clone(),
        policies: Arc::clone(&policies),
        watches: watches.clone(),
        memories,
        link,
        rollouts,
        metrics: enforcer::metrics::Metrics::new(registry.inner()),
        leadership: election.leadership(),
        instance,
        teller: enforcer::events::Teller::default(),
    });
    let webhook = Webhook {
        policies,
        namespaces: watches.namespaces.clone(),
        identity: identity.clone(),
        metrics: AdmissionMetrics::new(registry.inner()),
        stopping: shutdown::Stopping::default(),
    };
    let stopping = webhook.stopping.clone();
    let registration = register.then(|| Registration::new(webhook_addr, certificate.ca_bundle.clone()));

    let mut tasks = Tasks::default();
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
    let stop_enforcer = tasks.spawn_enforcer(context, queue, election, readiness.clone());
    tokio::spawn(identity::find_out(
        client.clone(),
        identity.clone(),
        readiness.clone(),
        registration.clone(),
    ));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %webhook_addr, %admin_addr, "started");

    let ended = tokio::select! {
        ended = tasks.first_to_end() => Err(ended),
        () = signals.next() => Ok(()),
    };
    readiness.set("running", Err("stopping".to_owned()));
    if let Some(registration) = &registration {
        // Not to be cut short: a configuration that is left behind refuses everybody's Canaries.
        let _ = tokio::time::timeout(DRAIN, registration.remove(&client)).await;
    }
    let stages = async {
        // Whoever leads next need not wait until nobody asks the webhook any more.
        drop(stop_enforcer);
        let quiet = async {
            stopping.until_quiet().await;
            webhook_handle.graceful_shutdown(Some(DRAIN));
        };
        let _ = tokio::join!(quiet, tokio::time::timeout(PATIENCE, tasks.until_ended()));
        admin_handle.graceful_shutdown(Some(Duration::ZERO));
    };
    tokio::select! {
        () = stages => tracing::info!("stopped"),
        () = signals.next() => tracing::warn!("a second signal: stopping at once"),
    }
    ended
}

fn start_watches(
    client: &Client,
    memories: &Arc<Memories>,
    rollouts: &Arc<Rollouts>,
    readiness: &Readiness,
) -> (Watches, Queue) {
    let (memories, rollouts, readiness) = (Arc::clone(memories), Arc::clone(rollouts), readiness.clone());
    Watches::start(
        client,
        move |canary| {
            memories.forget(canary);
            rollouts.forget(canary);
        },
        move |what, state| match state {
            Ok(()) => readiness.set(what, Ok(())),
            Err(why) => readiness.fail_if_waiting(what, why),
        },
    )
}

/// The policies of a file; without one, the built-in.
fn read_policies(path: Option<&Path>) -> Result<Policies, Error> {
    let Some(path) = path else {
        return Ok(Policies::default());
    };
    let bad = |why: String| Error::BadStart(format!("--policy {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    file::parse(&text).map_err(|error| bad(error.to_string()))
}

fn certificate(dir: Option<PathBuf>, namespace: &str, addr: SocketAddr) -> Result<Certificate, Error> {
    match dir {
        Some(dir) => Certificate::read(&dir),
        None => Certificate::self_made(namespace, addr.ip()),
    }
    .map_err(|error| Error::BadStart(error.to_string()))
}

fn listen(flag: &str, addr: SocketAddr) -> Result<TcpListener, Error> {
    let listener = TcpListener::bind(addr).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| Error::BadStart(format!("{flag} {addr}: {error}")))
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr, Error> {
    listener
        .local_addr()
        .map_err(|error| Error::BadStart(error.to_string()))
}

async fn client(link: &Link, instance: &str) -> Result<Client, Error> {
    let mut config = kube::Config::infer().await.map_err(|error| {
        Error::BadStart(format!(
            "no way to the cluster: {}; run inside a cluster, or set KUBECONFIG to a kubeconfig file",
            one_line(&error)
        ))
    })?;
    // So that audit logs tell replicas apart.
    if let Ok(agent) = HeaderValue::from_str(&format!("curfew/{} ({instance})", env!("CARGO_PKG_VERSION"))) {
        config.headers.push((header::USER_AGENT, agent));
    }
    let server = config.cluster_url.to_string();
    ClientBuilder::try_from(config)
        .map(|builder| builder.with_layer(link).with_layer(&reach::layer(server)).build())
        .map_err(|error| Error::BadStart(format!("the kubeconfig cannot be used: {}", one_line(&error))))
}

/// An error with what is behind it, on one line.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
