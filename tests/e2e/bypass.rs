//! Nothing gets past the webhook that Flagger cannot decode or that breaks an enforced rule: what a real API server
//! stored is decoded by Flagger's own codec, and held against the rules once more, written here from what they promise
//! and not from their code.
//!
//! `CURFEW_BYPASS_SEED` and `CURFEW_BYPASS_CASES` repeat or lengthen it.

use std::{collections::HashMap, path::PathBuf};

use fastrand::Rng;
use futures::StreamExt as _;
use kube::Client;
use serde_json::Value;
use testbed::CurfewOptions;

use crate::{
    hostile,
    oracle::{self, Duration, Mode, Verdict},
    planes,
};

const SEED: u64 = 20_261_124;
const CASES: usize = 600;
const AT_ONCE: usize = 16;
const CANARIES: &str = "/apis/flagger.app/v1beta1/namespaces/tenant/canaries";
const ROLLOUT_DEADLINE: &str = "curfew.dev/rollout-deadline";

/// What became of everything that was sent.
#[derive(Debug, Default)]
struct Tally {
    stored: usize,
    refused: usize,
    /// By the CRD, or by the API server, which does not take everything for an object.
    invalid: usize,
}

#[tokio::test]
async fn nothing_is_stored_that_breaks_an_enforced_rule() {
    let curfew = CurfewOptions {
        // As it comes.
        policy: Some(PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/core/src/policy/default.yaml"
        ))),
        ..CurfewOptions::default()
    };
    let Some(plane) = planes::own(planes::bare(Some(curfew))).await else {
        return;
    };
    let client = plane.client("admin").await.unwrap();
    let mut random = Rng::with_seed(setting("CURFEW_BYPASS_SEED").unwrap_or(SEED));
    let cases = usize::try_from(setting("CURFEW_BYPASS_CASES").unwrap_or(CASES as u64)).unwrap();
    let sent: Vec<_> = (0..cases)
        .map(|number| hostile::canary(&format!("web-{number}"), &mut random))
        .collect();
    let tally = send(&client, sent).await;
    let stored = stored(&client).await;
    assert_eq!(stored.len(), tally.stored, "{tally:?}");
    eprintln!("bypass: {tally:?}");
    assert!(
        tally.stored * 10 > cases && tally.refused * 5 > cases && tally.invalid > 0,
        "one-sided: {tally:?}"
    );

    let lines: Vec<_> = stored.iter().map(Value::to_string).collect();
    let Some(verdicts) = oracle::ask::<Verdict>(Mode::Decode, &lines) else {
        return;
    };
    let durations = durations(&stored).unwrap();
    for (canary, verdict) in stored.iter().zip(verdicts) {
        let broken = broken(canary, &verdict, &durations);
        assert_eq!(broken, [""; 0], "this got past Curfew: {canary:#}");
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect(name))
}

async fn send(client: &Client, canaries: Vec<Value>) -> Tally {
    // As they are: a typed object could not even be read from some of them.
    let answers = futures::stream::iter(canaries).map(|canary| async move {
        let request = http::Request::post(CANARIES).header("content-type", "application/json");
        let request = request.body(canary.to_string().into_bytes()).unwrap();
        (client.request::<Value>(request).await, canary)
    });
    let answers: Vec<_> = answers.buffer_unordered(AT_ONCE).collect().await;
    let mut tally = Tally::default();
    for (answer, canary) in answers {
        match answer {
            Ok(_) => tally.stored += 1,
            Err(kube::Error::Api(status)) if status.message.contains("is refused by Curfew: ") => tally.refused += 1,
            // Whatever else it is: the webhook has answered properly if it was asked.
            Err(kube::Error::Api(status)) => {
                assert!(
                    matches!(status.code, 400 | 422) && !status.message.contains("calling webhook"),
                    "{}: {canary:#}",
                    status.message
                );
                tally.invalid += 1;
            }
            Err(error) => panic!("{error}: {canary:#}"),
        }
    }
    tally
}

/// Everything that is stored, exactly as Flagger's watch gets it.
async fn stored(client: &Client) -> Vec<Value> {
    let request = http::Request::get(CANARIES);
    let text = client.request_text(request.body(Vec::new()).unwrap()).await.unwrap();
    let mut list: Value = serde_json::from_str(&text).unwrap();
    let Value::Array(items) = list["items"].take() else {
        panic!("no list: {text}")
    };
    items
        .into_iter()
        .map(|mut item| {
            // A list leaves them to itself.
            item["apiVersion"] = list["apiVersion"].clone();
            item["kind"] = "Canary".into();
            item
        })
        .collect()
}

// === the rules, once more ===

/// The promises that this Canary breaks.
fn broken(canary: &Value, verdict: &Verdict, durations: &HashMap<String, f64>) -> Vec<String> {
    if !verdict.ok {
        return vec![format!("Flagger cannot decode it: {}", verdict.error)];
    }
    let (spec, analysis) = (&canary["spec"], &canary["spec"]["analysis"]);
    let mut broken = Vec::new();
    let mut promise = |kept: bool, what: &str| {
        if !kept {
            broken.push(what.to_owned());
        }
    };
    let within =
        |value: &Value, least: i64, most: i64| value.as_i64().is_some_and(|value| (least..=most).contains(&value));
    let or_absent = |value: &Value, least: i64, most: i64| value.is_null() || within(value, least, most);
    let go = |text: &str| durations.get(text).copied();

    promise(
        within(&spec["progressDeadlineSeconds"], 60, 3600),
        "a deadline from 60 to 3600",
    );
    promise(
        analysis["interval"].as_str().and_then(go).is_some(),
        "an interval that Go parses",
    );
    promise(or_absent(&analysis["maxWeight"], 1, 100), "a maxWeight from 1 to 100");
    promise(
        or_absent(&analysis["mirrorWeight"], 1, 100),
        "a mirrorWeight from 1 to 100",
    );
    promise(
        or_absent(&analysis["stepWeightPromotion"], 0, 100),
        "a stepWeightPromotion from 0 to 100",
    );
    for threshold in ["primaryReadyThreshold", "canaryReadyThreshold"] {
        promise(
            or_absent(&analysis[threshold], 1, 100),
            "ready thresholds from 1 to 100",
        );
    }
    promise(
        spec["targetRef"]["kind"] == "Service" || within(&spec["service"]["port"], 1, 65535),
        "a port from 1 to 65535",
    );
    for hook in analysis["webhooks"].as_array().into_iter().flatten() {
        let timeout = hook["timeout"].as_str().unwrap_or_default();
        promise(
            timeout.len() < 2 || go(timeout).is_some_and(|seconds| seconds > 0.0),
            "timeouts of hooks that Go parses, above zero",
        );
    }

    let iterations = analysis["iterations"].as_i64().unwrap_or(0);
    let step = analysis["stepWeight"].as_i64().unwrap_or(0);
    let most = analysis["maxWeight"].as_i64().unwrap_or(100);
    let list: Vec<i64> = analysis["stepWeights"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_i64)
        .collect();
    let by_steps = iterations <= 0;
    if by_steps && step != 0 {
        promise((1..=most).contains(&step), "a stepWeight from 1 to maxWeight");
    } else if by_steps {
        promise(
            list.iter().all(|step| (0..=100).contains(step)),
            "stepWeights from 0 to 100",
        );
        promise(list.is_sorted_by(|a, b| a < b), "stepWeights that rise");
    }
    let provider = spec["provider"].as_str().unwrap_or("kubernetes");
    if by_steps && provider != "kubernetes" && spec["skipAnalysis"] != true {
        promise(
            step != 0 || list.first().is_some_and(|first| *first != 0),
            "a first step",
        );
        promise(
            analysis["mirror"] != true || provider == "istio",
            "steps that are not mirrored",
        );
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds and steps are small numbers")]
    {
        let interval = verdict.getters.interval_nanos.unwrap_or(0) as f64 / 1e9;
        let deadline = verdict.getters.deadline.unwrap_or(0) as f64;
        promise(
            spec["targetRef"]["kind"] != "DaemonSet" || interval < deadline,
            "an interval below the deadline of a DaemonSet",
        );
        let steps = match (by_steps, step) {
            _ if spec["skipAnalysis"] == true => 0.0,
            (false, _) => iterations as f64,
            (true, 1..) => (most as f64 / step as f64).ceil(),
            (true, _) => list.len() as f64,
        };
        if let Some(written) = canary["metadata"]["annotations"][ROLLOUT_DEADLINE].as_str() {
            promise(
                go(written).is_some_and(|seconds| seconds > 0.0 && seconds >= interval * steps && seconds <= 86_400.0),
                "a rollout deadline from all steps to a day",
            );
        }
    }
    broken
}

/// What Go makes of every duration in these Canaries, in seconds.
fn durations(canaries: &[Value]) -> Option<HashMap<String, f64>> {
    let written = |canary: &Value| -> Vec<String> {
        let analysis = &canary["spec"]["analysis"];
        let hooks = analysis["webhooks"].as_array().into_iter().flatten();
        let all = [
            &analysis["interval"],
            &canary["metadata"]["annotations"][ROLLOUT_DEADLINE],
        ]
        .into_iter();
        all.chain(hooks.map(|hook| &hook["timeout"]))
            .filter_map(|text| Some(text.as_str()?.to_owned()))
            .collect()
    };
    let texts: Vec<_> = canaries.iter().flat_map(written).collect();
    let lines: Vec<_> = texts
        .iter()
        .map(|text| Value::from(text.as_str()).to_string())
        .collect();
    let answers = oracle::ask::<Duration>(Mode::Duration, &lines)?;
    #[expect(clippy::cast_precision_loss, reason = "nobody waits for nanoseconds")]
    let parsed = texts
        .into_iter()
        .zip(answers)
        .filter(|(_, answer)| answer.ok)
        .map(|(text, answer)| (text, answer.nanos as f64 / 1e9));
    Some(parsed.collect())
}
