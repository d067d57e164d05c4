//! The order in which a plane comes up.
//!
//! etcd and the API server start together; when the API server is ready, everything else goes on side by side: the
//! CRDs and then Flagger, the other objects and the controllers that some of them wait for, and the kubelet's
//! stand-in. Curfew comes last, since it finds its CRDs and permissions in place on a cluster too.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use http::Request;
use kube::Client;

use super::{Component, Plane};
use crate::{
    control_plane, curfew, flagger,
    guardian::Guardian,
    handle::Handle,
    kubelet::Kubelet,
    layout::{Description, Layout, PortMap},
    objects,
    options::{CurfewOptions, Options},
    pki::{ADMIN, CONTROLLER_MANAGER, CURFEW, FLAGGER, KUBELET, Pki, TENANT},
    ports::Ports,
    process::Launch,
    proxy,
    tools::{Tool, Tools},
};

/// What a program says whose port somebody took between our look and its start.
const PORT_TAKEN: &str = "address already in use";

impl Plane {
    /// Starts a plane and waits until all of it is ready. The first start on a machine builds the tools.
    ///
    /// # Errors
    /// When a tool cannot be built, or a component ends early or is not ready in time: with the last lines of its
    /// log, whose directory is kept.
    pub async fn start(options: Options) -> Result<Self> {
        /// Losing the same race three times is no accident.
        const ATTEMPTS: usize = 3;
        let mut attempt = 1;
        loop {
            let plane = Self::prepare(options.clone()).await?;
            let Err(error) = plane.raise().await else {
                return Ok(plane);
            };
            if attempt == ATTEMPTS || !format!("{error:#}").contains(PORT_TAKEN) {
                plane.keep_logs();
                return Err(error.context("the plane did not start"));
            }
            attempt += 1;
        }
    }

    async fn prepare(options: Options) -> Result<Self> {
        let tools = Tools::find().await?;
        let started = Instant::now();
        let dir = tempfile::Builder::new()
            .prefix("curfew-plane-")
            .tempdir()
            .context("cannot create a directory")?;
        let layout = Layout(dir.path().to_owned());
        layout.create()?;
        let ports = Ports::take()?;
        let map = PortMap {
            etcd: ports.next()?,
            etcd_peer: ports.next()?,
            api_server: ports.next()?,
            proxy: ports.next()?,
            proxy_control: ports.next()?,
            flagger: ports.next()?,
            curfew_webhook: ports.next()?,
            curfew_admin: ports.next()?,
        };
        let description = Description::new(map);
        let pki = Pki::create(&layout.0)?;
        for user in [ADMIN, TENANT, FLAGGER, CONTROLLER_MANAGER, KUBELET] {
            pki.add_user(&user, &description.api_server, &layout.kubeconfig(user.file))?;
        }
        pki.add_user(&CURFEW, &description.proxy, &layout.kubeconfig(CURFEW.file))?;
        layout.link("kubectl", &tools.path(Tool::Kubectl))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("plane")
            .enable_all()
            .build()
            .context("cannot start the plane's runtime")?;
        Ok(Self {
            handle: Handle { layout, description },
            keep: AtomicBool::new(false),
            options,
            tools,
            pki,
            ports,
            guardian: Arc::new(Guardian::start()?),
            processes: Arc::new(Mutex::new(BTreeMap::new())),
            kubelet: OnceLock::new(),
            proxy: OnceLock::new(),
            started,
            runtime: Some(runtime),
            dir: Some(dir),
        })
    }

    async fn raise(&self) -> Result<()> {
        let layout = &self.handle.layout;
        let ports = self.handle.description.ports;
        self.say(&format!("starting in {}", layout.0.display()));
        self.run(control_plane::etcd(&self.tools, layout, &ports))?;
        self.run(self.api_server(&self.options.api_server_args)?)?;
        let proxy = self
            .inside(proxy::start(ports.proxy, ports.api_server, ports.proxy_control))
            .await?;
        let _ = self.proxy.set(proxy);
        self.look_out();
        self.wait_for(Component::ApiServer).await?;

        if self.options.controllers {
            self.raise_controllers().await?;
        }
        let admin = self.handle.client(ADMIN.file).await?;
        tokio::try_join!(self.raise_flagger(&admin), self.raise_objects(&admin))?;
        if let Some(options) = &self.options.curfew {
            self.run(self.curfew(options)?)?;
            self.wait_for(Component::Curfew).await?;
        }
        self.update()?;
        self.say("ready");
        Ok(())
    }

    async fn raise_controllers(&self) -> Result<()> {
        let (tools, version) = (&self.tools, self.options.kubernetes);
        self.run(control_plane::controller_manager(tools, &self.handle.layout, version))?;
        let handle = self.handle.clone();
        let kubelet = self
            .inside(async move { Ok(Kubelet::start(handle.client(KUBELET.file).await?)) })
            .await?;
        let _ = self.kubelet.set(kubelet);
        Ok(())
    }

    async fn raise_flagger(&self, admin: &Client) -> Result<()> {
        objects::install_crds(admin, &self.tools.crds, self.options.scaled_objects).await?;
        self.say("CRDs are served");
        if self.options.flagger {
            let ports = self.handle.description.ports;
            self.run(flagger::launch(
                &self.tools,
                &self.handle.layout,
                &ports,
                &self.options.flagger_args,
            ))?;
            self.wait_for(Component::Flagger).await?;
        }
        Ok(())
    }

    async fn raise_objects(&self, admin: &Client) -> Result<()> {
        objects::install(admin, &[flagger::deployment()]).await?;
        if self.options.controllers {
            objects::aggregated(admin).await?;
        }
        self.say("namespaces, nodes and permissions are in place");
        Ok(())
    }

    pub(super) fn api_server(&self, extra: &[String]) -> Result<Launch> {
        let ports = self.handle.description.ports;
        let version = self.options.kubernetes.flag();
        let extra: Vec<String> = version.into_iter().chain(extra.iter().cloned()).collect();
        control_plane::api_server(&self.tools, &self.handle.layout, &ports, &self.pki, &extra)
    }

    pub(super) fn curfew(&self, options: &CurfewOptions) -> Result<Launch> {
        let ports = self.handle.description.ports;
        let layout = &self.handle.layout;
        let launch = curfew::launch(
            Component::Curfew.name(),
            options,
            layout,
            ports.curfew_webhook,
            ports.curfew_admin,
        )?;
        for name in ["curfew", "kubectl-curfew"] {
            layout.link(name, &launch.program)?;
        }
        Ok(launch)
    }

    /// Waits until a component does its work.
    pub(super) async fn wait_for(&self, component: Component) -> Result<()> {
        let ports = self.handle.description.ports;
        let name = component.name();
        match component {
            // It has no sign of its own; what needs the controllers waits for what they do.
            Component::ControllerManager => self.process(component)?.check()?,
            // etcd is ready when the API server can use it.
            Component::Etcd | Component::ApiServer => {
                let admin = self.handle.client(ADMIN.file).await?;
                self.until(name, || self.api_server_ready(&admin)).await?;
            }
            Component::Flagger => {
                let process = self.process(component)?;
                self.until(name, || std::future::ready(flagger::started(&process)))
                    .await?;
            }
            Component::Curfew => {
                let process = self.process(component)?;
                self.until(name, || curfew::ready(&process, ports.curfew_admin)).await?;
            }
            Component::Kubelet => {}
        }
        Ok(())
    }

    async fn api_server_ready(&self, admin: &Client) -> Result<bool> {
        for component in [Component::Etcd, Component::ApiServer] {
            self.process(component)?.check()?;
        }
        let request = Request::get("/readyz").body(Vec::new())?;
        let answer = tokio::time::timeout(Duration::from_secs(2), admin.request_text(request)).await;
        Ok(matches!(answer, Ok(Ok(_))))
    }

    pub(super) async fn until<F: Future<Output = Result<bool>>>(&self, name: &str, look: impl Fn() -> F) -> Result<()> {
        self.say(&format!("waiting for {name}"));
        objects::until(name, look).await?;
        self.say(&format!("{name} is ready"));
        Ok(())
    }

    /// Says on standard error when a component ends that nobody ended.
    fn look_out(&self) {
        const EVERY: Duration = Duration::from_millis(250);
        let Some(runtime) = self.runtime.as_ref().filter(|_| self.options.announce) else {
            return;
        };
        let processes = Arc::clone(&self.processes);
        let layout = self.handle.layout.clone();
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let all: Vec<_> = processes
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .values()
                    .cloned()
                    .collect();
                for process in all {
                    if let Some(status) = process.take_unexpected_end() {
                        let name = process.name();
                        eprintln!(
                            "plane: {name} ended by itself ({status}); its log: {}",
                            layout.log(&name).display()
                        );
                    }
                }
            }
        });
    }

    /// Does something on the plane's own runtime.
    async fn inside<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let runtime = self.runtime.as_ref().context("the plane has ended")?;
        runtime.spawn(work).await.context("the plane's runtime has ended")?
    }

    fn say(&self, what: &str) {
        if self.options.announce {
            eprintln!("plane: {:5.1} s  {what}", self.started.elapsed().as_secs_f64());
        }
    }
}
