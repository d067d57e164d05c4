//! Words to users: Events on the Canary.
//!
//! kube's recorder folds Events of the same reason into one and keeps the first note, so that the second failure
//! within minutes would be told with the reason of the first. Curfew tells everything once, so every Event is its own.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, Resource, api::PostParams};
use tokio::sync::Semaphore;

use super::{api_health::ApiHealth, request::ask, write_gate::WriteGate};
use crate::flagger::canary::Canary;

/// Who reports, as Events name it.
const REPORTER: &str = "curfew.dev/curfew";

/// The longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// Of how many Canaries Events may wait for the API server at the same time; more are dropped. Each of them waits ten
/// seconds at most.
const WAITING: usize = 1000;

/// How long a stopping Curfew waits for the Events that are under way.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Writes Events beside everything else, so that nothing waits for them.
#[derive(Clone)]
pub struct EventPublisher {
    client: Client,
    /// Under which name Events are reported.
    instance: String,
    /// The one that may write publishes.
    gate: WriteGate,
    api_health: ApiHealth,
    waiting: Arc<Semaphore>,
}

/// What an Event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventReason {
    /// Most of a limit is used up.
    DeadlineApproaching,
    /// A deadline has passed.
    DeadlineExceeded,
    /// A container failed too often.
    CrashLimitExceeded,
    /// An initialization was given more time.
    InitializationExtended,
    /// Flagger was handed the verdict.
    RollbackRequested,
    /// Flagger rolled back.
    RollbackConfirmed,
    /// The rollout was ended in Flagger's place.
    LastResort,
    /// Something speaks against acting.
    ActionWithheld,
    /// Somebody changed a deadline in mid-rollout.
    DeadlineChanged,
    /// The audit found something that was not there before.
    PolicyFinding,
}

// === impl EventPublisher ===

impl EventPublisher {
    /// One that publishes with this client, under this name, while it may write.
    #[must_use]
    pub fn new(client: Client, instance: String, gate: WriteGate, api_health: ApiHealth) -> Self {
        Self {
            client,
            instance,
            gate,
            api_health,
            waiting: Arc::new(Semaphore::new(WAITING)),
        }
    }

    /// Publishes Events about a Canary, one after the other. One that cannot be written is logged, and nothing waits for
    /// it.
    pub fn publish(&self, canary: &Canary, events: Vec<(EventReason, String)>) {
        if !self.gate.is_open() {
            return;
        }
        let events: Vec<_> = events
            .into_iter()
            .map(|(reason, note)| self.event(canary, reason, &note))
            .collect();
        if events.is_empty() {
            return;
        }
        let (namespace, name) = (canary.namespace().to_owned(), canary.name().to_owned());
        let Ok(permit) = Arc::clone(&self.waiting).try_acquire_owned() else {
            tracing::warn!(
                namespace,
                name,
                "Events were not written: too many wait for the API server already"
            );
            return;
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let gate = self.gate.clone();
        tokio::spawn(async move {
            // As with everything that is written, whoever does not lead any more is quiet.
            for event in events.iter().take_while(|_| gate.is_open()) {
                let reason = event.reason.as_deref().unwrap_or_default();
                if let Err(error) = ask("write an Event", api.create(&PostParams::default(), event)).await {
                    tracing::warn!(namespace, name, reason, %error, "an Event was not written");
                }
            }
            drop(permit);
        });
    }

    /// Waits until everything that was published is written, but not for long.
    pub async fn finish(&self) {
        let all = u32::try_from(WAITING).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(LAST_WORDS, self.waiting.acquire_many(all)).await;
    }

    fn event(&self, canary: &Canary, reason: EventReason, note: &str) -> Event {
        let (namespace, name) = (canary.namespace(), canary.name());
        let note = fitting(note);
        tracing::info!(namespace, name, reason = reason.reason(), note, "published event");
        let now = self.api_health.now();
        Event {
            metadata: ObjectMeta {
                // As client-go names them, so that tools sort and show them alike.
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            type_: Some(reason.kind().to_owned()),
            reason: Some(reason.reason().to_owned()),
            action: Some(reason.action().to_owned()),
            note: Some(note.to_owned()),
            regarding: Some(ObjectReference {
                resource_version: None,
                ..canary.object_ref(&())
            }),
            reporting_controller: Some(REPORTER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

// === impl EventReason ===

impl EventReason {
    const fn reason(self) -> &'static str {
        match self {
            Self::DeadlineApproaching => "DeadlineApproaching",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::CrashLimitExceeded => "CrashLimitExceeded",
            Self::InitializationExtended => "InitializationExtended",
            Self::RollbackRequested => "RollbackRequested",
            Self::RollbackConfirmed => "RollbackConfirmed",
            Self::LastResort => "LastResort",
            Self::ActionWithheld => "ActionWithheld",
            Self::DeadlineChanged => "DeadlineChanged",
            Self::PolicyFinding => "PolicyFinding",
        }
    }

    const fn action(self) -> &'static str {
        match self {
            Self::DeadlineApproaching
            | Self::DeadlineExceeded
            | Self::CrashLimitExceeded
            | Self::ActionWithheld
            | Self::DeadlineChanged
            | Self::PolicyFinding => "Judge",
            Self::InitializationExtended => "Hold",
            Self::RollbackRequested | Self::RollbackConfirmed | Self::LastResort => "RollBack",
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::RollbackConfirmed | Self::DeadlineChanged => "Normal",
            Self::DeadlineApproaching
            | Self::DeadlineExceeded
            | Self::CrashLimitExceeded
            | Self::InitializationExtended
            | Self::RollbackRequested
            | Self::LastResort
            | Self::ActionWithheld
            | Self::PolicyFinding => "Warning",
        }
    }
}

fn fitting(note: &str) -> &str {
    &note[..note.floor_char_boundary(LONGEST_NOTE)]
}
