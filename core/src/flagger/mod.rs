//! What Flagger believes about a Canary: which values it will really use, which ones it cannot read,
//! what its phases mean, and whether it holds a target for ready.
//!
//! Everything here mirrors Flagger and Kubernetes and nothing decides anything. A Canary comes in as JSON
//! ([`canary`]), is judged for decodability ([`decode`]), and gives the values in force ([`effective`]);
//! a workload comes in as [`workload::Workload`] and is held against Flagger's own readiness test ([`ready`]).

pub mod canary;
pub mod decode;
pub mod duration;
pub mod effective;
pub mod phase;
pub mod ready;
pub mod routes;
mod schema;
mod shape;
pub mod startup;
pub mod workload;
