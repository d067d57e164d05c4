//! A plane and its owner: start, chaos, stop.
//!
//! What runs inside this process (the kubelet's stand-in, the proxy, the look-out for components that end unasked)
//! has a runtime of its own, so that a plane may be shared by tests of many runtimes.

mod start;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    curfew,
    guardian::Guardian,
    handle::Handle,
    kubelet::Kubelet,
    options::{CurfewOptions, Options},
    pki::Pki,
    ports::Ports,
    process::{Launch, Process},
    proxy::Proxy,
    tools::Tools,
};

/// How long Curfew may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// A part of a plane that can be broken.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "the variants are what their names say")]
pub enum Component {
    Etcd,
    ApiServer,
    ControllerManager,
    Flagger,
    Curfew,
    /// The kubelet's stand-in, which is no process: killed and stopped are the same for it.
    Kubelet,
}

/// A Curfew that was started beside the plane's own. It ends with the plane.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The name of its log.
    pub name: String,
    /// Its plain listener.
    pub admin_url: String,
    /// Its webhook listener.
    pub webhook_url: String,
}

/// A running plane and the right to break it. It ends, whole, when this value is dropped.
pub struct Plane {
    handle: Handle,
    options: Options,
    tools: Tools,
    pki: Pki,
    ports: Ports,
    guardian: Arc<Guardian>,
    processes: Arc<Mutex<BTreeMap<String, Arc<Process>>>>,
    kubelet: OnceLock<Kubelet>,
    proxy: OnceLock<Proxy>,
    keep: AtomicBool,
    started: Instant,
    /// Taken when the plane is dropped.
    runtime: Option<Runtime>,
    dir: Option<TempDir>,
}

// === impl Component ===

impl Component {
    /// The name of its log, and its key among the process ids of `plane.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Flagger => "flagger",
            Self::Curfew => "curfew",
            Self::Kubelet => "kubelet",
        }
    }
}

// === impl Plane ===

impl Plane {
    /// Attaches to a plane that somebody else owns.
    ///
    /// # Errors
    /// When no plane runs in `dir`.
    pub fn attach(dir: impl Into<PathBuf>) -> Result<Handle> {
        Handle::attach(dir)
    }

    /// The proxy between Curfew and the API server.
    ///
    /// # Errors
    /// Never for a plane that has started.
    pub fn proxy(&self) -> Result<&Proxy> {
        self.proxy.get().context("the proxy does not run")
    }

    /// Keeps the directory when the plane ends, and says where it is: for a test that failed. A panic does so by
    /// itself.
    pub fn keep_logs(&self) {
        self.keep.store(true, Ordering::Relaxed);
        self.guardian.keep();
    }

    /// Removes the directory when this process ends without dropping the plane: for a plane in a static, which is never
    /// dropped. Otherwise the logs of what was killed are kept.
    ///
    /// # Errors
    /// When the guardian is gone.
    pub fn remove_with_process(&self) -> Result<()> {
        self.guardian.remove_at_end(self.handle.dir())
    }

    /// Stops a component where it stands (SIGSTOP).
    ///
    /// # Errors
    /// When the component was never started.
    pub fn pause(&self, component: Component) -> Result<()> {
        if component == Component::Kubelet {
            return self.pause_kubelet(true);
        }
        self.process(component)?.signal(Signal::SIGSTOP)
    }

    /// Lets a stopped component go on (SIGCONT).
    ///
    /// # Errors
    /// When the component was never started.
    pub fn resume(&self, component: Component) -> Result<()> {
        if component == Component::Kubelet {
            return self.pause_kubelet(false);
        }
        self.process(component)?.signal(Signal::SIGCONT)
    }

    /// Kills a component (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// When the component was never started.
    pub fn kill(&self, component: Component) -> Result<()> {
        if component == Component::Kubelet {
            return self.pause_kubelet(true);
        }
        self.process(component)?.kill();
        self.update()
    }

    /// Asks a component to end (SIGTERM) and waits until it is gone; kills it after ten seconds.
    ///
    /// # Errors
    /// When the component was never started.
    pub async fn terminate(&self, component: Component) -> Result<()> {
        if component == Component::Kubelet {
            return self.pause_kubelet(true);
        }
        self.process(component)?.terminate(PATIENCE).await;
        self.update()
    }

    /// Kills a component if it runs, starts it as before, and waits until it is ready.
    ///
    /// # Errors
    /// When the component was never started, or ends early, or is not ready in time.
    pub async fn restart(&self, component: Component) -> Result<()> {
        self.restart_changed(component, |_| ()).await
    }

    /// Restarts Flagger.
    ///
    /// # Errors
    /// As [`Plane::restart`].
    pub async fn restart_flagger(&self) -> Result<()> {
        self.restart(Component::Flagger).await
    }

    /// Restarts the API server with further flags, in place of those of the options.
    ///
    /// # Errors
    /// As [`Plane::restart`].
    pub async fn restart_api_server_with(&self, args: &[String]) -> Result<()> {
        let launch = self.api_server(args)?;
        self.restart_changed(Component::ApiServer, |old| *old = launch).await
    }

    /// Starts Curfew anew, or for the first time, as the options say.
    ///
    /// # Errors
    /// When it ends early (with its last words), or is not ready in time.
    pub async fn restart_curfew_with(&self, options: &CurfewOptions) -> Result<()> {
        let launch = self.curfew(options)?;
        if self.process(Component::Curfew).is_err() {
            self.run(launch)?;
            return self.wait_for(Component::Curfew).await;
        }
        self.restart_changed(Component::Curfew, |old| *old = launch).await
    }

    /// Starts a further Curfew with listeners and a log of its own, and waits until it is ready.
    ///
    /// # Errors
    /// When it ends early (with its last words), or is not ready in time.
    pub async fn start_another_curfew(&self, options: &CurfewOptions) -> Result<Instance> {
        let (webhook, admin) = (self.ports.next()?, self.ports.next()?);
        let others = self.lock().keys().filter(|name| name.starts_with("curfew")).count();
        let name = format!("curfew-{}", others + 1);
        let launch = curfew::launch(&name, options, &self.handle.layout, webhook, admin)?;
        let process = self.run(launch)?;
        self.until(&name, || curfew::ready(&process, admin)).await?;
        Ok(Instance {
            name,
            admin_url: format!("http://127.0.0.1:{admin}"),
            webhook_url: format!("https://127.0.0.1:{webhook}"),
        })
    }

    /// Sends a signal to a further Curfew, or to any process by its name.
    ///
    /// # Errors
    /// When nothing of that name was started.
    pub fn signal(&self, name: &str, signal: Signal) -> Result<()> {
        self.named(name)?.signal(signal)
    }

    /// Makes a process group that is not the plane's die with this process, even when this process is killed: for a
    /// command that uses the plane. Its owner calls [`Plane::release`] when the group has ended.
    ///
    /// # Errors
    /// When the guardian is gone.
    pub fn guard(&self, group: u32) -> Result<()> {
        self.guardian.watch(Pid::from_raw(i32::try_from(group)?))
    }

    /// Forgets a group that has ended.
    pub fn release(&self, group: u32) {
        if let Ok(group) = i32::try_from(group) {
            self.guardian.forget(Pid::from_raw(group));
        }
    }

    /// Ends the plane: Curfew may finish what it does, everything else is killed. Dropping does the same less kindly.
    pub async fn stop(self) {
        let curfews: Vec<_> = self
            .lock()
            .iter()
            .filter(|(name, _)| name.starts_with("curfew"))
            .map(|(_, process)| process.clone())
            .collect();
        futures::future::join_all(curfews.iter().map(|process| process.terminate(PATIENCE))).await;
    }

    /// Whether a component is a running process.
    #[must_use]
    pub fn runs(&self, component: Component) -> bool {
        self.process(component).is_ok_and(|process| process.pid().is_some())
    }

    async fn restart_changed(&self, component: Component, change: impl FnOnce(&mut Launch)) -> Result<()> {
        if component == Component::Kubelet {
            return self.pause_kubelet(false);
        }
        self.process(component)?.restart(change)?;
        self.update()?;
        self.wait_for(component).await
    }

    fn pause_kubelet(&self, paused: bool) -> Result<()> {
        self.kubelet
            .get()
            .context("the kubelet's stand-in does not run")?
            .pause(paused);
        Ok(())
    }

    fn process(&self, component: Component) -> Result<Arc<Process>> {
        self.named(component.name())
    }

    fn named(&self, name: &str) -> Result<Arc<Process>> {
        self.lock()
            .get(name)
            .cloned()
            .with_context(|| format!("{name} was never started"))
    }

    /// Starts a process that lives as long as the plane.
    fn run(&self, launch: Launch) -> Result<Arc<Process>> {
        let name = launch.name.clone();
        let process = Arc::new(Process::start(launch, &self.guardian)?);
        self.lock().insert(name, Arc::clone(&process));
        self.update()?;
        Ok(process)
    }

    /// Brings `plane.json` up to date.
    fn update(&self) -> Result<()> {
        let processes = self.lock();
        let mut description = self.handle.description.clone();
        description.pids = processes
            .iter()
            .filter_map(|(name, process)| Some((name.clone(), process.pid()?)))
            .collect();
        description.write(&self.handle.layout)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Process>>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Plane {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        // Those that depend on others go first, so that nobody logs that a server is gone.
        let processes: Vec<_> = std::mem::take(&mut *self.lock()).into_iter().collect();
        let rank = |name: &str| match name {
            "etcd" => 2,
            "kube-apiserver" => 1,
            _ => 0,
        };
        for wanted in 0..3 {
            for (_, process) in processes.iter().filter(|(name, _)| rank(name) == wanted) {
                process.kill();
            }
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        let failed = self.keep.load(Ordering::Relaxed) || std::thread::panicking();
        if let Some(dir) = self.dir.take()
            && (failed || self.options.keep)
        {
            self.guardian.keep();
            // 64 MiB that nobody can read without etcd.
            let _ = std::fs::remove_dir_all(self.handle.layout.etcd_data());
            eprintln!("plane: the logs are kept in {}", dir.keep().display());
        }
    }
}
