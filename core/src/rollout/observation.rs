//! What matters about a Canary.

use jiff::Timestamp;

use super::{stage::Stage, workload_kind::WorkloadKind};

/// What matters about a Canary now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub struct Observation {
    /// Its stage.
    pub stage: Stage,
    /// Its phase, in the engine's own word.
    pub phase: String,
    /// `status.lastAppliedSpec`.
    pub applied: String,
    /// When the phase began.
    pub phase_since: Option<Timestamp>,
    /// When Flagger last wrote the status.
    pub status_written: Option<Timestamp>,
    /// The last sign of life from Flagger on this Canary: a write of the status or an Event.
    pub last_sign: Option<Timestamp>,
    /// Whether a rollout runs.
    pub running: bool,
    /// What kind of workload it targets; none for a Service and anything else.
    pub kind: Option<WorkloadKind>,
    /// Whether its target is a plain Service, which Flagger holds for always ready.
    pub service: bool,
    /// Whether its target is of a kind that Curfew does not look at, such as Knative's Service.
    pub foreign: bool,
    /// Whether the user holds it (`spec.suspend`), or it is being deleted.
    pub lifecycle: Lifecycle,
    /// How the target is doing.
    pub target: TargetState,
    /// Whether Kubernetes strips the condition that the lever on the target would set (`docs/flagger.md#l10`).
    pub no_deadline: bool,
    /// Whether the target carries the condition that Curfew set on it (`docs/flagger.md#l1`).
    pub lever_stands: bool,
    /// Whether the live template is the one that Flagger last took up. If not, a fix may have been pushed.
    pub synced: bool,
    /// Whether Flagger promotes as soon as the target is ready.
    pub skip_analysis: bool,
    /// Whether a `confirm-traffic-increase` hook may hold the traffic.
    pub traffic_gate: bool,
    /// Whether one of Flagger's checks may be held by a hook.
    pub hook_window: HookWindow,
    /// Whether traffic or pods are on the canary.
    pub on_canary: bool,
    /// Whether by its pods the target has long been ready, although its own status does not say so: its controller does not
    /// keep up, and the time that counted may have been no unready time.
    pub controllers_behind: bool,
    /// Whether it failed because we ended it in Flagger's place.
    pub ended_by_us: bool,
    /// Whether no traffic was moved and nothing analysed yet.
    pub untouched: bool,
    /// Whether the primary is as ready as Flagger needs it.
    pub primary_ready: bool,
    /// Whether a `ScaledObject` sets the target's replicas.
    pub scaled_object: bool,
    /// How the initialization of the workload goes, while it is being initialized.
    pub initialization: Option<Initialization>,
    /// How many Canaries Flagger looks after, as far as that is known.
    pub canaries: usize,
}

// === impl Observation ===

impl Observation {
    /// Whether nobody holds it and it is not being deleted.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.lifecycle == Lifecycle::Live
    }

    /// Whether the clocks of the canary's pods run.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.running && self.is_live() && self.stage.can_roll_back()
    }

    /// Whether the analysis runs.
    #[must_use]
    pub fn is_progressing(&self) -> bool {
        self.running && self.is_live() && self.stage == Stage::Progressing
    }

    /// Whether the initialization can be held: there is something to lose, and the primary has the conditions to renew.
    #[must_use]
    pub fn can_be_held(&self) -> bool {
        let to_hold = |initialization: Initialization| initialization.target_serves && initialization.hold_by.is_some();
        self.kind == Some(WorkloadKind::Deployment) && self.initialization.is_some_and(to_hold)
    }

    /// Whether a gate may hold the traffic: it has such a hook, and nothing else is in its way.
    #[must_use]
    pub fn behind_gate(&self) -> bool {
        self.traffic_gate && self.stage == Stage::Progressing && self.target == TargetState::Ready
    }
}

/// How the initialization of a live workload goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Initialization {
    /// Whether the live workload still serves.
    pub target_serves: bool,
    /// When it must be held at the latest; none while the primary is ready, or not there.
    pub hold_by: Option<Timestamp>,
    /// When it has taken as long as the deadline, and a few of Flagger's checks on top, where nothing says that it must be held.
    pub reported_at: Option<Timestamp>,
}

/// Whether a hook may hold one of Flagger's checks, which began with a ready target and writes what it found then when the
/// hook has answered (`docs/flagger.md#hooks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookWindow {
    /// There is none, or no check ever got as far as that.
    None,
    /// Not after this moment, if the target stays unready: Flagger calls no hook while it is.
    Until(Timestamp),
    /// The target is ready, so that there may be one at any moment.
    May,
}

/// Whether anybody may act on a Canary at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifecycle {
    /// It is live.
    Live,
    /// `spec.suspend`.
    Suspended,
    /// It is being deleted.
    Deleted,
}

/// How the target stands against what Flagger needs to advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetState {
    /// Flagger would go on.
    Ready,
    /// Flagger waits for the target, and the time counts.
    Unready,
    /// Every pod that is not ready is young and as many are available as there were wanted: something is growing
    /// or moving, nothing is failing. Counts from this moment on.
    Growing(Timestamp),
    /// Its controller has not looked at its spec yet.
    Unobserved,
    /// It is `paused`: a user's hold (`docs/flagger.md#f17`).
    Paused,
    /// It is the primary that is not ready; Flagger does not even look at the canary (`docs/flagger.md#f13`).
    PrimaryNotReady,
    /// It or its primary is not there.
    Missing,
}

// === impl TargetState ===

impl TargetState {
    /// Whether Flagger does not look at the pods at all.
    #[must_use]
    pub const fn is_blocked(self) -> bool {
        match self {
            Self::Unobserved | Self::Paused | Self::PrimaryNotReady | Self::Missing => true,
            Self::Ready | Self::Unready | Self::Growing(_) => false,
        }
    }
}
