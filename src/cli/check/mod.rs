//! `curfew check`: the rules of the webhook on files, before anything reaches a cluster.
//!
//! [`source`] reads the texts, [`yaml`] (with [`scalar`]) makes [`document`]s with places of them, and [`object`] picks
//! what matters. [`mod@judge`] asks the rules about every Canary in its [`lookup`], under the policies that were given, and
//! [`print`](mod@print), [`sarif`] and [`github`] write down what came of it. What cannot be read is told, and hides nothing else.

mod command;
mod document;
mod github;
mod input;
mod judge;
mod lookup;
mod object;
mod print;
mod sarif;
mod scalar;
mod source;
mod yaml;

pub use command::{Args, run};
