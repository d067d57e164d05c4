//! Many deadlines at once.

use std::{cell::Cell, collections::BTreeMap};

use serde_json::json;

use crate::{
    app::{self, NAMESPACE},
    stage::Stage,
    world::World,
};

const MANY: usize = 500;

/// How many begin at a time.
const BATCH: usize = 50;

fn set_deadline(world: &mut World, index: usize, seconds: i64) {
    world.change("canaries", NAMESPACE, &name(index), |canary| {
        canary["spec"]["progressDeadlineSeconds"] = json!(seconds);
    });
}

fn name(index: usize) -> String {
    format!("web{index:03}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_deadlines_in_the_same_second_are_handed_over_once_each_with_few_requests() {
    let stage = Stage::with(|world| {
        for index in 0..MANY {
            app::install(world, &name(index));
            set_deadline(world, index, 600);
        }
    })
    .await;
    // Each is seen from its beginning, however slow the machine is.
    for first in (0..MANY).step_by(BATCH) {
        stage.server.change(|world| {
            for index in first..first + BATCH {
                app::begin(world, &name(index));
                // One pod is enough to say why, and keeps the lists short.
                (1..4).for_each(|pod| world.delete("pods", NAMESPACE, &format!("{}-{pod}", name(index))));
            }
        });
        stage
            .server
            .until("all of them are looked at", |_, log| {
                let stamps = log.iter().filter(|request| request.is("patch", "canaries"));
                (stamps.count() >= first + BATCH).then_some(())
            })
            .await;
    }
    stage
        .server
        .change(|world| (0..MANY).for_each(|index| set_deadline(world, index, 1)));
    let (read, told) = (Cell::new(0), Cell::new(0));
    stage
        .server
        .until("all are handed over", |world, log| {
            let new = log[read.get()..].iter();
            let words = new.filter(|request| request.is("create", "events")).count();
            read.set(log.len());
            told.set(told.get() + words);
            (told.get() >= 2 * MANY).then_some(())?;
            let is_done =
                |name: &str| app::is_handed_over(world, name) && app::has_result(world, name, "requested").is_some();
            (0..MANY).all(|index| is_done(&name(index))).then_some(())
        })
        .await;
    let writes = stage.server.writes();
    for lever in ["canaries/status", "deployments/status"] {
        let pulled: Vec<_> = writes.iter().filter(|write| write.resource == lever).collect();
        assert_eq!(pulled.len(), MANY, "{lever}");
        assert!(pulled.iter().all(|write| write.succeeded()));
    }
    assert_eq!(stage.verdicts("requested"), MANY);
    let pulled = stage
        .server
        .log()
        .into_iter()
        .filter(|request| request.resource == "canaries/status");
    let times: Vec<_> = pulled.map(|request| request.at).collect();
    println!("500 verdicts in {:.1} s", (times[MANY - 1] - times[0]).as_secs_f64());
    // One look at the beginning of each rollout and one at its deadline; what that takes in seconds depends on who else
    // computes on this machine.
    let requests = stage.server.log().len();
    assert!(requests < 30 * MANY, "{requests} requests");
    let mut told = BTreeMap::new();
    for reason in stage.events() {
        *told.entry(reason).or_insert(0) += 1;
    }
    let once = ["DeadlineChanged", "DeadlineExceeded", "RollbackRequested"].map(|reason| (reason.to_owned(), MANY));
    assert_eq!(told, BTreeMap::from(once));
    stage.assert_careful();
}
