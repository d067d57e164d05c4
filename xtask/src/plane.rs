//! `cargo xtask plane`: a command with a fresh plane around it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use testbed::{CurfewOptions, Kubernetes, Options, Plane, Recording};
use tokio::process::Command;

use crate::{
    attend::{attend, ended_by, exit_code},
    ends::Ends,
};

/// Run a command with a fresh control plane, Flagger and Curfew.
///
/// The command finds `KUBECONFIG` (an admin's), `PLANE_DIR` (kubeconfigs admin, tenant, curfew; logs; audit.log) and a
/// `PATH` that starts with the pinned kubectl and the built curfew. Without a command the plane runs until Ctrl-C.
#[derive(Args)]
pub struct Arguments {
    /// The Kubernetes version to be, such as 1.35; the newest without it.
    #[arg(long, value_name = "VERSION", default_value_t)]
    kubernetes: Kubernetes,
    /// Leave out Flagger.
    #[arg(long)]
    no_flagger: bool,
    /// Leave out Curfew.
    #[arg(long)]
    no_curfew: bool,
    /// Keep the plane's directory (logs, kubeconfigs) when it ends.
    #[arg(long)]
    keep: bool,
    /// Write down every state of Canaries, their workloads and pods, with the time, for `curfew replay`.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// The command and its arguments.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Runs the command; its exit code, or 128 plus the signal that ended it.
///
/// # Errors
/// When the plane does not start, or the command cannot be run.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments {
        kubernetes,
        no_flagger,
        no_curfew,
        keep,
        record,
        command,
    } = arguments;
    let binary = if no_curfew { None } else { Some(crate::curfew::build()?) };
    let options = Options {
        kubernetes,
        flagger: !no_flagger,
        curfew: binary.map(|binary| CurfewOptions {
            binary: Some(binary),
            ..CurfewOptions::default()
        }),
        keep,
        announce: true,
        ..Options::default()
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start a runtime")?;
    runtime.block_on(with_plane(options, record, &command))
}

async fn with_plane(options: Options, record: Option<PathBuf>, command: &[OsString]) -> Result<ExitCode> {
    let mut ends = Ends::listen()?;
    let plane = tokio::select! {
        plane = Plane::start(options) => plane?,
        signal = ends.next() => return Ok(ended_by(signal)),
    };
    let recording = match record {
        Some(path) => Some(Recording::start(&plane, &path).await?),
        None => None,
    };
    let code = if let Some((program, args)) = command.split_first() {
        let mut command = Command::new(program);
        command.args(args);
        attend(&plane, command, &mut ends).await.map(exit_code)
    } else {
        explain(&plane);
        ends.next().await;
        Ok(ExitCode::SUCCESS)
    };
    eprintln!("plane: stopping");
    let recorded = match recording {
        Some(recording) => recording.finish().await,
        None => Ok(()),
    };
    plane.stop().await;
    recorded.and(code)
}

fn explain(plane: &Plane) {
    let dir = plane.dir().display();
    eprintln!(
        "plane: it runs until Ctrl-C. In another terminal:\n\
         \n    export PLANE_DIR={dir}\n    export KUBECONFIG=$PLANE_DIR/admin   # or tenant, curfew\n    export PATH=$PLANE_DIR/bin:$PATH\n    kubectl get nodes\n\
         \nLogs are in $PLANE_DIR/logs, addresses in $PLANE_DIR/plane.json. Tests use this plane with\n\
         \n    CURFEW_TEST_PLANE={dir} cargo test\n"
    );
}
