//! A throw-away real Kubernetes control plane with Flagger and, if wanted, Curfew.
//!
//! ```text
//! tools ──► control_plane (etcd, kube-apiserver, kube-controller-manager), flagger, curfew ──► process ──► guardian
//! pki ────► kubeconfigs ──► kubelet (a stand-in, in this process), objects, proxy (before Curfew)
//!           all of it started by plane/start, broken and ended by Plane, seen by Handle
//! ```
//!
//! [`Plane::start`] gives the owner a [`Plane`], which ends with its value or, in a static, with its process: no process
//! outlives it, whatever happens.
//! [`Handle::attach`] (or `Plane::attach`) gives guests a [`Handle`] to a plane that somebody else owns.
//! The kubelet's stand-in obeys the annotation [`OUTCOME`] on pods. A [`Recording`] writes down what happens.
//!
//! Everything listens on loopback, except Flagger's own metrics listener, whose address is not an option of Flagger's.

pub mod audit;
mod control_plane;
mod curfew;
mod flagger;
mod guardian;
mod handle;
mod kubelet;
mod layout;
mod objects;
mod options;
mod pki;
mod plain_http;
mod plane;
mod ports;
mod process;
mod proxy;
mod record;
mod tools;
mod versions;

pub use flagger::VERSION as FLAGGER_VERSION;
pub use handle::{Handle, SHARED_PLANE};
pub use kubelet::{ANNOTATION as OUTCOME, Outcome};
pub use layout::{Description, PortMap};
pub use nix::sys::signal::Signal;
pub use options::{CurfewOptions, Options};
pub use plain_http::get;
pub use plane::{Component, Instance, Plane};
pub use proxy::{Mode, Proxy};
pub use record::Recording;
pub use tools::obstacle;
pub use versions::Kubernetes;
