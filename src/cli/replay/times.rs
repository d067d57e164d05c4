//! Since when an object is as it is, going by what it carries, where nobody wrote down when it was heard of.
//!
//! The API server notes a time for each writer of an object (`metadata.managedFields`), to the second, which kubectl leaves out
//! unless it is asked for it. Without it, what is left are the times that controllers write themselves: those tell of
//! every change of a Canary's status and of a container, but of a Deployment only when its conditions change.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// The newest time that an object carries; none later than `now`, which cannot have been.
#[must_use]
pub fn state_time(object: &Value, now: Timestamp) -> Option<Timestamp> {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    let mut times = vec![
        time(&metadata["creationTimestamp"]),
        deletion(metadata),
        // Flagger's status.
        time(&status["lastTransitionTime"]),
        // A pod's.
        time(&status["startTime"]),
        // An Event.
        time(&object["firstTimestamp"]),
        time(&object["lastTimestamp"]),
        time(&object["eventTime"]),
        time(&object["series"]["lastObservedTime"]),
    ];
    times.extend(items(&metadata["managedFields"]).map(|entry| time(&entry["time"])));
    for condition in items(&status["conditions"]) {
        times.push(time(&condition["lastUpdateTime"]));
        times.push(time(&condition["lastTransitionTime"]));
    }
    for list in ["initContainerStatuses", "containerStatuses"] {
        for container in items(&status[list]) {
            for state in [&container["state"], &container["lastState"]] {
                times.push(time(&state["running"]["startedAt"]));
                times.push(time(&state["terminated"]["startedAt"]));
                times.push(time(&state["terminated"]["finishedAt"]));
            }
        }
    }
    times.into_iter().flatten().filter(|time| *time <= now).max()
}

/// Since when an object exists.
#[must_use]
pub fn created(object: &Value) -> Option<Timestamp> {
    time(&object["metadata"]["creationTimestamp"])
}

/// When its deletion was asked for: what it carries is when it ends at the latest.
fn deletion(metadata: &Value) -> Option<Timestamp> {
    let grace = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or_default();
    time(&metadata["deletionTimestamp"])?
        .checked_sub(SignedDuration::from_secs(grace))
        .ok()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        "2026-11-23T14:00:00Z".parse::<Timestamp>().expect("a time") + SignedDuration::from_secs(second)
    }

    fn text(second: i64) -> String {
        at(second).to_string()
    }

    #[test]
    fn the_newest_time_that_can_be_is_taken() {
        let created = json!({"creationTimestamp": text(1)});
        for (object, expected) in [
            (json!({"metadata": created}), Some(1)),
            (
                json!({"metadata": {"creationTimestamp": text(1), "managedFields": [{"time": text(9)}, {"time": text(4)}]},
                    "status": {"conditions": [{"lastUpdateTime": text(5)}]}}),
                Some(9),
            ),
            (
                json!({"metadata": created, "status": {"lastTransitionTime": text(7)}}),
                Some(7),
            ),
            (
                json!({"metadata": created, "status": {"conditions": [
                    {"lastUpdateTime": text(3), "lastTransitionTime": text(2)}, {"lastTransitionTime": text(6)}]}}),
                Some(6),
            ),
            (
                json!({"metadata": created, "status": {"containerStatuses": [
                    {"state": {"waiting": {}}, "lastState": {"terminated": {"startedAt": text(3), "finishedAt": text(8)}}}]}}),
                Some(8),
            ),
            // A pod that may take 30 s to end was told to 30 s before.
            (
                json!({"metadata": {"creationTimestamp": text(1), "deletionTimestamp": text(40),
                    "deletionGracePeriodSeconds": 30}}),
                Some(10),
            ),
            (json!({"metadata": created, "lastTimestamp": text(11)}), Some(11)),
            // Nobody has seen what is yet to come.
            (
                json!({"metadata": created, "status": {"lastTransitionTime": text(4000)}}),
                Some(1),
            ),
            (json!({"metadata": {"creationTimestamp": "yesterday"}}), None),
            (json!({"metadata": 3, "status": [1]}), None),
        ] {
            assert_eq!(state_time(&object, at(3600)), expected.map(at), "{object}");
        }
    }
}
