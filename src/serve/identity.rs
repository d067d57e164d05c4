//! Who Curfew is to the API server. Its own writes must not be judged by its own webhook.

use std::sync::{Arc, OnceLock};

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{Api, Client, api::PostParams};
use rustls::crypto::ring;
use tokio::{
    sync::oneshot,
    time::{Duration, timeout},
};

use super::{
    error::{StartError, one_line},
    readiness::Readiness,
    register::Registration,
};
use crate::cluster::policies::InForce;

/// How long to wait before the API server is asked again.
const RETRY: Duration = Duration::from_secs(2);

/// How long to wait before it is looked again whether the policies are known.
const BRIEFLY: Duration = Duration::from_millis(200);

/// The user name under which Curfew is known, once it is.
#[derive(Clone, Debug, Default)]
pub struct Identity(Arc<OnceLock<String>>);

// === impl Identity ===

impl Identity {
    /// Whether this user is Curfew itself.
    #[must_use]
    pub fn is(&self, username: &str) -> bool {
        self.0.get().is_some_and(|own| own == username)
    }

    /// An identity that is known already.
    #[must_use]
    pub fn known(username: &str) -> Self {
        let identity = Self::default();
        let _ = identity.0.set(username.to_owned());
        identity
    }
}

/// Asks until the API server says who this is, then registers the webhook if that is wanted: not before it is known by
/// which policies it judges. Ends early when `stop` is dropped, but never in the middle of a write: what was sent
/// and not waited for may still be done.
pub async fn register_when_ready(
    client: Client,
    identity: Identity,
    readiness: Readiness,
    policies: InForce,
    registration: Option<Registration>,
    mut stop: oneshot::Receiver<()>,
) {
    while registration.is_some() && !policies.is_known() {
        let why = "the webhook is registered when the policies are known";
        readiness.set("identity", Err(why.to_owned()));
        if timeout(BRIEFLY, &mut stop).await.is_ok() {
            return;
        }
    }
    loop {
        let asked = tokio::select! {
            asked = ask(&client) => asked,
            _ = &mut stop => return,
        };
        match asked {
            Ok(username) => {
                if let Some(registration) = &registration
                    && let Err(error) = registration.write(&client, &username).await
                {
                    let why = format!("cannot register the webhook: {}", one_line(&error));
                    tracing::warn!(why, "not ready");
                    readiness.set("identity", Err(why));
                } else {
                    let _ = identity.0.set(username);
                    readiness.set("identity", Ok(()));
                    return;
                }
            }
            Err(error) => readiness.set("identity", Err(one_line(&error))),
        }
        if timeout(RETRY, &mut stop).await.is_ok() {
            return;
        }
    }
}

/// A name under which nobody else holds the Lease: this machine's or pod's, and something random after it, as
/// controller-runtime has it. A process that comes back is another one, and waits like any other.
///
/// # Errors
/// The system gives no randomness.
pub fn holder(instance: &str) -> Result<String, StartError> {
    let mut random = [0; 8];
    ring::default_provider()
        .secure_random
        .fill(&mut random)
        .map_err(|error| StartError::Random(format!("{error:?}")))?;
    Ok(format!("{instance}_{:016x}", u64::from_be_bytes(random)))
}

async fn ask(client: &Client) -> Result<String, kube::Error> {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = reviews
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await?;
    Ok(review
        .status
        .and_then(|status| status.user_info?.username)
        .unwrap_or_default())
}
