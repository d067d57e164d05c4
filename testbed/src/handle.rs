//! A running plane as its guests see it: addresses, identities, logs. A handle stops nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::{
    layout::{Description, Layout},
    plain_http,
    proxy::Mode,
};

/// The variable by which a command tells the tests that it runs which plane they share.
pub const SHARED_PLANE: &str = "CURFEW_TEST_PLANE";

/// A way to a running plane.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) layout: Layout,
    pub(crate) description: Description,
}

// === impl Handle ===

impl Handle {
    /// The plane that runs in `dir`.
    ///
    /// # Errors
    /// When no plane runs there.
    pub fn attach(dir: impl Into<PathBuf>) -> Result<Self> {
        let layout = Layout(dir.into());
        let description = Description::read(&layout)?;
        Ok(Self { layout, description })
    }

    /// The plane that [`SHARED_PLANE`] names, if it names one.
    ///
    /// # Errors
    /// When it names a directory in which no plane runs.
    pub fn from_env() -> Result<Option<Self>> {
        let dir = std::env::var_os(SHARED_PLANE).filter(|dir| !dir.is_empty());
        dir.map(|dir| Self::attach(dir).context(SHARED_PLANE)).transpose()
    }

    /// `PLANE_DIR`.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.layout.0
    }

    /// Addresses, ports, and the process ids of this moment.
    ///
    /// # Errors
    /// When the plane is gone.
    pub fn describe(&self) -> Result<Description> {
        Description::read(&self.layout)
    }

    /// The kubeconfig of `admin`, `tenant`, `curfew` or `flagger`.
    #[must_use]
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.layout.kubeconfig(user)
    }

    /// A new client of that user, bound to the runtime that this is called in.
    ///
    /// # Errors
    /// When there is no such user.
    pub async fn client(&self, user: &str) -> Result<Client> {
        let path = self.kubeconfig(user);
        let kubeconfig = Kubeconfig::read_from(&path).with_context(|| format!("the plane has no user {user}"))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// Curfew's plain listener: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn curfew_admin_url(&self) -> &str {
        &self.description.curfew_admin
    }

    /// Curfew's webhook listener: `https://127.0.0.1:PORT`.
    #[must_use]
    pub fn curfew_webhook_url(&self) -> &str {
        &self.description.curfew_webhook
    }

    /// The log of a component: `etcd`, `kube-apiserver`, `kube-controller-manager`, `flagger`, `curfew`.
    #[must_use]
    pub fn log(&self, component: &str) -> PathBuf {
        self.layout.log(component)
    }

    /// The API server's audit log; [`crate::audit::read`] reads it.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.layout.audit_log()
    }

    /// The environment of commands that use the plane as its admin: `KUBECONFIG`, `PLANE_DIR`, `PATH`.
    ///
    /// # Errors
    /// When the plane's path cannot be part of `PATH` (it has a colon).
    pub fn environment(&self) -> Result<[(&'static str, OsString); 3]> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(self.layout.bin()).chain(std::env::split_paths(&path));
        Ok([
            ("KUBECONFIG", self.kubeconfig("admin").into()),
            ("PLANE_DIR", self.dir().into()),
            ("PATH", std::env::join_paths(paths)?),
        ])
    }

    /// Makes Curfew's way to the API server good or bad.
    ///
    /// # Errors
    /// When the plane is gone.
    pub async fn set_proxy(&self, mode: Mode) -> Result<()> {
        let path = format!("/{}", mode.name());
        let (status, body) = plain_http::request("POST", self.description.ports.proxy_control, &path).await?;
        if status != 200 {
            bail!("the proxy answered {status}: {body}");
        }
        Ok(())
    }
}
