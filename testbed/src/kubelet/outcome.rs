//! What a pod's annotation asks for, and what its last container does in consequence. Pure.

use std::str::FromStr;
use std::time::Duration;

/// The annotation, on a pod or in its template.
pub const ANNOTATION: &str = "plane.curfew.dev/outcome";

/// How long a container runs that is to crash.
const CRASH: Duration = Duration::from_secs(1);

/// What becomes of a pod.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Outcome {
    /// Ready at once and for ever.
    #[default]
    Ready,
    /// Exits after a second, again and again, and is never Ready.
    Crash,
    /// Ready for that long, then exits; again after the kubelet's back-off.
    CrashLast(Duration),
    /// The oldest pod of its ReplicaSet crashes, the others are ready.
    CrashOne,
    /// Ready for `up`, gone for `down`.
    Flap {
        /// How long it is ready.
        up: Duration,
        /// How long it is down.
        down: Duration,
    },
    /// No node has room.
    Pending,
    /// The image cannot be pulled.
    ImagePull,
    /// Something that the container's environment is made from is not there.
    ConfigError,
    /// Runs, and is ready that much later.
    ReadyAfter(Duration),
    /// Runs, and its readiness probe fails.
    Unready,
    /// Killed for want of memory, again and again.
    Oom,
}

/// How the container behaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Script {
    pub place: Place,
    /// From its start to its exit; `None` = it never exits.
    pub runs_for: Option<Duration>,
    /// From its start until it is ready; `None` = never.
    pub ready_after: Option<Duration>,
    pub exit_code: i32,
    /// Between exit and start; `None` = the kubelet's back-off.
    pub down_for: Option<Duration>,
    /// A container that runs when this begins exits there and then.
    pub falls_at_once: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// No node.
    Nowhere,
    /// A node without the image.
    WithoutImage,
    /// A node, without what the container's environment is made from.
    WithoutConfig,
    Node,
}

// === impl Outcome ===

impl Outcome {
    /// What it means for one pod: `crash-one` is `crash` for the oldest pod and `ready` for the others.
    pub(super) fn of_pod(self, oldest: bool) -> Self {
        match self {
            Self::CrashOne if oldest => Self::Crash,
            Self::CrashOne => Self::Ready,
            other => other,
        }
    }

    /// What its last container does.
    pub(super) fn script(self) -> Script {
        let runs = Script {
            place: Place::Node,
            runs_for: None,
            ready_after: Some(Duration::ZERO),
            exit_code: 1,
            down_for: None,
            falls_at_once: false,
        };
        let crashes = Script {
            runs_for: Some(CRASH),
            ready_after: None,
            falls_at_once: true,
            ..runs.clone()
        };
        match self {
            Self::Ready | Self::CrashOne => runs,
            Self::Crash => crashes,
            Self::CrashLast(up) => Script {
                runs_for: Some(up),
                ..runs
            },
            Self::Flap { up, down } => Script {
                runs_for: Some(up),
                down_for: Some(down),
                ..runs
            },
            Self::Pending => Script {
                place: Place::Nowhere,
                ..runs
            },
            Self::ImagePull => Script {
                place: Place::WithoutImage,
                ..runs
            },
            Self::ConfigError => Script {
                place: Place::WithoutConfig,
                ..runs
            },
            Self::ReadyAfter(after) => Script {
                ready_after: Some(after),
                ..runs
            },
            Self::Unready => Script {
                ready_after: None,
                ..runs
            },
            Self::Oom => Script {
                exit_code: 137,
                ..crashes
            },
        }
    }
}

impl FromStr for Outcome {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.trim().split(':');
        let name = parts.next().unwrap_or_default();
        let times: Vec<Duration> = parts.map(seconds).collect::<Result<_, _>>()?;
        match (name, times.as_slice()) {
            ("ready", []) => Ok(Self::Ready),
            ("crash", []) => Ok(Self::Crash),
            ("crash-last", [up]) => Ok(Self::CrashLast(*up)),
            ("crash-one", []) => Ok(Self::CrashOne),
            ("flap", [up, down]) => Ok(Self::Flap { up: *up, down: *down }),
            ("pending", []) => Ok(Self::Pending),
            ("image-pull", []) => Ok(Self::ImagePull),
            ("config-error", []) => Ok(Self::ConfigError),
            ("ready-after", [after]) => Ok(Self::ReadyAfter(*after)),
            ("unready", []) => Ok(Self::Unready),
            ("oom", []) => Ok(Self::Oom),
            _ => Err(format!(
                "{ANNOTATION}: {text:?} is none of ready, crash, crash-last:SECONDS, crash-one, flap:UP:DOWN, pending, \
                 image-pull, config-error, ready-after:SECONDS, unready, oom"
            )),
        }
    }
}

/// Seconds, with decimals if need be. Zero is too short for anything that repeats.
fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{ANNOTATION}: {text:?} is not a number of seconds between 0.1 and 86400");
    let number: f64 = text.parse().map_err(|_| wrong())?;
    if (0.1..=86_400.0).contains(&number) {
        Ok(Duration::from_secs_f64(number))
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str) -> Outcome {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_oldest_pod_of_crash_one_crashes() {
        assert_eq!(outcome("crash-one").of_pod(true), Outcome::Crash);
        assert_eq!(outcome("crash-one").of_pod(false), Outcome::Ready);
        assert_eq!(outcome("unready").of_pod(true), Outcome::Unready);
    }

    #[test]
    fn annotations_are_read_or_refused() {
        let up = Duration::from_secs(20);
        assert_eq!(
            outcome("flap:20:0.5"),
            Outcome::Flap {
                up,
                down: Duration::from_millis(500)
            }
        );
        assert_eq!(outcome(" crash-last:20 "), Outcome::CrashLast(up));
        for text in [
            "",
            "Ready",
            "crash:1",
            "crash-last",
            "crash-last:x",
            "crash-last:-4",
            "crash-last:0",
            "flap:3",
            "flap:3:0",
            "flap:3:4:5",
            "ready-after:NaN",
            "ready-after:1e30",
            "ready:",
        ] {
            let refusal = text.parse::<Outcome>().unwrap_err();
            assert!(refusal.contains(ANNOTATION), "{text}: {refusal}");
        }
    }
}
