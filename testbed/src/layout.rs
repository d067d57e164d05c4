//! What a plane's directory holds, so that owner, guests and commands find the same things.
//!
//! ```text
//! PLANE_DIR/
//!   admin tenant curfew flagger …   kubeconfigs
//!   bin/                            kubectl, curfew, kubectl-curfew
//!   logs/                           one file per component
//!   audit.log                       the API server's, one JSON object per line
//!   plane.json                      ports, urls and process ids (Description)
//!   pki/ etcd/                      certificates and keys, etcd's data
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

const DESCRIPTION: &str = "plane.json";

/// `plane.json`: what a guest cannot guess.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// The API server, directly.
    pub api_server: String,
    /// The API server as Curfew reaches it: through the proxy.
    pub proxy: String,
    /// The proxy's control: `GET /`, `POST /pass`, `/delay/MILLISECONDS`, `/blackhole`, `/lose`,
    /// `/refuse`.
    pub proxy_control: String,
    /// Curfew's plain listener.
    pub curfew_admin: String,
    /// Curfew's webhook listener.
    pub curfew_webhook: String,
    /// Flagger's listener (`/metrics`).
    pub flagger: String,
    /// The ports behind these addresses, by name.
    pub ports: PortMap,
    /// Process ids of what runs, by component.
    pub pids: BTreeMap<String, u32>,
}

/// The ports of a plane's listeners.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are what their names say")]
pub struct PortMap {
    pub etcd: u16,
    pub etcd_peer: u16,
    pub api_server: u16,
    pub proxy: u16,
    pub proxy_control: u16,
    pub flagger: u16,
    pub curfew_webhook: u16,
    pub curfew_admin: u16,
}

/// The paths below a plane's directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout(pub PathBuf);

// === impl Layout ===

impl Layout {
    pub fn create(&self) -> Result<()> {
        for dir in ["logs", "bin", "pki", "etcd"] {
            let dir = self.0.join(dir);
            fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        Ok(())
    }

    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.0.join(user)
    }

    pub fn log(&self, component: &str) -> PathBuf {
        self.0.join("logs").join(format!("{component}.log"))
    }

    pub fn audit_log(&self) -> PathBuf {
        self.0.join("audit.log")
    }

    pub fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }

    pub fn etcd_data(&self) -> PathBuf {
        self.0.join("etcd")
    }

    /// Puts a program onto the plane's PATH under `name`.
    pub fn link(&self, name: &str, program: &Path) -> Result<()> {
        let link = self.bin().join(name);
        let _ = fs::remove_file(&link);
        let program = fs::canonicalize(program).with_context(|| format!("cannot find {}", program.display()))?;
        std::os::unix::fs::symlink(program, &link).with_context(|| format!("cannot link {}", link.display()))
    }
}

// === impl Description ===

impl Description {
    pub(crate) fn new(ports: PortMap) -> Self {
        let https = |port| format!("https://127.0.0.1:{port}");
        let plain = |port| format!("http://127.0.0.1:{port}");
        Self {
            api_server: https(ports.api_server),
            proxy: https(ports.proxy),
            proxy_control: plain(ports.proxy_control),
            curfew_admin: plain(ports.curfew_admin),
            curfew_webhook: https(ports.curfew_webhook),
            flagger: plain(ports.flagger),
            ports,
            pids: BTreeMap::new(),
        }
    }

    pub(crate) fn read(layout: &Layout) -> Result<Self> {
        let path = layout.0.join(DESCRIPTION);
        let text = fs::read(&path).with_context(|| format!("no plane runs in {}", layout.0.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Replaces the file in one step: guests read it at any time.
    pub(crate) fn write(&self, layout: &Layout) -> Result<()> {
        let temporary = layout.0.join(format!(".{DESCRIPTION}"));
        fs::write(&temporary, serde_json::to_vec_pretty(self)?)?;
        Ok(fs::rename(temporary, layout.0.join(DESCRIPTION))?)
    }
}
