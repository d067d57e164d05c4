//! The enforcer: watches Canaries and their workloads, keeps the stamps, and hands Flagger the verdicts.
//!
//! Events of the three watches ([`watch`]) become names of Canaries to look at; [`mod@reconcile`] looks at one of them
//! on cached objects, with the pure functions of [`crate::deadline`]. Only when they ask for something is the
//! API server asked: `read` reads everything again, the same functions judge again, and [`mod@apply`] writes, each
//! write with a precondition. Stamps go through [`annotations`], words to users through [`events`].
//!
//! What holds for whom is in [`policies`]; the cluster's own come from [`policy_objects`], and when one of them changes,
//! every Canary is looked at again.
//!
//! Everybody watches, and only the leader does all this: [`election`] holds the Lease, as [`lease`] decides, and
//! [`leadership`] is asked before a look and again before every write. Who begins to lead knows nothing but the stamps.

mod act_on_remedy;
pub mod annotations;
pub mod api_health;
pub mod apply;
pub mod audit;
pub mod autoscalers;
pub mod clock;
mod context;
mod controller;
pub mod election;
pub mod events;
pub mod findings;
pub mod flagger_health;
mod in_force;
pub mod leadership;
pub mod lease;
pub mod lookup;
pub mod metrics;
mod notified;
pub mod policies;
pub mod policy_objects;
pub mod policy_status;
mod read;
pub mod reconcile;
mod reconciliation;
mod relist;
mod request;
pub mod rollouts;
pub mod skew;
pub mod state;
pub mod watch;

pub use self::{
    context::Context,
    controller::run,
    request::{Error, FIELD_MANAGER},
};
pub(crate) use request::{ask, ask_within};
