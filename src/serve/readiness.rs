//! Readiness: what must be there before Curfew says that it is, by name.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use parking_lot::Mutex;

/// What is waited for.
const WAITED_FOR: [&str; 9] = [
    "canaries",
    "canarypolicies",
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
pub struct Readiness(Arc<Mutex<States>>);

#[derive(Debug, Default)]
struct States {
    waited_for: BTreeMap<&'static str, Result<(), String>>,
    /// What is told besides, and what nothing waits for.
    told: BTreeMap<&'static str, Result<String, String>>,
}

// === impl Readiness ===

impl Readiness {
    /// Nothing is there yet.
    #[must_use]
    pub fn new() -> Self {
        let waiting = || Err("waiting".to_owned());
        Self(Arc::new(Mutex::new(States {
            waited_for: WAITED_FOR.into_iter().map(|name| (name, waiting())).collect(),
            told: BTreeMap::new(),
        })))
    }

    /// Notes how something is.
    pub fn set(&self, name: &'static str, state: Result<(), String>) {
        self.0.lock().waited_for.insert(name, state);
    }

    /// Notes why something that is waited for does not come. What was there once counts as there: its caches serve
    /// on.
    pub fn fail_if_waiting(&self, name: &'static str, why: String) {
        if let Some(state @ Err(_)) = self.0.lock().waited_for.get_mut(name) {
            *state = Err(why);
        }
    }

    /// Notes how something is that is worth telling, and on which readiness does not depend.
    pub fn tell(&self, name: &'static str, state: Result<String, String>) {
        self.0.lock().told.insert(name, state);
    }

    /// What is missing, each with its reason; empty when ready.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let states = self.0.lock();
        states
            .waited_for
            .iter()
            .filter_map(|(name, state)| Some(format!("{name}: {}", state.as_ref().err()?)))
            .collect()
    }

    /// Every state, a line each, as Kubernetes' own components write it.
    #[must_use]
    pub fn verbose(&self) -> String {
        let mut text = String::new();
        let states = self.0.lock();
        for (name, state) in &states.waited_for {
            let _ = match state {
                Ok(()) => writeln!(text, "[+]{name} ok"),
                Err(why) => writeln!(text, "[-]{name} {why}"),
            };
        }
        for (name, state) in &states.told {
            let _ = match state {
                Ok(what) => writeln!(text, "[+]{name} ok: {what}"),
                Err(why) => writeln!(text, "[!]{name} {why}"),
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
                .contains("[-]canaries forbidden\n[+]canarypolicies ok\n")
        );
        readiness.set("canaries", Ok(()));
        readiness.fail_if_waiting("canaries", "the watch broke later".to_owned());
        assert_eq!(readiness.missing(), Vec::<String>::new());
        readiness.tell("leader", Err("cannot write the Lease".to_owned()));
        assert_eq!(readiness.missing(), Vec::<String>::new());
        assert!(readiness.verbose().ends_with("[!]leader cannot write the Lease\n"));
    }
}
