//! `cargo xtask soak`: many Canaries on a real plane, at random, under chaos, and a checker that knows the truth.
//!
//! ```text
//! actors ──► the plane ◄── chaos          record ──► facts ──► check (truth, faults) ──► report
//! (teams)    (real Flagger, real Curfew) ──► (watches as the admin)                      ◄── resources
//! ```
//!
//! Nothing of Curfew's library is used: the checker has its own, simple, idea of when a verdict is due.

#![cfg_attr(
    test,
    allow(clippy::float_cmp, reason = "halves and eighths of seconds add up exactly")
)]

mod actors;
mod chaos;
mod check;
mod facts;
mod faults;
mod record;
mod report;
mod resources;
mod truth;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use fastrand::Rng;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, ApiResource, GroupVersionKind, PostParams};
use serde_json::json;
use testbed::{CurfewOptions, Options, Plane};
use tokio::sync::Semaphore;

use crate::ends::Ends;
use actors::Team;
use chaos::Faults;
use record::Record;
use report::Report;
use resources::Growth;

const NAMESPACE: &str = "soak";
/// How many teams roll out at the same time, whatever there are: a rollout is some sixty writes.
const AT_ONCE: usize = 24;
/// How many applications are brought in at the same time.
const MOVING_IN: usize = 50;
/// The share of the time in which Curfew is restarted; in the rest its memory is watched.
const RESTARTS: f64 = 0.55;

/// Roll out many Canaries at random under chaos, and hold what Curfew does against the plane's truth.
#[derive(Args)]
pub struct Arguments {
    /// How long, once all Canaries are there.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// How many Canaries.
    #[arg(long, default_value_t = 300)]
    canaries: usize,
    /// What chance begins with; another one each time unless it is given.
    #[arg(long)]
    seed: Option<u64>,
    /// Keep the plane's directory (logs, audit log).
    #[arg(long)]
    keep: bool,
}

/// Runs a soak; fails if anything was wrong.
///
/// # Errors
/// When the plane does not start, or a team cannot go on.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let binary = crate::curfew::build()?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start a runtime")?;
    let passed = runtime.block_on(async {
        let mut ends = Ends::listen()?;
        let options = Options {
            curfew: Some(CurfewOptions {
                binary: Some(binary),
                ..CurfewOptions::default()
            }),
            // Hundreds of Canaries are more than Flagger's client is made for.
            flagger_args: ["-kubeconfig-qps=1000", "-kubeconfig-burst=2000"]
                .map(str::to_owned)
                .to_vec(),
            keep: arguments.keep,
            ..Options::default()
        };
        let plane = tokio::select! {
            plane = Plane::start(options) => plane?,
            _ = ends.next() => return anyhow::Ok(false),
        };
        let passed = tokio::select! {
            passed = on_plane(arguments, &plane) => passed,
            _ = ends.next() => Ok(false),
        };
        if !matches!(passed, Ok(true)) {
            plane.keep_logs();
        }
        plane.stop().await;
        passed
    })?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn on_plane(arguments: &Arguments, plane: &Plane) -> Result<bool> {
    let Arguments {
        minutes,
        canaries: count,
        seed,
        keep: _,
    } = *arguments;
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    eprintln!("soak: {count} Canaries for {minutes} min; seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let client = plane.client("admin").await?;
    let canaries = ApiResource::from_gvk(&GroupVersionKind::gvk("flagger.app", "v1beta1", "Canary"));
    let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
    Api::<Namespace>::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await?;
    let names: Vec<_> = (0..count).map(|index| format!("web-{index:03}")).collect();
    let record = Arc::new(Record::new(names.iter().cloned()));
    record.watch(&client, NAMESPACE, &canaries);

    let faults = Arc::new(Faults::default());
    tokio::spawn(chaos::feel_the_pulse(Arc::clone(&record), Arc::clone(&faults)));
    let pulse = chaos::ask_after_the_api_server(client.clone(), Arc::clone(&record), Arc::clone(&faults));
    tokio::spawn(pulse);
    let mut teams = teams(&client, &canaries, &record, &mut rng, names)?;
    let begun = Instant::now();
    move_in(&mut teams).await?;
    eprintln!("soak: all are there after {:.0} s", begun.elapsed().as_secs_f64());

    let time = Duration::from_secs_f64(minutes * 60.0);
    let restarts_until = record.now() + RESTARTS * time.as_secs_f64();
    let end = record.now() + time.as_secs_f64();
    let mut samples = Vec::new();
    let ended = tokio::time::timeout(time, async {
        tokio::select! {
            lived = try_join_all(teams.iter_mut().map(Team::live)) => lived.map(drop),
            raged = chaos::rage(plane, &record, &faults, rng.fork(), restarts_until, end) => raged,
            () = resources::watch(plane, &record, &mut samples) => Ok(()),
        }
    });
    // That the time is over is how it should end.
    if let Ok(failed) = ended.await {
        failed?;
    }
    plane.proxy()?.set(testbed::Mode::Pass);
    Ok(tell(&record, &faults, &samples, end))
}

fn tell(record: &Record, faults: &Faults, samples: &[resources::Sample], end: f64) -> bool {
    let (faults, timelines) = (faults.all(), record.timelines());
    let conducts = timelines
        .iter()
        .map(|(app, seen)| (app.clone(), check::check(seen, &faults, end)))
        .collect();
    let report = Report {
        conducts: &conducts,
        timelines: &timelines,
        faults: &faults,
        growth: Growth::of(samples),
    };
    eprint!("{}", report.text());
    let complaints = report.complaints();
    if complaints.is_empty() {
        eprintln!("soak: nothing wrong, nothing missed, nothing late");
    } else {
        eprintln!("soak: FAILED: {}", complaints.join("; "));
    }
    complaints.is_empty()
}

fn teams(
    client: &Client,
    canaries: &ApiResource,
    record: &Record,
    rng: &mut Rng,
    names: Vec<String>,
) -> Result<Vec<Team>> {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    names
        .into_iter()
        .map(|name| {
            Team::new(
                name,
                client,
                NAMESPACE,
                canaries,
                record,
                rng.fork(),
                Arc::clone(&turns),
            )
        })
        .collect()
}

async fn move_in(teams: &mut [Team]) -> Result<()> {
    let doors = Semaphore::new(MOVING_IN);
    let moves = teams.iter_mut().map(async |team| {
        let _door = doors.acquire().await?;
        team.move_in().await
    });
    try_join_all(moves).await.map(drop)
}
