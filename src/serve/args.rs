//! What `curfew serve` is told.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ValueEnum, builder::NonEmptyStringValueParser};

/// Run the admission webhook and the enforcer.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Read policies from this file: YAML, one or several documents
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Write the webhook configurations for a process outside the cluster, and remove them when stopping
    #[arg(long)]
    pub register: bool,
    /// Where the API server calls the webhook (TLS)
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8443")]
    pub webhook_addr: SocketAddr,
    /// Where health checks and metrics are served (plain HTTP)
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    pub admin_addr: SocketAddr,
    /// Read tls.crt and tls.key (and ca.crt, for --register) from this directory instead of making a certificate
    #[arg(long, value_name = "DIR")]
    pub tls_dir: Option<PathBuf>,
    /// The namespace that Curfew runs in
    #[arg(long, value_name = "NS", default_value = "curfew-system")]
    pub namespace: String,
    /// The provider that Flagger was started with (its -mesh-provider), for Canaries that name none
    #[arg(long, value_name = "PROVIDER")]
    pub flagger_mesh_provider: Option<String>,
    /// The labels of which a target's selector must have one (Flagger's -selector-labels), separated by commas
    #[arg(long, value_name = "LABELS", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new())]
    pub flagger_selector_labels: Option<Vec<String>>,
    /// How log lines are written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug or trace, also per module, as in "info,hyper=warn"
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}
