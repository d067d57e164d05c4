//! Readiness: what must be there before Curfew says that it is, by name.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use parking_lot::Mutex;

/// What is waited for.
const WAITED_FOR: [&str; 8] = [
    "canaries",
    "certificate",
    "daemonsets",
    "deployments",
    "events",
    "identity",
    "namespaces",
    "webhook",
];

/// The state of everything that readiness depends on.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>);

// === impl Readiness ===

impl Readiness {
    /// Nothing is there yet.
    #[must_use]
    pub fn new() -> Self {
        let waiting = || Err("waiting".to_owned());
        Self(Arc::new(Mutex::new(
            WAITED_FOR.into_iter().map(|name| (name, waiting())).collect(),
        )))
    }

    /// Notes how something is.
    pub fn set(&self, name: &'static str, state: Result<(), String>) {
        self.0.lock().insert(name, state);
    }

    /// Notes why something that is waited for does not come. What was there once counts as there: its caches serve
    /// on.
    pub fn fail_if_waiting(&self, name: &'static str, why: String) {
        if let Some(state @ Err(_)) = self.0.lock().get_mut(name) {
            *state = Err(why);
        }
    }

    /// What is missing, each with its reason; empty when ready.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let states = self.0.lock();
        states
            .iter()
            .filter_map(|(name, state)| Some(format!("{name}: {}", state.as_ref().err()?)))
            .collect()
    }

    /// Every state, a line each, as Kubernetes' own components write it.
    #[must_use]
    pub fn verbose(&self) -> String {
        let mut text = String::new();
        for (name, state) in self.0.lock().iter() {
            let _ = match state {
                Ok(()) => writeln!(text, "[+]{name} ok"),
                Err(why) => writeln!(text, "[-]{name} {why}"),
            };
        }
        text
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_reason() {
        let readiness = Readiness::new();
        for name in WAITED_FOR {
            if name != "canaries" {
                readiness.set(name, Ok(()));
            }
        }
        assert_eq!(readiness.missing(), ["canaries: waiting"]);
        readiness.fail_if_waiting("canaries", "forbidden".to_owned());
        assert_eq!(readiness.missing(), ["canaries: forbidden"]);
        assert!(
            readiness
                .verbose()
                .contains("[-]canaries forbidden\n[+]certificate ok\n")
        );
        readiness.set("canaries", Ok(()));
        readiness.fail_if_waiting("canaries", "the watch broke later".to_owned());
        assert_eq!(readiness.missing(), Vec::<String>::new());
    }
}
