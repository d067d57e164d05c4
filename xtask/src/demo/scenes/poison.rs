//! Scene 1: a tenant's `progressDeadlineSeconds: 180.5`.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::{Component, Plane};
use tokio::process::Command;

use super::course::{EVERY, SETTING_UP, begin, end, until};
use crate::demo::{
    cluster::Namespace,
    observation::{Journal, Scene, Seen},
    stage::{Pace, Stage},
};

/// Where the tenant's manifest is.
const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo");

/// What Flagger says when it cannot read a Canary.
const UNREADABLE: &str = "json: cannot unmarshal";

/// Plays the scene on both sides.
pub async fn play(stage: &Stage, journals: &mut [Journal; 2]) -> Result<()> {
    begin(journals);
    let [alone, curfew] = &*journals;
    let side = async |journal: &Journal| {
        let plane = stage.plane(Scene::Poison, journal.side);
        let result = async { poison(plane?, journal, &stage.pace).await }.await;
        end(journal, result);
    };
    tokio::join!(side(alone), side(curfew));
    Ok(())
}

async fn poison(plane: &Plane, journal: &Journal, pace: &Pace) -> Result<()> {
    let client = plane.client("admin").await?;
    let shop = Namespace::create(client.clone(), "shop").await?;
    let tenant = Namespace::of(client, "tenant");

    journal.write(Seen::Did("Team shop creates the Canary shop/cart".to_owned()));
    let created = create(&shop, "cart").await?;
    until(journal, "Flagger to initialize shop/cart", SETTING_UP, async || {
        Ok((shop.phase("cart").await? == "Initialized").then_some(()))
    })
    .await?;
    initialized(journal, "shop/cart", created);

    tenant.deploy("web", 2).await?;
    journal.write(Seen::Did(
        "A tenant applies a Canary with progressDeadlineSeconds: 180.5".to_owned(),
    ));
    journal.write(Seen::Waiting("kubectl".to_owned()));
    journal.write(kubectl(plane).await?);

    journal.write(Seen::Did("Team shop creates another Canary, shop/pay".to_owned()));
    let created = create(&shop, "pay").await?;
    journal.write(Seen::Waiting("Flagger to initialize shop/pay".to_owned()));
    let log = plane.log(Component::Flagger.name());
    let mut quoted = false;
    while created.elapsed() < pace.patience {
        if !quoted && let Some(line) = quote(&log)? {
            quoted = true;
            journal.write(Seen::Log(line));
        }
        if shop.phase("pay").await? == "Initialized" {
            initialized(journal, "shop/pay", created);
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
    journal.write(Seen::Ignored {
        canary: "shop/pay".to_owned(),
        waited: created.elapsed(),
        flagger_runs: plane.runs(Component::Flagger),
    });
    Ok(())
}

/// A sound Canary with its application.
async fn create(namespace: &Namespace, app: &str) -> Result<Instant> {
    namespace.deploy(app, 1).await?;
    namespace.create_canary(app, &sound()).await?;
    Ok(Instant::now())
}

fn sound() -> Value {
    json!({
        "progressDeadlineSeconds": 180,
        "service": {"port": 80},
        "analysis": {"interval": "10s", "threshold": 3, "iterations": 3},
    })
}

fn initialized(journal: &Journal, canary: &str, created: Instant) {
    journal.write(Seen::Initialized {
        canary: canary.to_owned(),
        after: created.elapsed(),
    });
}

/// The tenant applies its manifest.
async fn kubectl(plane: &Plane) -> Result<Seen> {
    let output = Command::new(plane.dir().join("bin/kubectl"))
        .args(["apply", "-f", "web.yaml"])
        .current_dir(MANIFESTS)
        .env("KUBECONFIG", plane.kubeconfig("tenant"))
        // Nothing is left in the home directory.
        .env("KUBECACHEDIR", plane.dir().join("cache"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run kubectl")?;
    let said = [output.stdout, output.stderr].concat();
    Ok(Seen::Answered {
        command: "kubectl apply -f web.yaml".to_owned(),
        accepted: output.status.success(),
        output: String::from_utf8_lossy(&said).trim().to_owned(),
    })
}

/// What Flagger's log says about a Canary that it cannot read, if it says so.
fn quote(log: &Path) -> Result<Option<String>> {
    let text = std::fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok(complaint(&String::from_utf8_lossy(&text)))
}

/// From the complaint to the end of the string that it stands in, which is a string in a string of JSON.
fn complaint(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains(UNREADABLE))?;
    let complaint = &line[line.find(UNREADABLE)?..];
    let end = complaint.find(['\\', '"']).unwrap_or(complaint.len());
    Some(complaint[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_complaint_is_cut_out_of_its_line() {
        let line = r#"{"level":"info","msg":"x","err":"an error (\"unable to decode: json: cannot unmarshal number 180.5 into Go struct field CanarySpec.spec.progressDeadlineSeconds of type int32\") has"}"#;
        let expected = "json: cannot unmarshal number 180.5 into Go struct field CanarySpec.spec.progressDeadlineSeconds of type int32";
        assert_eq!(complaint(&format!("fine\n{line}\n")).as_deref(), Some(expected));
        assert_eq!(complaint("fine\n"), None);
    }
}
