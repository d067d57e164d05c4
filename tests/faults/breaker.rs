//! The breaker at work: of many deadlines in the same second none is acted upon within its window, loudly, and then they
//! are let go at a steady rate, the oldest first.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use curfew::{cluster::api_health::ApiHealth, enforcer::metrics::Metrics};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::json;

use crate::{
    app::{self, NAMESPACE},
    logs::Log,
    request::Request,
    stage::Stage,
    world::World,
};

/// How many deadlines pass in the same second.
const MANY: usize = 30;

/// The window of the breaker, which is five minutes by default.
const WINDOW: Duration = Duration::from_secs(10);

/// Of so many rollouts half may fail within a window; those that were held back are let go at that rate.
const IN_A_WINDOW: usize = MANY / 2;

/// So many deadlines passed before the others, which are so many seconds long.
const FIRST: usize = 5;
const LONGER: i64 = 3;

/// Most that a request is logged later than it was sent.
const SLACK: Duration = Duration::from_secs(1);

const POLICY: &str = "
apiVersion: curfew.dev/v1alpha1
kind: CanaryPolicy
metadata: {name: scripted}
spec: {enforcement: {warnAtPercent: 100, breaker: {enabled: true, min: 10, percent: 50, window: 10s}}}
";

fn name(index: usize) -> String {
    format!("web{index:03}")
}

fn set_deadline(world: &mut World, seconds: impl Fn(usize) -> i64) {
    for index in 0..MANY {
        world.change("canaries", NAMESPACE, &name(index), |canary| {
            canary["spec"]["progressDeadlineSeconds"] = json!(seconds(index));
        });
    }
}

/// Many rollouts, each seen from its beginning.
async fn running() -> Stage {
    let mut stage = Stage::without_enforcer(|world| {
        (0..MANY).for_each(|index| app::install(world, &name(index)));
        set_deadline(world, |_| 600);
    })
    .await;
    stage.policy = POLICY;
    stage.start().await;
    stage.server.change(|world| {
        for index in 0..MANY {
            app::begin(world, &name(index));
            // One pod is enough to say why, and keeps the lists short.
            (1..4).for_each(|pod| world.delete("pods", NAMESPACE, &format!("{}-{pod}", name(index))));
        }
    });
    stage
        .server
        .until("all of them are stamped", |world, _| {
            let is_stamped = |index| {
                let canary = world.get("canaries", NAMESPACE, &name(index)).expect("the Canary");
                !canary["metadata"]["annotations"]["curfew.dev/started-at"].is_null()
            };
            (0..MANY).all(is_stamped).then_some(())
        })
        .await;
    stage
}

/// When each Canary's failed checks were raised, in this order, with its name.
fn raised(log: &[Request]) -> Vec<(Instant, String)> {
    let levers = log.iter().filter(|request| request.is("patch", "canaries/status"));
    levers.map(|request| (request.at, request.name.clone())).collect()
}

/// Whether an Event says that the breaker holds a Canary back. On a busy machine it may be held back for something else before.
fn is_withheld(request: &Request) -> bool {
    let note = request.body["note"].as_str().unwrap_or_default();
    request.is("create", "events")
        && request.body["reason"] == "ActionWithheld"
        && note.contains("deadlines passed within the breaker's window")
}

#[tokio::test]
async fn of_many_deadlines_none_is_acted_upon_within_the_window_and_then_one_after_the_other() {
    let (log, _guard) = Log::start();
    let stage = running().await;
    // Then all have passed, those of some before the others'.
    tokio::time::sleep(Duration::from_secs(LONGER.unsigned_abs() + 1)).await;
    let passed = Instant::now();
    let first = |index| index >= MANY - FIRST;
    stage
        .server
        .change(|world| set_deadline(world, |index| if first(index) { 1 } else { LONGER }));
    stage
        .server
        .until("nothing is done", |_, log| log.iter().any(is_withheld).then_some(()))
        .await;
    let mut registry = Registry::default();
    Metrics::tell(
        &mut registry,
        ApiHealth::default(),
        Arc::clone(&stage.context().rollouts),
    );
    let is_open = || {
        let mut text = String::new();
        encode(&mut text, &registry).expect("text");
        text.lines().any(|line| line == "breaker_open 1.0")
    };
    assert!(is_open());
    let raised = stage
        .server
        .until("all are handed over", |world, log| {
            let is_done = |index| app::has_result(world, &name(index), "requested").is_some();
            (0..MANY).all(is_done).then(|| raised(log))
        })
        .await;

    assert!(
        raised[0].0 - passed >= WINDOW,
        "within the window: {:?}",
        raised[0].0 - passed
    );
    let mut names: Vec<_> = raised.iter().map(|(_, name)| name.as_str()).collect();
    // Those who ask a little late are let go together.
    let early = &names[..2 * FIRST];
    let oldest = (0..MANY).filter(|index| first(*index)).map(name);
    assert!(
        oldest.clone().all(|oldest| early.contains(&oldest.as_str())),
        "the oldest first: {names:?}"
    );
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), raised.len()), (MANY, MANY), "each once");
    let all = raised[MANY - 1].0 - raised[0].0;
    let rate = WINDOW * u32::try_from(MANY / IN_A_WINDOW).expect("a few");
    assert!(all + 2 * SLACK >= rate, "at a steady rate: {all:?}");
    // Those who asked late, by two seconds at most, are let go together.
    let fastest = raised
        .windows(IN_A_WINDOW)
        .map(|some| some[IN_A_WINDOW - 1].0 - some[0].0)
        .min();
    assert!(fastest.is_some_and(|fastest| fastest >= WINDOW / 3), "{fastest:?}");

    let requests = stage.server.log();
    let mut held: Vec<_> = requests
        .iter()
        .filter(|request| is_withheld(request))
        .map(|request| request.body["regarding"]["name"].clone())
        .collect();
    held.sort_by_key(ToString::to_string);
    let all: Vec<_> = (0..MANY).map(|index| json!(name(index))).collect();
    assert_eq!(held, all, "one Event for each");
    assert_eq!(
        log.lines_with(&["ERROR", "the breaker is open"]),
        1,
        "it is said once, loudly"
    );
    let closing = async {
        while is_open() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let closed = tokio::time::timeout(Duration::from_mins(1), closing).await;
    assert!(closed.is_ok(), "it does not close");
    stage.assert_careful();
}
