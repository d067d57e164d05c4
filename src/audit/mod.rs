//! The audit: what the webhook would say about the Canaries that are stored already.
//!
//! [`auditor`] decides what is judged anew and reads it, [`findings`] keeps what was found, and `policy_status` writes it
//! into the status of the policies.

pub mod auditor;
pub mod findings;
mod policy_status;
