//! Lost answers: what was written is done, and nobody heard of it.

use crate::{
    app::{self, APP},
    script::on,
    stage::{A_WHILE, Stage},
};

#[tokio::test]
async fn a_lost_answer_to_any_write_ends_in_one_verdict_and_one_set_of_events() {
    let tests = ["canaries/status", "deployments/status", "canaries"].map(|lost| async move {
        let stage = Stage::open().await;
        // The first write of the Canary is the stamp of a rollout that begins; the second one is the verdict's.
        let skipped = usize::from(lost == "canaries");
        stage
            .server
            .script(on("patch", lost).from(skipped).once().lose_answer());
        stage.begin();
        stage.handed_over(APP).await;
        stage.told("RollbackRequested").await;
        let verdict = stage.server.change(|world| app::verdict(world, APP));
        stage
            .server
            .never(&format!("{lost}: a second verdict"), A_WHILE, |world, _| {
                (app::verdict(world, APP) != verdict).then_some(())
            })
            .await;
        assert_eq!(stage.verdicts("requested"), 1, "{lost}");
        assert_eq!(stage.events(), ["DeadlineExceeded", "RollbackRequested"], "{lost}");
        for lever in ["canaries/status", "deployments/status"] {
            assert_eq!(stage.server.count("patch", lever), 1, "{lost}: {lever}");
        }
        stage.server.change(|world| app::fail(world, APP));
        stage.result("confirmed").await;
        stage.told("RollbackConfirmed").await;
        assert_eq!(stage.verdicts("confirmed"), 1, "{lost}");
        stage.assert_careful();
    });
    futures::future::join_all(tests).await;
}
