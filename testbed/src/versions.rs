//! The versions that a plane is made of.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};

/// The Kubernetes release that `testbed/tools/go.mod` pins.
pub(crate) const KUBERNETES: &str = "1.36.3";

/// A minor version of Kubernetes that a plane can be, such as `1.35`. The binaries are of one release, the newest; they
/// behave as an older version with `--emulated-version`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Kubernetes {
    minor: u16,
}

// === impl Kubernetes ===

impl Kubernetes {
    /// The version of the binaries.
    pub const NEWEST: Self = Self { minor: 36 };
    /// The oldest version that the binaries emulate, and that Curfew supports.
    pub const OLDEST: Self = Self { minor: 33 };

    /// The flag that makes a component behave as this version, if that is not its own.
    pub(crate) fn flag(self) -> Option<String> {
        (self != Self::NEWEST).then(|| format!("--emulated-version={self}"))
    }
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self::NEWEST
    }
}

impl fmt::Display for Kubernetes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
    }
}

impl FromStr for Kubernetes {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let minor = text.strip_prefix("1.").and_then(|minor| minor.parse().ok());
        let version = Self {
            minor: minor.with_context(|| format!("`{text}` is no minor version of Kubernetes; write one like 1.35"))?,
        };
        if !(Self::OLDEST..=Self::NEWEST).contains(&version) {
            bail!(
                "a plane cannot be Kubernetes {version}: its binaries are {KUBERNETES} and emulate {} and newer",
                Self::OLDEST
            );
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_it_is_written() {
        for version in [Kubernetes::OLDEST, Kubernetes::NEWEST] {
            assert_eq!(version.to_string().parse::<Kubernetes>().unwrap(), version);
        }
        assert_eq!(Kubernetes::NEWEST.flag(), None);
        assert_eq!(Kubernetes::OLDEST.flag().unwrap(), "--emulated-version=1.33");
    }

    #[test]
    fn what_cannot_be_had_is_refused_with_what_can() {
        let said = |text: &str| text.parse::<Kubernetes>().unwrap_err().to_string();
        assert_eq!(
            said("1.32"),
            "a plane cannot be Kubernetes 1.32: its binaries are 1.36.3 and emulate 1.33 and newer"
        );
        assert!(said("1.99").contains("cannot be Kubernetes 1.99"));
        for text in ["", "1", "1.", "2.35", "v1.35", "1.35.4", "1.x", "1.-1", "1.99999"] {
            assert!(said(text).contains("write one like 1.35"), "{text}");
        }
    }

    #[test]
    fn the_newest_is_what_the_tools_are_built_from() {
        let module = include_str!("../tools/go.mod");
        assert!(module.contains(&format!("k8s.io/kubernetes v{KUBERNETES}")));
        assert!(KUBERNETES.starts_with(&format!("{}.", Kubernetes::NEWEST)));
    }
}
