//! What Curfew says of itself: Events, verdicts, metrics.

use serde_json::Value;
use testbed::Handle;

use crate::stage::{APP, Stage};

/// A Curfew's metrics at one moment.
pub struct Metrics(String);

// === impl Metrics ===

impl Metrics {
    /// Those of the plane's Curfew.
    pub async fn of(plane: &Handle) -> Self {
        Self::at(plane.curfew_admin_url()).await
    }

    /// Those of the Curfew with this plain listener.
    pub async fn at(admin_url: &str) -> Self {
        let url = format!("{admin_url}/metrics");
        let (status, text) = testbed::get(&url).await.expect("Curfew's metrics");
        assert_eq!(status, 200, "{text}");
        Self(text)
    }

    /// The value of a series, such as `curfew_breaches_total{clock="readiness"}`; none that was never counted is 0.
    pub fn value(&self, series: &str) -> f64 {
        let line = self
            .0
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Whether there is such a series.
    pub fn has(&self, series: &str) -> bool {
        self.0
            .lines()
            .any(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))
    }
}

/// Asserts that a verdict was handed over within five seconds of its deadline, however busy the machine is.
pub fn assert_prompt(verdict: &Value) {
    let at = |key: &str| verdict[key].as_str().unwrap_or_default().to_owned();
    let late = seconds_between(&at("deadline"), &at("at"));
    assert!((0..=5).contains(&late), "{late} s after the deadline: {verdict}");
}

/// Asserts what a verdict says, but for its times and its reason, which it returns.
pub fn assert_verdict(verdict: &Value, remedy: &str, result: &str) -> String {
    let said = |key: &str| verdict[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (said("clock"), said("remedy"), said("result")),
        ("readiness".to_owned(), remedy.to_owned(), result.to_owned()),
        "{verdict}"
    );
    said("reason")
}

/// Waits until Flagger rolled back on the word of one of Curfew's clocks, and answers the verdict.
pub async fn rolled_back(stage: &Stage, clock: &str, patience: u64) -> Value {
    stage.phase("Failed", patience).await;
    let verdict = stage
        .until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
        .await;
    assert_eq!(
        (verdict["clock"].as_str(), verdict["remedy"].as_str()),
        (Some(clock), Some("rollback")),
        "{verdict}"
    );
    stage.event("RollbackConfirmed").await;
    stage.replicas(APP, 0).await;
    verdict
}

/// Waits until Curfew told that a clock's deadline passed, and answers the verdict, by which nothing is done.
pub async fn reported(stage: &Stage, clock: &str, patience: u64) -> Value {
    let verdict = stage
        .until(&format!("the {clock} clock reports"), patience, |seen| {
            seen.verdict_with("reported")
                .filter(|verdict| verdict["clock"] == clock)
        })
        .await;
    assert_eq!(verdict["remedy"], "report", "{verdict}");
    let told = stage.event("DeadlineExceeded").await;
    assert!(told.starts_with(&format!("the {clock} deadline of ")), "{told}");
    verdict
}

/// Asserts that one deadline's passing was reported, once, and nothing else but that deadlines come near, which they may on a
/// busy machine, and these reasons.
pub async fn only_reported(stage: &Stage, besides: &[&str]) {
    let events = stage.curfews_events().await;
    let exceeded = events.iter().filter(|(reason, _)| reason == "DeadlineExceeded").count();
    assert_eq!(exceeded, 1, "reported once: {events:?}");
    let is_known =
        |reason: &str| ["DeadlineExceeded", "DeadlineApproaching"].contains(&reason) || besides.contains(&reason);
    assert!(
        events.iter().all(|(reason, _)| is_known(reason)),
        "and nothing else: {events:?}"
    );
}

/// Seconds from one RFC 3339 time to another.
pub fn seconds_between(from: &str, to: &str) -> i64 {
    let time = |text: &str| text.parse::<jiff::Timestamp>().expect(text);
    time(to).duration_since(time(from)).as_secs()
}
