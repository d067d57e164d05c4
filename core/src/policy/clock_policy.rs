//! What a policy says of the clocks: a map by their names. Which clocks there are, and what each of them takes, comes from
//! their table ([`ClockSettings`]).

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{action::Action, written::optional_duration};
use crate::rollout::Clock;

/// What a policy says of the clocks, by their names. What it does not say is each clock's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Clocks(pub(super) BTreeMap<String, ClockPolicy>);

/// What a policy says of one clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ClockPolicy {
    /// What happens at the deadline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// How long it may take.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub limit: Option<Duration>,
    /// The longest limit that a user may ask for.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub max_limit: Option<Duration>,
    /// How many reach the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u32>,
    /// Within which time they are counted.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
}

/// What policies may say of one clock.
#[derive(Debug)]
pub struct ClockSettings {
    /// Which clock.
    pub clock: Clock,
    /// What it watches, in one line.
    pub about: &'static str,
    /// How its page goes on after the default action.
    pub about_default: &'static str,
    /// What may happen at its deadline.
    pub allowed: &'static [Action],
    /// What it takes beside its action.
    pub fields: &'static [ClockField],
    /// What holds where a policy says nothing.
    pub default: ClockPolicy,
}

/// What a clock may take beside its action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockField {
    /// `limit`.
    Limit,
    /// `maxLimit`.
    MaxLimit,
    /// `restarts`.
    Restarts,
    /// `window`.
    Window,
}

// === impl Clocks ===

impl Clocks {
    /// What holds for one clock: what the policy says, else the clock's default.
    #[must_use]
    pub fn of(&self, settings: &ClockSettings) -> ClockPolicy {
        let written = self.0.get(settings.clock.name()).copied().unwrap_or_default();
        let default = settings.default;
        ClockPolicy {
            action: written.action.or(default.action),
            limit: written.limit.or(default.limit),
            max_limit: written.max_limit.or(default.max_limit),
            restarts: written.restarts.or(default.restarts),
            window: written.window.or(default.window),
        }
    }

    /// What the policy says of one clock, to be changed.
    pub fn entry(&mut self, clock: Clock) -> &mut ClockPolicy {
        self.0.entry(clock.name().to_owned()).or_default()
    }

    /// The same with everything that it does not say.
    #[must_use]
    pub fn filled(&self, table: &[&ClockSettings]) -> Self {
        let all = table
            .iter()
            .map(|settings| (settings.clock.name().to_owned(), self.of(settings)));
        Self(all.collect())
    }
}

// === impl ClockPolicy ===

impl ClockPolicy {
    /// Only an action.
    #[must_use]
    pub const fn action(action: Action) -> Self {
        Self {
            action: Some(action),
            limit: None,
            max_limit: None,
            restarts: None,
            window: None,
        }
    }
}

// === impl ClockField ===

impl ClockField {
    /// Every field.
    pub const ALL: [Self; 4] = [Self::Limit, Self::MaxLimit, Self::Restarts, Self::Window];

    /// Its name in policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::MaxLimit => "maxLimit",
            Self::Restarts => "restarts",
            Self::Window => "window",
        }
    }

    /// What it is for, in one line.
    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::Limit => "How long it may take; absent: the clock's own rule.",
            Self::MaxLimit => "The longest that the annotation may set.",
            Self::Restarts => "Failed exits of one container.",
            Self::Window => "Within this time.",
        }
    }

    /// What a policy says there, where it is a span of time.
    pub(super) const fn duration(self, policy: &ClockPolicy) -> Option<Duration> {
        match self {
            Self::Limit => policy.limit,
            Self::MaxLimit => policy.max_limit,
            Self::Window => policy.window,
            Self::Restarts => None,
        }
    }

    /// Whether a policy says something there.
    pub(super) const fn is_written(self, policy: &ClockPolicy) -> bool {
        match self {
            Self::Restarts => policy.restarts.is_some(),
            Self::Limit | Self::MaxLimit | Self::Window => self.duration(policy).is_some(),
        }
    }
}
