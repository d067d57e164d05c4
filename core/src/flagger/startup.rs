//! What a workload's template says about how its pods become ready, and how many of them may be missing.

use serde_json::Value;

use super::canary::whole_number;

/// The defaults that the API server fills in (`SetDefaults_Probe` in Kubernetes' `pkg/apis/core/v1/defaults.go`).
const PERIOD: i64 = 10;
const FAILURES: i64 = 3;
const SUCCESSES: i64 = 1;

/// How the pods of a template become ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Startup {
    /// Whether a container has a readiness probe.
    pub has_readiness_probe: bool,
    /// Whether a container has a liveness probe.
    pub has_liveness_probe: bool,
    /// Seconds that the slowest container may take by its own probes, before it is restarted or first found ready.
    pub seconds: i64,
}

/// How many pods a rolling update may leave unavailable, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MaxUnavailable {
    /// So many.
    Pods(i64),
    /// So many per cent of them, rounded down.
    Percent(i64),
}

// === impl Startup ===

impl Startup {
    /// Reads a pod template; every JSON value gives one.
    #[must_use]
    pub fn of(template: &Value) -> Self {
        let spec = &template["spec"];
        let listed = |list: &'static str| spec[list].as_array().into_iter().flatten();
        // An init container that is always restarted is a sidecar, and has probes like the others.
        let sidecars = listed("initContainers").filter(|container| container["restartPolicy"] == "Always");
        listed("containers")
            .chain(sidecars)
            .fold(Self::default(), |all, container| Self {
                has_readiness_probe: all.has_readiness_probe || container["readinessProbe"].is_object(),
                has_liveness_probe: all.has_liveness_probe || container["livenessProbe"].is_object(),
                seconds: all.seconds.max(budget(container)),
            })
    }
}

/// The readiness probe begins when the startup probe has succeeded, and its own delay counts from the container's start.
fn budget(container: &Value) -> i64 {
    let (startup, readiness) = (&container["startupProbe"], &container["readinessProbe"]);
    let field = |probe: &Value, field: &str, default| whole_number(&probe[field]).unwrap_or(default).max(0);
    let started = if startup.is_object() {
        let tries =
            field(startup, "periodSeconds", PERIOD).saturating_mul(field(startup, "failureThreshold", FAILURES));
        field(startup, "initialDelaySeconds", 0).saturating_add(tries)
    } else {
        0
    };
    if !readiness.is_object() {
        return started;
    }
    let found =
        field(readiness, "periodSeconds", PERIOD).saturating_mul(field(readiness, "successThreshold", SUCCESSES));
    started
        .max(field(readiness, "initialDelaySeconds", 0))
        .saturating_add(found)
}

// === impl MaxUnavailable ===

impl MaxUnavailable {
    /// Reads a Deployment's `spec.strategy`; nothing where all pods are replaced at once.
    #[must_use]
    pub fn of(strategy: &Value) -> Option<Self> {
        if strategy["type"] == "Recreate" {
            return None;
        }
        let written = &strategy["rollingUpdate"]["maxUnavailable"];
        let percent = written.as_str().and_then(|text| text.strip_suffix('%')?.parse().ok());
        Some(match (percent, whole_number(written)) {
            (Some(percent), _) => Self::Percent(percent),
            (None, Some(pods)) => Self::Pods(pods),
            // What the API server fills in.
            (None, None) => Self::Percent(25),
        })
    }

    /// How many pods that is of so many.
    #[must_use]
    pub fn pods(self, of: i64) -> i64 {
        match self {
            Self::Pods(pods) => pods,
            Self::Percent(percent) => of.saturating_mul(percent) / 100,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(container: &Value) -> Value {
        json!({"spec": {"containers": [{"name": "quick"}, container]}})
    }

    #[test]
    fn the_slowest_container_gives_the_time() {
        for (container, seconds) in [
            (json!({}), 0),
            (json!({"readinessProbe": {}}), 10),
            (
                json!({"readinessProbe": {"initialDelaySeconds": 30, "periodSeconds": 5, "successThreshold": 2}}),
                40,
            ),
            (json!({"startupProbe": {}}), 30),
            (
                json!({"startupProbe": {"periodSeconds": 5, "failureThreshold": 60, "initialDelaySeconds": 7}}),
                307,
            ),
            (
                json!({"startupProbe": {"periodSeconds": 5, "failureThreshold": 60},
                    "readinessProbe": {"initialDelaySeconds": 10, "periodSeconds": 2}}),
                302,
            ),
            (
                json!({"startupProbe": {"periodSeconds": -5, "failureThreshold": i64::MAX}}),
                0,
            ),
            (
                json!({"startupProbe": {"periodSeconds": i64::MAX, "failureThreshold": i64::MAX}}),
                i64::MAX,
            ),
        ] {
            assert_eq!(Startup::of(&template(&container)).seconds, seconds, "{container}");
        }
    }

    #[test]
    fn sidecars_count_and_other_init_containers_do_not() {
        let of = |policy: &Value| {
            let sidecar = json!({"restartPolicy": policy, "startupProbe": {}, "livenessProbe": {}});
            Startup::of(&json!({"spec": {"containers": [{}], "initContainers": [sidecar]}}))
        };
        assert_eq!(
            (of(&json!("Always")).seconds, of(&json!("Always")).has_liveness_probe),
            (30, true)
        );
        assert_eq!(of(&Value::Null), Startup::default());
    }

    #[test]
    fn pods_that_may_be_missing_are_rounded_down() {
        for (strategy, of, expected) in [
            (json!({}), 3, Some(0)),
            (json!({}), 4, Some(1)),
            (json!({"rollingUpdate": {"maxUnavailable": "34%"}}), 3, Some(1)),
            (json!({"rollingUpdate": {"maxUnavailable": 0}}), 100, Some(0)),
            (json!({"rollingUpdate": {"maxUnavailable": 2}}), 1, Some(2)),
            (json!({"type": "Recreate"}), 4, None),
        ] {
            assert_eq!(
                MaxUnavailable::of(&strategy).map(|most| most.pods(of)),
                expected,
                "{strategy}"
            );
        }
    }
}
