//! Words to users: Events on the Canary.
//!
//! kube's recorder folds Events of the same reason into one and keeps the first note, so that the second failure
//! within minutes would be told with the reason of the first. Curfew tells everything once, so every Event is its own.

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Resource, api::PostParams};

use super::Context;
use crate::flagger::canary::Canary;

/// Who reports, as Events name it.
const REPORTER: &str = "curfew.dev/curfew";

/// The longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// What an Event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Most of a limit is used up.
    DeadlineApproaching,
    /// A deadline has passed.
    DeadlineExceeded,
    /// A container failed too often.
    CrashLimitExceeded,
    /// An adoption was given more time.
    AdoptionHeld,
    /// Flagger was handed the verdict.
    RollbackRequested,
    /// Flagger rolled back.
    RollbackConfirmed,
    /// The rollout was ended in Flagger's place.
    LastResort,
    /// Something speaks against acting.
    ActionWithheld,
}

// === impl Topic ===

impl Topic {
    const fn reason(self) -> &'static str {
        match self {
            Self::DeadlineApproaching => "DeadlineApproaching",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::CrashLimitExceeded => "CrashLimitExceeded",
            Self::AdoptionHeld => "AdoptionHeld",
            Self::RollbackRequested => "RollbackRequested",
            Self::RollbackConfirmed => "RollbackConfirmed",
            Self::LastResort => "LastResort",
            Self::ActionWithheld => "ActionWithheld",
        }
    }

    const fn action(self) -> &'static str {
        match self {
            Self::DeadlineApproaching | Self::DeadlineExceeded | Self::CrashLimitExceeded | Self::ActionWithheld => {
                "Judge"
            }
            Self::AdoptionHeld => "Hold",
            Self::RollbackRequested | Self::RollbackConfirmed | Self::LastResort => "RollBack",
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::RollbackConfirmed => "Normal",
            Self::DeadlineApproaching
            | Self::DeadlineExceeded
            | Self::CrashLimitExceeded
            | Self::AdoptionHeld
            | Self::RollbackRequested
            | Self::LastResort
            | Self::ActionWithheld => "Warning",
        }
    }
}

/// Tells something about a Canary. An Event that cannot be written is logged, and nothing waits for it.
pub async fn tell(context: &Context, canary: &Canary, topic: Topic, note: &str) {
    let (namespace, name, reason) = (canary.namespace(), canary.name(), topic.reason());
    // The one that leads tells it.
    if !context.leadership.is_leader() {
        return;
    }
    tracing::info!(namespace, name, reason, note, "told");
    let now = context.now();
    let event = Event {
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
        note: Some(fitting(note).to_owned()),
        regarding: Some(ObjectReference {
            resource_version: None,
            ..canary.object_ref(&())
        }),
        reporting_controller: Some(REPORTER.to_owned()),
        reporting_instance: Some(context.instance.clone()),
        ..Event::default()
    };
    let events: Api<Event> = Api::namespaced(context.client.clone(), namespace);
    let params = PostParams::default();
    if let Err(error) = context.write("write an Event", events.create(&params, &event)).await {
        tracing::warn!(namespace, name, reason, %error, "an Event was not written");
    }
}

fn fitting(note: &str) -> &str {
    &note[..note.floor_char_boundary(LONGEST_NOTE)]
}
