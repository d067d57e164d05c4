//! Words to users: Events on the Canary.
//!
//! kube's recorder folds Events of the same reason into one and keeps the first note, so that the second failure
//! within minutes would be told with the reason of the first. Curfew tells everything once, so every Event is its own.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Resource, api::PostParams};
use tokio::sync::Semaphore;

use super::{Context, ask};
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
#[derive(Clone, Debug)]
pub struct EventPublisher(Arc<Semaphore>);

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

impl Default for EventPublisher {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(WAITING)))
    }
}

impl EventPublisher {
    /// Waits until everything that was told is written, but not for long.
    pub async fn finish(&self) {
        let all = u32::try_from(WAITING).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(LAST_WORDS, self.0.acquire_many(all)).await;
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

/// Tells something about a Canary, one thing after the other. An Event that cannot be written is logged, and nothing waits
/// for it.
pub fn publish(context: &Context, canary: &Canary, words: Vec<(EventReason, String)>) {
    // The one that leads tells it.
    if !context.leadership.is_leader() {
        return;
    }
    let events: Vec<_> = words
        .into_iter()
        .map(|(topic, note)| event(context, canary, topic, &note))
        .collect();
    if events.is_empty() {
        return;
    }
    let (namespace, name) = (canary.namespace().to_owned(), canary.name().to_owned());
    let Ok(permit) = Arc::clone(&context.publisher.0).try_acquire_owned() else {
        tracing::warn!(
            namespace,
            name,
            "Events were not written: too many wait for the API server already"
        );
        return;
    };
    let api: Api<Event> = Api::namespaced(context.client.clone(), &namespace);
    let leadership = context.leadership.clone();
    tokio::spawn(async move {
        // As with everything that is written, whoever does not lead any more is quiet.
        for event in events.iter().take_while(|_| leadership.is_leader()) {
            let reason = event.reason.as_deref().unwrap_or_default();
            if let Err(error) = ask("write an Event", api.create(&PostParams::default(), event)).await {
                tracing::warn!(namespace, name, reason, %error, "an Event was not written");
            }
        }
        drop(permit);
    });
}

fn event(context: &Context, canary: &Canary, topic: EventReason, note: &str) -> Event {
    let (namespace, name, reason) = (canary.namespace(), canary.name(), topic.reason());
    let note = fitting(note);
    tracing::info!(namespace, name, reason, note, "told");
    let now = context.now();
    Event {
        metadata: ObjectMeta {
            // As client-go names them, so that tools sort and show them alike.
            name: Some(format!("{name}.{:x}", now.as_nanosecond())),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        type_: Some(topic.kind().to_owned()),
        reason: Some(reason.to_owned()),
        action: Some(topic.action().to_owned()),
        note: Some(note.to_owned()),
        regarding: Some(ObjectReference {
            resource_version: None,
            ..canary.object_ref(&())
        }),
        reporting_controller: Some(REPORTER.to_owned()),
        reporting_instance: Some(context.instance.clone()),
        ..Event::default()
    }
}

fn fitting(note: &str) -> &str {
    &note[..note.floor_char_boundary(LONGEST_NOTE)]
}
