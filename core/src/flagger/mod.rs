//! Everything that knows Flagger: which values it will really use, which ones it cannot read, what its phases mean,
//! whether it holds a target for ready, and what makes it roll back.
//!
//! A Canary comes in as JSON ([`canary`]), is judged for decodability ([`decode`]), and gives the values in force
//! ([`effective`]) and the limits of its clocks ([`limits`]); a workload comes in as [`workload::Workload`] and is held
//! against Flagger's own readiness test ([`ready`]). [`observe()`] makes of them what the clocks judge, and [`plan()`] makes
//! of a remedy what is to be written.

mod accrual;
pub mod analysis_fields;
pub mod canary;
pub mod decode;
mod deployment_conditions;
pub mod effective;
mod initialization;
pub mod limits;
mod look;
pub mod objects;
pub mod observe;
pub mod phase;
pub mod ready;
pub mod reasons;
mod recall;
pub mod rollback_plan;
pub mod routes;
mod schema;
mod shape;
pub mod snapshot;
pub mod startup;
mod target;
mod timing;
mod tracking;
pub mod workload;

pub use observe::observe;
pub use rollback_plan::plan;
pub use timing::check_time;
