//! The cluster: the API server, what the watches have seen of it, the policies in force, and the gate that every write
//! goes through.
//!
//! Events of the watches ([`watch`]) become names of Canaries to look at, and [`snapshot`] reads everything about one of
//! them anew. What holds for whom is in [`policies`]; the cluster's own come from [`policy_objects`]. [`api_health`] knows
//! whether the API server answers, what time it is there, and which watch is silent.

pub mod api_health;
pub mod autoscalers;
pub mod clock;
mod cluster_api;
pub mod events;
pub mod in_force;
pub mod lookup;
pub mod policies;
pub mod policy_objects;
mod relist;
mod request;
pub mod skew;
pub mod snapshot;
pub mod watch;
mod write_gate;

pub use self::{
    cluster_api::Cluster,
    request::{Error, FIELD_MANAGER},
    write_gate::{WriteGate, WritePermit},
};
pub(crate) use request::{ask, ask_within};
