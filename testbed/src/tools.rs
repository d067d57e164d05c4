//! The pinned binaries and CRDs that a plane is made of.
//!
//! `testbed/tools/go.mod` pins etcd, the Kubernetes components, kubectl and Flagger. They are built once, each into a
//! temporary name and then renamed, into a cache whose key is a hash of go.mod and go.sum; a lock keeps two processes
//! from building at the same time. The CRD manifests come from the same modules and are kept beside the binaries as
//! JSON, so that a later start needs neither Go nor a YAML parser. What `KUBEBUILDER_ASSETS` has is not built.

mod build;
mod crds;
mod tool;

pub(crate) use crds::documents;
pub(crate) use tool::Tool;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use self::tool::MODULE;

/// Everything that a plane needs from outside this repository.
#[derive(Debug)]
pub(crate) struct Tools {
    binaries: BTreeMap<Tool, PathBuf>,
    /// The CustomResourceDefinitions of Flagger and of the Gateway API's standard channel.
    pub crds: Vec<Value>,
}

/// Why no plane can start on this machine, as far as can be told without trying: the tools are not built, and Go is
/// missing or too old. A test suite that leaves its planes out says so with this sentence.
pub async fn obstacle() -> Option<String> {
    Tools::obstacle().await.err().map(|error| format!("{error:#}"))
}

// === impl Tools ===

impl Tools {
    /// Finds the tools, and builds what is missing.
    ///
    /// # Errors
    /// When something has to be built and Go is missing, too old, or fails.
    pub async fn find() -> Result<Self> {
        let module = Path::new(MODULE);
        let root = cache_root()?;
        let key = key(module)?;
        let cache = root.join(&key);
        if let Some(tools) = Self::complete(&cache)? {
            return Ok(tools);
        }
        fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .open(root.join(format!("{key}.lock")))?;
        if lock.try_lock().is_err() {
            eprintln!("plane: waiting for another process that builds the tools");
            while lock.try_lock().is_err() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        if let Some(tools) = Self::complete(&cache)? {
            return Ok(tools);
        }
        let missing: Vec<Tool> = Tool::ALL
            .into_iter()
            .filter(|tool| binary(*tool, &cache).is_none())
            .collect();
        build::build(module, &cache, &missing).await?;
        Self::complete(&cache)?.with_context(|| format!("{} is incomplete after the build", cache.display()))
    }

    /// Why `find` cannot work on this machine, if that is already known.
    pub async fn obstacle() -> Result<()> {
        let module = Path::new(MODULE);
        match Self::complete(&cache_root()?.join(key(module)?))? {
            Some(_) => Ok(()),
            None => build::check_go(module).await,
        }
    }

    /// The tools, if nothing is missing.
    fn complete(cache: &Path) -> Result<Option<Self>> {
        let found: Option<BTreeMap<Tool, PathBuf>> = Tool::ALL
            .into_iter()
            .map(|tool| binary(tool, cache).map(|path| (tool, path)))
            .collect();
        let Some(binaries) = found else { return Ok(None) };
        Ok(crds::read(cache)?.map(|crds| Self { binaries, crds }))
    }

    pub fn path(&self, tool: Tool) -> PathBuf {
        // `complete` made sure that every tool is there.
        self.binaries.get(&tool).cloned().unwrap_or_default()
    }
}

fn binary(tool: Tool, cache: &Path) -> Option<PathBuf> {
    let given = match tool {
        Tool::Etcd | Tool::ApiServer | Tool::Kubectl => std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from),
        // envtest has no such binaries.
        Tool::ControllerManager | Tool::Flagger => None,
    };
    given
        .into_iter()
        .chain([cache.to_owned()])
        .map(|dir| dir.join(tool.name()))
        .find(|path| path.is_file())
}

/// `${XDG_CACHE_HOME:-~/.cache}/curfew-plane`.
pub(crate) fn cache_root() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from);
    let base = base.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    Ok(base
        .context("neither XDG_CACHE_HOME nor HOME says where to keep the plane's tools")?
        .join("curfew-plane"))
}

/// Sixteen hex digits over everything that decides what the tools are.
fn key(module: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for name in ["go.mod", "go.sum"] {
        let path = module.join(name);
        hash.update(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    for flag in build::flags() {
        hash.update(flag);
    }
    Ok(hash.finalize()[..8]
        .iter()
        .fold(String::new(), |key, byte| format!("{key}{byte:02x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_follows_the_pins() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("go.mod"), "module a\n").unwrap();
        fs::write(dir.path().join("go.sum"), "").unwrap();
        let before = key(dir.path()).unwrap();
        assert_eq!(before.len(), 16);
        assert_eq!(before, key(dir.path()).unwrap());
        fs::write(dir.path().join("go.sum"), "b v1 h1:x\n").unwrap();
        assert_ne!(before, key(dir.path()).unwrap());
    }
}
