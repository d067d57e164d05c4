//! Which version a rollout is rolling out.

use std::fmt;

use sha2::{Digest, Sha256};

/// Our own hash of a pod template: equal templates, equal hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TemplateHash(pub [u8; 16]);

/// The version that Flagger last took up, as far as Curfew can tell versions apart.
///
/// `lastAppliedSpec` alone does not name it: a fix of a ConfigMap only, and the same template pushed again after a
/// revert, start new rollouts with the same value; and nobody but Flagger can compute it for the live template. So our
/// own hash of the template stands beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision {
    /// `status.lastAppliedSpec`.
    pub applied: String,
    /// Our hash over `status.trackedConfigs`.
    pub configs: [u8; 16],
    /// Our hash of the template that Flagger took up with them.
    pub template: TemplateHash,
}

// === impl Revision ===

impl Revision {
    /// Whether a written revision is of this `status.lastAppliedSpec`.
    #[must_use]
    pub fn is_applied(written: &str, applied: &str) -> bool {
        written.rsplit_once('-').is_some_and(|(of, _)| of == applied)
    }

    /// Whether Flagger took up something else since `before`; the live template does not matter for that.
    #[must_use]
    pub fn taken_up_since(&self, before: &Self) -> bool {
        self.applied != before.applied || self.configs != before.configs
    }
}

/// The form that annotations carry: `lastAppliedSpec`, then eight hexadecimal digits over the rest.
impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = Sha256::new()
            .chain_update(self.template.0)
            .chain_update(self.configs)
            .finalize();
        write!(f, "{}-", self.applied)?;
        digest[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
