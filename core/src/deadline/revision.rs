//! Which version a rollout is rolling out.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::flagger::{canary::Canary, workload::TemplateHash};

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
    /// The revision of a Canary whose target has this template now.
    #[must_use]
    pub fn of(canary: &Canary, template: TemplateHash) -> Self {
        let mut digest = Sha256::new();
        for (name, checksum) in &canary.status.tracked_configs {
            for part in [name, checksum] {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part);
            }
        }
        let mut configs = [0; 16];
        configs.copy_from_slice(&digest.finalize()[..16]);
        Self {
            applied: canary.status.last_applied_spec.clone(),
            configs,
            template,
        }
    }

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn revision(applied: &str, configs: &serde_json::Value, template: u8) -> Revision {
        let status = json!({"status": {"lastAppliedSpec": applied, "trackedConfigs": configs}});
        Revision::of(&Canary::from_json(status), TemplateHash([template; 16]))
    }

    #[test]
    fn template_configs_and_flaggers_own_hash_all_count() {
        let first = revision("5c7d9f6b8", &json!({"configmap/web": "1"}), 1);
        assert!(first.to_string().starts_with("5c7d9f6b8-"));
        assert_eq!(first.to_string().len(), "5c7d9f6b8-".len() + 8);
        for other in [
            revision("77b5c", &json!({"configmap/web": "1"}), 1),
            revision("5c7d9f6b8", &json!({"configmap/web": "2"}), 1),
            revision("5c7d9f6b8", &json!({"configmap/web": "1"}), 2),
            revision("5c7d9f6b8", &json!({"configmap/w": "eb1"}), 1),
        ] {
            assert_ne!(first.to_string(), other.to_string());
        }
    }

    #[test]
    fn a_template_that_flagger_has_not_seen_is_no_new_revision() {
        let before = revision("a", &json!({}), 1);
        assert!(!revision("a", &json!({}), 2).taken_up_since(&before));
        assert!(revision("b", &json!({}), 1).taken_up_since(&before));
        assert!(revision("a", &json!({"secret/x": "1"}), 1).taken_up_since(&before));
    }
}
