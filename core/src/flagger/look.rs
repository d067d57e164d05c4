//! One look at a Canary and what belongs to it.

use jiff::Timestamp;

use super::{effective::Effective, objects::Objects};

/// One look: what there is, what Flagger makes of the spec, and when.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) objects: Objects<'a>,
    pub(super) effective: &'a Effective,
    pub(super) now: Timestamp,
}
