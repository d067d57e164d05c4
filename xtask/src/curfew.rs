//! Building the curfew binary, once, before anything that runs it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::child;

/// Builds `curfew` and returns where it is. `$CURFEW_BIN` is taken as built.
///
/// # Errors
/// When Cargo cannot build it; Cargo has said why on standard error.
pub fn build() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("CURFEW_BIN") {
        return Ok(binary.into());
    }
    // Cargo says where the binary is; it depends on the target directory, which has many ways to be set.
    let mut command = cargo();
    command
        .args(["build", "--locked", "--bin", "curfew"])
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null());
    let (status, messages) = child::read(command)?;
    if !status.success() {
        bail!("cargo could not build the curfew binary");
    }
    let binary = messages.lines().find_map(executable);
    binary.context("cargo built the curfew binary, but did not say where it is")
}

/// The Cargo that runs us, in the workspace's root.
pub fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    without_cargos_variables(&mut command);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command
}

/// Takes away what `cargo run` says of this package: build scripts that look at it (ring's) would be run again, with
/// everything behind them.
pub fn without_cargos_variables(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
}

/// The binary that one of Cargo's messages names.
fn executable(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    if message["target"]["name"] != "curfew" {
        return None;
    }
    message["executable"].as_str().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_among_cargos_messages() {
        let binary = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"curfew"},"executable":"/t/debug/curfew"}"#;
        let library = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"curfew"},"executable":null}"#;
        let end = r#"{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(binary), Some("/t/debug/curfew".into()));
        assert_eq!(executable(library), None);
        assert_eq!(executable(end), None);
    }
}
