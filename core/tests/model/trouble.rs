//! What may put in doubt what an enforcer sees: each a world of its own, in which it comes and goes at any moment.

use curfew_core::{
    deadline::{Conditions, breaker::BreakerAnswer},
    rollout::guard::Cause,
};
use jiff::SignedDuration;

use crate::{
    cluster::at,
    world::{Setup, World},
};

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// A watch that rollouts are judged by is silent.
    StaleWatch,
    /// The API server answers nobody, and kubelets tell it later what happened meanwhile.
    Outage,
    /// The clocks are apart.
    Skew,
    /// So many rollouts failed that it says more about the cluster.
    OpenBreaker,
}

impl World {
    /// What speaks against acting now.
    pub fn conditions(&self, setup: &Setup) -> Conditions {
        let mut conditions = Conditions::default();
        let has_just_ended = self.trouble_ended == Some(self.now);
        match setup.trouble {
            Some(Trouble::StaleWatch) if self.troubled => {
                conditions.stale_watch = Some(SignedDuration::from_secs(200));
            }
            Some(Trouble::Skew) if self.troubled => conditions.skew = SignedDuration::from_secs(-40),
            Some(Trouble::OpenBreaker) if self.troubled => {
                let cause = Cause::Breaches { count: 30, limit: 20 };
                conditions.breaker = BreakerAnswer::Hold(at(self.now + 1), cause);
            }
            Some(Trouble::Outage) if has_just_ended => conditions.outage_ended = Some(SignedDuration::ZERO),
            _ => {}
        }
        conditions
    }

    /// Whether the API server answers nobody.
    pub fn is_cut_off(&self, setup: &Setup) -> bool {
        self.troubled && setup.trouble == Some(Trouble::Outage)
    }

    /// Whether no rollback may begin: what is seen is in doubt, or may not be all that happened.
    pub fn is_in_doubt(&self, setup: &Setup) -> bool {
        self.troubled || (setup.trouble == Some(Trouble::Outage) && self.trouble_ended == Some(self.now))
    }
}
