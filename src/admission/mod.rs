//! Admission: an `AdmissionReview` in, a decision, an `AdmissionReview` out.
//!
//! [`review`] reads and writes the API server's shapes. [`validate`] judges a Canary by the rules and the
//! policy in force, [`mutate`] keeps Curfew's own annotations honest. Both are functions of the request, the policies
//! and the time; who listens and answers is [`crate::serve`].

pub mod annotations;
pub mod mutate;
pub mod review;
pub mod validate;
