//! An API server that refuses, forgets and hangs up: nothing is lost, and it is not asked more for it.

use std::{sync::Arc, time::Duration};

use curfew::{
    flagger::workload::Workload,
    rollout::target_ref::TargetRef,
    rules::lookup::{Lookup as _, LookupResult},
};

use crate::{
    app::{self, APP},
    script::{Gate, on},
    server::Cut,
    stage::Stage,
};

const KINDS: [&str; 5] = ["canaries", "daemonsets", "deployments", "events", "namespaces"];

#[tokio::test]
async fn a_storm_of_429_is_waited_out_and_then_one_verdict_is_handed_over() {
    let stage = Stage::open().await;
    stage.server.script(on("*", "*").retry_after(1));
    stage.begin();
    // The clocks go on: the watches that stand tell of the rollout, and every request for it is refused.
    stage
        .server
        .until("three refusals", |_, log| {
            (log.iter().filter(|request| request.answer == Some(429)).count() >= 3).then_some(())
        })
        .await;
    let log = stage.server.log();
    let asked: Vec<_> = log
        .iter()
        .filter(|request| request.answer == Some(429))
        .map(|request| request.at)
        .collect();
    assert!(
        asked[2] - asked[0] >= Duration::from_millis(900),
        "Retry-After was not waited for"
    );
    stage.server.end_of_script();
    stage.handed_over(APP).await;
    stage.told("RollbackRequested").await;
    assert_eq!(stage.verdicts("requested"), 1);
    assert_eq!(stage.events(), ["DeadlineExceeded", "RollbackRequested"]);
    stage.assert_careful();
}

#[tokio::test]
async fn watches_whose_version_was_forgotten_list_anew_and_go_on() {
    let stage = Stage::open().await;
    for kind in KINDS {
        stage.server.cut_watches(kind, Cut::Expired);
    }
    for kind in KINDS {
        stage
            .server
            .until(&format!("{kind} are listed and watched again"), |_, log| {
                let count = |verb| log.iter().filter(|request| request.is(verb, kind)).count();
                (count("list") == 2 && count("watch") == 2).then_some(())
            })
            .await;
    }
    stage.begin();
    stage.handed_over(APP).await;
    assert_eq!(stage.verdicts("requested"), 1);
    stage.assert_careful();
}

#[tokio::test]
async fn a_watch_that_is_refused_with_410_is_begun_anew() {
    let stage = Stage::open().await;
    stage.server.script(on("watch", "canaries").times(2).refuse(410));
    stage.server.cut_watches("canaries", Cut::Ends);
    stage.begin();
    stage.handed_over(APP).await;
    stage.assert_careful();
}

#[tokio::test]
async fn watches_that_end_in_mid_rollout_miss_nothing() {
    let stage = Stage::open().await;
    stage.begin();
    stage.server.change(|world| app::heal(world, APP));
    for kind in KINDS {
        stage.server.cut_watches(kind, Cut::Ends);
    }
    stage.server.change(|world| {
        world.change("deployments", app::NAMESPACE, APP, |deployment| {
            deployment["status"]["availableReplicas"] = 3.into();
        });
        world.change("pods", app::NAMESPACE, &format!("{APP}-0"), |pod| {
            pod["status"]["conditions"][0]["status"] = "False".into();
        });
    });
    stage.handed_over(APP).await;
    stage.assert_careful();
}

#[tokio::test]
async fn watches_that_die_without_a_word_are_begun_anew_and_miss_nothing() {
    let mut stage = Stage::without_enforcer(|world| app::install(world, APP)).await;
    stage.silent = Duration::from_secs(5);
    stage.server.send_bookmarks(Duration::from_millis(200));
    stage.start().await;
    for kind in ["canaries", "deployments"] {
        stage.server.cut_watches(kind, Cut::Silent);
    }
    stage.begin();
    stage.handed_over(APP).await;
    for kind in ["canaries", "deployments"] {
        assert_eq!(stage.server.count("watch", kind), 2, "{kind}");
    }
    assert_eq!(
        stage.server.count("watch", "namespaces"),
        1,
        "a watch that is well is left alone"
    );
    stage.assert_careful();
}

#[tokio::test]
async fn of_what_a_silent_watch_should_show_the_rules_are_told_that_nobody_sees_it() {
    let mut stage = Stage::without_enforcer(|world| app::install(world, APP)).await;
    stage.silent = Duration::from_secs(5);
    stage.server.send_bookmarks(Duration::from_millis(200));
    stage.start().await;
    let target = TargetRef {
        kind: "Deployment".to_owned(),
        name: APP.to_owned(),
        ..TargetRef::default()
    };
    let told = async |expected: fn(&LookupResult<Arc<Workload>>) -> bool| {
        let look = || stage.lookup().workload(app::NAMESPACE, &target);
        let come = async {
            while !expected(&look()) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let come = tokio::time::timeout(Duration::from_secs(40), come).await;
        assert!(come.is_ok(), "the rules are still told {:?}", look());
    };
    told(|seen| matches!(seen, LookupResult::Found(_))).await;
    let back = Gate::closed();
    stage.server.script(on("watch", "deployments").hold(&back));
    stage.server.cut_watches("deployments", Cut::Silent);
    told(|seen| matches!(seen, LookupResult::Unavailable(why) if why.contains("silent"))).await;
    let others = stage.lookup().others_on_target(app::NAMESPACE, APP, "another");
    assert_eq!(
        others,
        LookupResult::Found(vec![APP.to_owned()]),
        "what other watches show is gone by"
    );
    back.open();
    told(|seen| matches!(seen, LookupResult::Found(_))).await;
}

#[tokio::test]
async fn a_watch_that_ends_at_once_again_and_again_is_not_begun_a_hundred_times() {
    let stage = Stage::open().await;
    stage.server.script(on("watch", "canaries").end_at_once());
    stage.server.cut_watches("canaries", Cut::Ends);
    stage
        .server
        .never("a storm of watches", Duration::from_secs(3), |_, log| {
            (log.iter().filter(|request| request.is("watch", "canaries")).count() > 30).then_some(())
        })
        .await;
    stage.server.end_of_script();
    stage.begin();
    stage.handed_over(APP).await;
}
