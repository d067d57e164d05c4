//! The admission rules: a Canary's spec, its surroundings ([`lookup`]) and a policy in, findings out.
//!
//! Each family of rules has a file of its own and looks at the spec independently of the others, so that
//! everything wrong is reported at once. How strictly a finding is taken is decided afterwards, by
//! [`Finding::mode`], and what is done about it in the admission webhook.

pub mod ab_testing;
pub mod analysis;
pub mod case;
pub mod conflicts;
pub mod deadline;
pub mod deadline_fit;
pub mod decodable;
pub mod finding;
mod findings;
pub mod hooks;
pub mod interval;
pub mod lookup;
pub mod reference;
pub mod rollout;
pub mod service;
mod spec;
pub mod target;
pub mod thresholds;
pub mod weights;

pub use self::{finding::Finding, findings::findings, lookup::Lookup};
