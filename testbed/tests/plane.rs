//! A real plane, as tests and the demo use it. Every promise of the crate is watched once.

#![allow(clippy::unwrap_used, reason = "what cannot be had here fails the test")]

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::{Value, json};
use testbed::{Component, CurfewOptions, Handle, Kubernetes, Mode, OUTCOME, Options, Plane, Recording};

/// Whether planes can start here. Without Go the test is left out, which a CI must not do.
async fn possible() -> bool {
    let Some(obstacle) = testbed::obstacle().await else {
        return true;
    };
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{obstacle}");
    println!("left out: {obstacle}");
    false
}

async fn start(options: Options) -> Plane {
    let started = Instant::now();
    let plane = Plane::start(options).await.unwrap();
    println!("ready after {:.1} s", started.elapsed().as_secs_f64());
    plane
}

/// An API server and nothing else.
fn bare() -> Options {
    Options {
        controllers: false,
        flagger: false,
        ..Options::default()
    }
}

/// Looks ten times a second until `look` finds something.
async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, patience: u64, mut look: impl FnMut() -> F) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            println!("{what}: after {:.1} s", started.elapsed().as_secs_f64());
            return found;
        }
        assert!(
            started.elapsed().as_secs() < patience,
            "{what}: not within {patience} s"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A Deployment or DaemonSet whose pods have two containers and this outcome.
fn workload(kind: &str, name: &str, outcome: &str) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": {OUTCOME: outcome}},
                "spec": {"containers": [{"name": "log", "image": "log:1"}, {"name": "app", "image": "app:1"}]},
            },
        },
    })
}

fn deployment(name: &str, replicas: i32, outcome: &str) -> Deployment {
    let mut value = workload("Deployment", name, outcome);
    value["spec"]["replicas"] = replicas.into();
    object(value)
}

fn available(deployment: &Deployment) -> i32 {
    deployment
        .status
        .as_ref()
        .and_then(|status| status.available_replicas)
        .unwrap_or_default()
}

fn ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

/// What keeps the pod's last container from running.
fn waiting(pod: &Pod) -> Option<String> {
    let last = pod.status.as_ref()?.container_statuses.as_ref()?.last()?;
    last.state.as_ref()?.waiting.as_ref()?.reason.clone()
}

async fn pods_of(client: &Client, app: &str) -> Vec<Pod> {
    let api: Api<Pod> = Api::namespaced(client.clone(), "tenant");
    api.list(&ListParams::default().labels(&format!("app={app}")))
        .await
        .unwrap()
        .items
}

fn runs(pid: u32) -> bool {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), None).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_behave_as_on_a_cluster() {
    if !possible().await {
        return;
    }
    let plane = start(Options::default()).await;
    let client = plane.client("admin").await.unwrap();
    let file = plane.dir().join("recording.jsonl");
    let recording = Recording::start(&plane, &file).await.unwrap();
    tokio::join!(
        one_pod_of_four_crashes(&client),
        a_daemon_set_completes(&client),
        a_pod_breaks_while_it_runs(&client),
        a_canary_is_rolled_out(&client),
        users_have_their_permissions(&plane),
        the_audit_log_tells_who_asked(&plane),
    );
    recording.finish().await.unwrap();
    it_was_recorded(&std::fs::read_to_string(&file).unwrap());
    plane.stop().await;
}

/// A recording holds every state of everything that matters, in the order of time.
fn it_was_recorded(recording: &str) {
    let lines: Vec<Value> = recording
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.is_sorted_by_key(|line| line["at"].as_str()));
    assert!(
        lines
            .iter()
            .all(|line| line["object"]["metadata"]["managedFields"].is_null())
    );
    let of = |kind: &str, name: &str| {
        let mine = lines.iter().filter(|line| {
            let object = &line["object"];
            object["kind"] == kind
                && object["metadata"]["name"]
                    .as_str()
                    .is_some_and(|it| it.starts_with(name))
        });
        mine.collect::<Vec<_>>()
    };
    let canary = of("Canary", "web");
    assert_eq!(canary[0]["type"], "ADDED");
    assert!(canary[1..].iter().all(|line| line["type"] == "MODIFIED"));
    let mut phases: Vec<_> = canary
        .iter()
        .filter_map(|line| line["object"]["status"]["phase"].as_str())
        .collect();
    phases.dedup();
    assert_eq!(phases, ["Initializing", "Initialized", "Progressing"]);
    // Flagger scales the target to 0 when it has initialized the Canary.
    assert!(of("Pod", "web-").iter().any(|line| line["type"] == "DELETED"));
    for (kind, name) in [
        ("Namespace", "tenant"),
        ("Deployment", "web-primary"),
        ("Event", "web"),
        ("DaemonSet", ""),
    ] {
        assert!(!of(kind, name).is_empty(), "{kind} {name}");
    }
}

async fn one_pod_of_four_crashes(client: &Client) {
    let api: Api<Deployment> = Api::namespaced(client.clone(), "tenant");
    api.create(&PostParams::default(), &deployment("one", 4, "crash-one"))
        .await
        .unwrap();
    eventually("three of four are available", 60, || async {
        (available(&api.get("one").await.unwrap()) == 3).then_some(())
    })
    .await;
    let crashing = eventually("one is in CrashLoopBackOff", 60, || async {
        let pods = pods_of(client, "one").await;
        pods.into_iter()
            .find(|pod| waiting(pod).as_deref() == Some("CrashLoopBackOff"))
    })
    .await;
    let oldest = pods_of(client, "one")
        .await
        .into_iter()
        .min_by_key(|pod| (pod.creation_timestamp(), pod.name_any()));
    assert_eq!(oldest.unwrap().name_any(), crashing.name_any());
    assert_eq!(available(&api.get("one").await.unwrap()), 3);
}

async fn a_daemon_set_completes(client: &Client) {
    let api: Api<DaemonSet> = Api::namespaced(client.clone(), "tenant");
    api.create(&PostParams::default(), &object(workload("DaemonSet", "agent", "ready")))
        .await
        .unwrap();
    eventually("a DaemonSet runs on every node", 60, || async {
        let status = api.get("agent").await.unwrap().status?;
        (status.desired_number_scheduled == 3 && status.number_available == Some(3)).then_some(())
    })
    .await;
    api.delete("agent", &kube::api::DeleteParams::foreground())
        .await
        .unwrap();
    eventually("its pods are removed with it", 60, || async {
        pods_of(client, "agent").await.is_empty().then_some(())
    })
    .await;
}

async fn a_pod_breaks_while_it_runs(client: &Client) {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "tenant");
    let pods: Api<Pod> = Api::namespaced(client.clone(), "tenant");
    deployments
        .create(&PostParams::default(), &deployment("live", 2, "ready"))
        .await
        .unwrap();
    eventually("both are available", 60, || async {
        (available(&deployments.get("live").await.unwrap()) == 2).then_some(())
    })
    .await;
    let name = pods_of(client, "live").await[0].name_any();
    for (outcome, broken) in [("crash", true), ("ready", false), ("unready", true)] {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {OUTCOME: outcome}}}));
        pods.patch(&name, &PatchParams::default(), &patch).await.unwrap();
        eventually(&format!("the pod obeys {outcome}"), 30, || async {
            (ready(&pods.get(&name).await.unwrap()) != broken).then_some(())
        })
        .await;
    }
    let status = pods.get(&name).await.unwrap().status.unwrap();
    let app = status.container_statuses.unwrap().pop().unwrap();
    assert_eq!(app.restart_count, 1);
    assert_eq!(app.last_state.unwrap().terminated.unwrap().exit_code, 1);
}

async fn a_canary_is_rolled_out(client: &Client) {
    let gvk = GroupVersionKind::gvk("flagger.app", "v1beta1", "Canary");
    let canaries: Api<DynamicObject> = Api::namespaced_with(client.clone(), "tenant", &ApiResource::from_gvk(&gvk));
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "tenant");
    deployments
        .create(&PostParams::default(), &deployment("web", 2, "ready"))
        .await
        .unwrap();
    let canary = json!({
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "web"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "progressDeadlineSeconds": 60,
            "service": {"port": 80},
            "analysis": {"interval": "10s", "threshold": 2, "iterations": 1},
        },
    });
    canaries.create(&PostParams::default(), &object(canary)).await.unwrap();
    let phase = |wanted: &'static str| {
        let canaries = &canaries;
        move || async move { (canaries.get("web").await.unwrap().data["status"]["phase"] == wanted).then_some(()) }
    };
    eventually("the Canary is initialized", 60, phase("Initialized")).await;
    let new = Patch::Merge(json!({"spec": {"template": {"metadata": {"annotations": {"revision": "2"}}}}}));
    deployments.patch("web", &PatchParams::default(), &new).await.unwrap();
    eventually("the Canary is progressing", 60, phase("Progressing")).await;
}

async fn users_have_their_permissions(plane: &Handle) {
    let (tenant, curfew) = tokio::join!(plane.client("tenant"), plane.client("curfew"));
    let (tenant, curfew) = (tenant.unwrap(), curfew.unwrap());
    let config: ConfigMap = object(json!({"metadata": {"name": "mine"}}));
    let create = |client: &Client, namespace: &str| {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let config = config.clone();
        async move { api.create(&PostParams::default(), &config).await.is_ok() }
    };
    assert!(create(&tenant, "tenant").await);
    assert!(!create(&tenant, "default").await);
    assert!(!create(&curfew, "curfew-system").await);
    let gvk = GroupVersionKind::gvk("flagger.app", "v1beta1", "Canary");
    let all: Api<DynamicObject> = Api::all_with(curfew, &ApiResource::from_gvk(&gvk));
    all.list(&ListParams::default()).await.unwrap();
    let nodes: Api<Node> = Api::all(tenant);
    assert!(nodes.list(&ListParams::default()).await.is_err());
}

async fn the_audit_log_tells_who_asked(plane: &Handle) {
    let tenant = plane.client("tenant").await.unwrap();
    let api: Api<Pod> = Api::namespaced(tenant, "tenant");
    api.get_opt("nobody").await.unwrap();
    eventually("the request is in the audit log", 30, || async {
        let entries = testbed::audit::read(&plane.audit_log()).unwrap();
        entries.into_iter().find(|entry| {
            (entry.user.as_str(), entry.verb.as_str(), entry.resource.as_str()) == ("tenant", "get", "pods")
                && (entry.name.as_str(), entry.code) == ("nobody", 404)
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn planes_run_side_by_side_and_leave_nothing() {
    if !possible().await {
        return;
    }
    let options = Options {
        flagger: false,
        ..Options::default()
    };
    let (one, two) = tokio::join!(start(options.clone()), start(options));
    let (first, second) = (one.describe().unwrap(), two.describe().unwrap());
    assert_ne!(first.api_server, second.api_server);
    assert_eq!(Plane::attach(one.dir()).unwrap().describe().unwrap(), first);
    for plane in [&one, &two] {
        let nodes: Api<Node> = Api::all(plane.client("admin").await.unwrap());
        assert_eq!(nodes.list(&ListParams::default()).await.unwrap().items.len(), 3);
    }
    let pids: Vec<u32> = first.pids.values().chain(second.pids.values()).copied().collect();
    assert_eq!(pids.len(), 6, "etcd, API server and controllers, twice");
    assert!(pids.iter().all(|pid| runs(*pid)));
    let dirs = [one.dir().to_owned(), two.dir().to_owned()];
    drop(one);
    two.stop().await;
    assert!(!pids.iter().any(|pid| runs(*pid)));
    assert!(!dirs.iter().any(|dir| dir.exists()));
}

#[tokio::test(flavor = "multi_thread")]
async fn components_can_be_broken_and_mended() {
    if !possible().await {
        return;
    }
    let plane = start(Options::default()).await;
    let client = plane.client("admin").await.unwrap();
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "tenant");

    plane.kill(Component::ApiServer).unwrap();
    assert!(!plane.runs(Component::ApiServer));
    plane
        .restart_api_server_with(&["--goaway-chance=0.001".to_owned()])
        .await
        .unwrap();
    plane.restart(Component::Etcd).await.unwrap();
    plane.terminate(Component::Flagger).await.unwrap();
    plane.restart_flagger().await.unwrap();
    plane.pause(Component::Kubelet).unwrap();
    deployments
        .create(&PostParams::default(), &deployment("late", 2, "ready"))
        .await
        .unwrap();
    eventually("its pods exist", 60, || async {
        (pods_of(&client, "late").await.len() == 2).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        available(&deployments.get("late").await.unwrap()),
        0,
        "nobody looks after pods"
    );
    plane.resume(Component::Kubelet).unwrap();
    eventually("both are available", 60, || async {
        (available(&deployments.get("late").await.unwrap()) == 2).then_some(())
    })
    .await;

    plane.pause(Component::ControllerManager).unwrap();
    deployments
        .create(&PostParams::default(), &deployment("later", 1, "ready"))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(pods_of(&client, "later").await.is_empty(), "nobody makes pods");
    plane.resume(Component::ControllerManager).unwrap();
    eventually("it is available", 60, || async {
        (available(&deployments.get("later").await.unwrap()) == 1).then_some(())
    })
    .await;

    the_proxy_is_curfews_way_alone(&plane, &client).await;
}

async fn the_proxy_is_curfews_way_alone(plane: &Plane, admin: &Client) {
    let curfew = plane.client("curfew").await.unwrap();
    let list = |client: &Client| {
        let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
        async move { api.list(&ListParams::default()).await }
    };
    list(&curfew).await.unwrap();
    assert!(plane.proxy().unwrap().accepted() > 0);
    assert!(plane.proxy().unwrap().open() > 0);

    plane.set_proxy(Mode::Delay(Duration::from_millis(150))).await.unwrap();
    assert_eq!(plane.proxy().unwrap().mode(), Mode::Delay(Duration::from_millis(150)));
    let asked = Instant::now();
    list(&curfew).await.unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(300), "150 ms each way");

    for (mode, name) in [(Mode::Blackhole, "held"), (Mode::Lose, "lost")] {
        let client = plane.client("curfew").await.unwrap();
        list(&client).await.unwrap();
        plane.proxy().unwrap().set(mode);
        let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client);
        let mut asked = std::pin::pin!(api.get_opt(name));
        let silent = tokio::time::timeout(Duration::from_secs(1), &mut asked).await;
        assert!(silent.is_err(), "{mode:?}: nothing gets through");
        list(admin).await.unwrap();
        plane.proxy().unwrap().set(Mode::Pass);
        // What is lost stays lost; what is held comes when a busy machine gets to it.
        let patience = Duration::from_secs(if mode == Mode::Lose { 1 } else { 30 });
        let answered = tokio::time::timeout(patience, &mut asked).await.is_ok();
        assert_eq!(answered, mode == Mode::Blackhole, "{mode:?}: its client gets an answer");
    }
    let later: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(plane.client("curfew").await.unwrap());
    // Curfew may not read single namespaces: 403 is an answer too.
    assert!(matches!(later.get_opt("later").await, Err(kube::Error::Api(_))));
    let arrived = |name: &str| {
        let entries = testbed::audit::read(&plane.audit_log()).unwrap();
        entries
            .iter()
            .any(|entry| entry.resource == "namespaces" && entry.verb == "get" && entry.name == name)
    };
    eventually("what was held and what came later arrives", 30, || async {
        (arrived("held") && arrived("later")).then_some(())
    })
    .await;
    assert!(!arrived("lost"), "what was lost arrived");
    assert!(plane.proxy().unwrap().lost() > 0);

    plane.proxy().unwrap().set(Mode::Refuse);
    eventually("connections are closed", 30, || async {
        (plane.proxy().unwrap().open() == 0).then_some(())
    })
    .await;
    assert!(list(&curfew).await.is_err());

    plane.proxy().unwrap().set(Mode::Pass);
    list(&curfew).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plane_is_the_kubernetes_that_it_is_asked_to_be_and_knows_scaled_objects() {
    if !possible().await {
        return;
    }
    let plane = start(Options {
        kubernetes: Kubernetes::OLDEST,
        flagger: false,
        ..Options::default()
    })
    .await;
    let client = plane.client("admin").await.unwrap();
    let request = http::Request::get("/version").body(Vec::new()).unwrap();
    let version: Value = client.request(request).await.unwrap();
    let text = |key: &str| version[key].as_str().unwrap_or_default().to_owned();
    let emulated = format!("{}.{}", text("emulationMajor"), text("emulationMinor"));
    assert_eq!(emulated, Kubernetes::OLDEST.to_string(), "{version}");
    // The controllers of that version work too.
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "tenant");
    deployments
        .create(&PostParams::default(), &deployment("old", 1, "ready"))
        .await
        .unwrap();
    eventually("it is available", 60, || async {
        (available(&deployments.get("old").await.unwrap()) == 1).then_some(())
    })
    .await;

    let gvk = GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject");
    let scaled: Api<DynamicObject> = Api::namespaced_with(client, "tenant", &ApiResource::from_gvk(&gvk));
    let trigger = json!({"type": "kafka", "metadata": {"topic": "orders", "lagThreshold": "50"}});
    let spec = |trigger: &Value| json!({"scaleTargetRef": {"name": "old"}, "minReplicaCount": 0, "maxReplicaCount": 10, "triggers": [trigger]});
    let object = |trigger: &Value| {
        object::<DynamicObject>(json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": "old"}, "spec": spec(trigger),
        }))
    };
    let created = scaled.create(&PostParams::default(), &object(&trigger)).await.unwrap();
    assert_eq!(created.data["spec"], spec(&trigger), "nothing of it is dropped");
    let refused = scaled
        .create(&PostParams::default(), &object(&json!({"type": 1})))
        .await;
    assert!(refused.is_err(), "KEDA's definition would refuse it too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plane_that_cannot_start_says_why() {
    if !possible().await {
        return;
    }
    let nonsense = Options {
        api_server_args: vec!["--no-such-flag".to_owned()],
        flagger: false,
        ..Options::default()
    };
    let error = format!("{:#}", Plane::start(nonsense).await.err().unwrap());
    assert!(error.contains("kube-apiserver ended early"), "{error}");
    assert!(error.contains("unknown flag: --no-such-flag"), "{error}");
    remove_kept(&error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_curfew_that_ends_early_is_quoted() {
    if !possible().await {
        return;
    }
    let plane = start(bare()).await;
    let script = plane.dir().join("curfew-that-fails");
    std::fs::write(&script, "#!/bin/sh\necho \"cannot read the policy: $2\" >&2\nexit 2\n").unwrap();
    make_executable(&script);
    let options = CurfewOptions {
        binary: Some(script),
        policy: Some("/nowhere".into()),
        ..CurfewOptions::default()
    };
    let error = format!("{:#}", plane.restart_curfew_with(&options).await.err().unwrap());
    assert!(error.contains("curfew ended early (exit status: 2)"), "{error}");
    assert!(error.contains("cannot read the policy: --register"), "{error}");
    assert!(error.contains(&plane.log("curfew").display().to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn curfew_runs_as_it_is_asked_to() {
    if !possible().await {
        return;
    }
    let plane = start(bare()).await;
    // Stands in for Curfew: notes how it was called. The answers of its plain listener are given here.
    let script = plane.dir().join("curfew-that-waits");
    std::fs::write(
        &script,
        "#!/bin/sh\necho \"$KUBECONFIG $*\" >>\"$CALLS\"\nexec sleep 600\n",
    )
    .unwrap();
    make_executable(&script);
    let calls = plane.dir().join("calls");
    let asked = |arg: &str| CurfewOptions {
        binary: Some(script.clone()),
        args: vec![arg.to_owned()],
        env: vec![("CALLS".to_owned(), calls.display().to_string())],
        ..CurfewOptions::default()
    };
    let call = |number: usize| {
        let calls = &calls;
        move || async move {
            std::fs::read_to_string(calls)
                .ok()?
                .lines()
                .nth(number)
                .map(str::to_owned)
        }
    };
    let ports = plane.describe().unwrap().ports;

    let options = asked("--log-level=debug");
    let (first, ()) = tokio::join!(plane.restart_curfew_with(&options), async {
        let said = eventually("Curfew is called", 30, call(0)).await;
        let mut words = said.split(' ');
        assert_eq!(words.next().map(Path::new), Some(plane.kubeconfig("curfew").as_path()));
        let policy = words
            .clone()
            .nth(2)
            .unwrap()
            .strip_prefix("--policy=")
            .unwrap()
            .to_owned();
        assert!(std::fs::read_to_string(&policy).unwrap().contains("kind: CanaryPolicy"));
        let expected = format!(
            "serve --register --policy={policy} --webhook-addr=127.0.0.1:{} --admin-addr=127.0.0.1:{} \
             --namespace=curfew-system --log-format=json --flagger-mesh-provider=kubernetes \
             --flagger-selector-labels=app,name,app.kubernetes.io/name --log-level=debug",
            ports.curfew_webhook, ports.curfew_admin
        );
        assert_eq!(words.collect::<Vec<_>>().join(" "), expected);
        say_ready(ports.curfew_admin).await;
    });
    first.unwrap();
    let pid = plane.describe().unwrap().pids["curfew"];
    assert!(plane.runs(Component::Curfew));

    plane.restart_curfew_with(&asked("--log-level=info")).await.unwrap();
    assert!(
        eventually("Curfew is called again", 30, call(1))
            .await
            .ends_with(" --log-level=info")
    );
    assert!(!runs(pid));

    let options = CurfewOptions {
        unregistered: true,
        ..asked("--log-level=warn")
    };
    let (other, ()) = tokio::join!(plane.start_another_curfew(&options), async {
        let said = eventually("another Curfew is called", 30, call(2)).await;
        assert!(!said.contains("--register"));
        let address = said
            .split(' ')
            .find_map(|word| word.strip_prefix("--admin-addr=127.0.0.1:"))
            .unwrap();
        say_ready(address.parse().unwrap()).await;
    });
    let other = other.unwrap();
    assert_eq!(other.name, "curfew-2");
    let pids = plane.describe().unwrap().pids;
    plane.stop().await;
    assert!(!runs(pids["curfew"]) && !runs(pids["curfew-2"]));
}

/// Answers every request to this port with 200, for as long as the test runs.
async fn say_ready(port: u16) {
    use tokio::io::AsyncWriteExt as _;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await
                .ok();
            stream.shutdown().await.ok();
        }
    });
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The directory of a plane that failed is kept; here the failure was wanted.
fn remove_kept(error: &str) {
    let log = error.split_whitespace().find(|word| word.contains("/logs/")).unwrap();
    std::fs::remove_dir_all(Path::new(log).parent().unwrap().parent().unwrap()).unwrap();
}
