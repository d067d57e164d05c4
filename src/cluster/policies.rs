//! The policies in force: what everybody asks, and who hears when they change.

use std::sync::Arc;

use futures::{Stream, stream};
use tokio::sync::watch;

use crate::policy::Policies;

/// The policies in force. Clones see the same ones.
#[derive(Clone, Debug)]
pub struct InForce {
    /// Nothing while it is not known yet what holds.
    current: watch::Sender<Option<Arc<Policies>>>,
    /// What holds until then, to those who cannot wait.
    meanwhile: Arc<Policies>,
    states: watch::Sender<Vec<PolicyState>>,
}

/// A policy object of the cluster, and whether it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyState {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The generation of its spec.
    pub generation: i64,
    /// Why its spec cannot be used, and what holds instead.
    pub accepted: Result<(), String>,
}

// === impl InForce ===

impl InForce {
    /// Begins with these, which are all that there are until others replace them.
    #[must_use]
    pub fn new(policies: Policies) -> Self {
        let in_force = Self::awaiting(policies);
        in_force.current.send_replace(Some(Arc::clone(&in_force.meanwhile)));
        in_force
    }

    /// Begins with these, beside which there may be others that are not known yet.
    #[must_use]
    pub fn awaiting(meanwhile: Policies) -> Self {
        Self {
            current: watch::Sender::new(None),
            meanwhile: Arc::new(meanwhile),
            states: watch::Sender::default(),
        }
    }

    /// Those of this moment.
    #[must_use]
    pub fn current(&self) -> Arc<Policies> {
        let current = self.current.borrow();
        Arc::clone(current.as_ref().unwrap_or(&self.meanwhile))
    }

    /// Whether it is known what holds. Before that nothing may be done to a rollout.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.current.borrow().is_some()
    }

    /// Puts others in force, at once.
    pub fn replace(&self, policies: Policies) {
        self.current.send_replace(Some(Arc::new(policies)));
    }

    /// Every change from now on.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + use<> {
        changes(self.current.subscribe())
    }

    /// Every change of a policy object's state from now on, whether it changes what holds or not.
    pub fn state_changes(&self) -> impl Stream<Item = ()> + Send + use<> {
        changes(self.states.subscribe())
    }

    /// The policy objects of the cluster, as they were last seen.
    #[must_use]
    pub fn states(&self) -> Vec<PolicyState> {
        self.states.borrow().clone()
    }

    /// Notes how the policy objects of the cluster are.
    pub(super) fn note_states(&self, states: Vec<PolicyState>) {
        self.states.send_if_modified(|known| {
            let is_new = *known != states;
            *known = states;
            is_new
        });
    }
}

fn changes<T: Send + Sync + 'static>(of: watch::Receiver<T>) -> impl Stream<Item = ()> + Send + use<T> {
    stream::unfold(of, |mut of| async move {
        of.changed().await.ok()?;
        Some(((), of))
    })
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _};

    use super::*;
    use crate::policy::file;

    fn named(name: &str) -> Policies {
        let policy = format!("apiVersion: curfew.dev/v1alpha1\nkind: CanaryPolicy\nmetadata: {{name: {name}}}");
        file::parse(&policy, &crate::rules::vocabulary()).expect("a policy")
    }

    fn names(in_force: &InForce) -> Vec<String> {
        in_force.current().all().map(|policy| policy.name.clone()).collect()
    }

    #[test]
    fn what_is_given_holds_until_more_is_known() {
        let in_force = InForce::awaiting(named("file"));
        assert!(!in_force.is_known());
        assert_eq!(names(&in_force), ["file"]);
        in_force.clone().replace(named("cluster"));
        assert!(in_force.is_known());
        assert_eq!(names(&in_force), ["cluster"]);
        assert!(InForce::new(named("file")).is_known());
    }

    #[test]
    fn a_change_is_heard_once_by_everybody() {
        let in_force = InForce::new(named("a"));
        let mut hearing = [in_force.changes(), in_force.changes()].map(Box::pin);
        for changes in &mut hearing {
            assert_eq!(changes.next().now_or_never(), None, "nothing has changed");
        }
        in_force.replace(named("b"));
        for changes in &mut hearing {
            assert_eq!(changes.next().now_or_never(), Some(Some(())));
            assert_eq!(changes.next().now_or_never(), None);
        }
    }
}
