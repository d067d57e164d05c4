//! The admission rules: a Canary's spec, its surroundings ([`lookup`]) and a policy in, findings out.
//!
//! Each family of rules has a file of its own and looks at the spec independently of the others, so that
//! everything wrong is reported at once. How strictly a finding is taken is decided afterwards, by
//! [`Finding::mode`], and what is done about it in the admission webhook.

mod ab_testing;
mod analysis;
pub mod case;
mod conflicts;
mod deadline;
mod deadline_fit;
mod decodable;
pub mod finding;
mod findings;
mod hooks;
mod interval;
pub mod lookup;
mod provider;
pub mod reference;
mod rollout;
pub mod rule_def;
mod service;
mod table;
mod target;
mod thresholds;
mod weights;

pub use self::{
    finding::Finding,
    findings::findings,
    lookup::Lookup,
    rule_def::RuleDef,
    table::{RULES, definition, named, vocabulary},
};
