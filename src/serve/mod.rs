//! Serving: listeners, TLS, readiness, metrics, shutdown.
//!
//! [`run()`] checks what it was given, binds both listeners, and starts the webhook, the admin pages, the watches
//! and the enforcer as tasks. A task that ends by itself ends the process; a signal ends them in stages.

pub mod admin;
pub mod args;
mod client_errors;
mod error;
pub mod identity;
pub mod logging;
pub mod metrics;
pub mod readiness;
pub mod register;
mod run;
pub mod shutdown;
mod tasks;
pub mod tls;
pub mod webhook;

pub use self::{
    args::Args,
    error::{Error, StartError},
    run::run,
};
