//! The clocks. A new one is a file of its own and a line here.

use super::{
    crashes::CRASHES, gate::GATE, initialization::INITIALIZATION, promotion::PROMOTION, readiness::READINESS,
    rollout::ROLLOUT, silence::SILENCE, spec::ClockSpec, stall::STALL, standstill::STANDSTILL, suspended::SUSPENDED,
};
use crate::rollout::Clock;

/// Every clock, in the order in which they are read.
pub const CLOCKS: [&ClockSpec; 10] = [
    &INITIALIZATION,
    &READINESS,
    &CRASHES,
    &GATE,
    &STALL,
    &STANDSTILL,
    &SILENCE,
    &PROMOTION,
    &ROLLOUT,
    &SUSPENDED,
];

/// What there is to know about a clock.
#[must_use]
pub fn spec(clock: Clock) -> Option<&'static ClockSpec> {
    CLOCKS.into_iter().find(|spec| spec.settings.clock == clock)
}

/// The clock of this name.
#[must_use]
pub fn named(name: &str) -> Option<Clock> {
    let clocks = CLOCKS.into_iter().map(|spec| spec.settings.clock);
    clocks.into_iter().find(|clock| clock.name() == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_clock_has_a_name_of_its_own_and_a_default_that_it_allows() {
        let names: BTreeSet<_> = CLOCKS.map(|spec| spec.settings.clock.name()).into();
        assert_eq!(names.len(), CLOCKS.len());
        for ClockSpec { settings, .. } in CLOCKS {
            let action = settings.default.action.expect("a default action");
            assert!(settings.allowed.contains(&action), "{settings:?}");
        }
    }
}
