//! Where stories play: the plane that all of them share, or one of their own.

use std::{env, ops::Deref, time::Instant};

use plane::{CurfewOptions, Handle, Options, Plane, SHARED_PLANE};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

/// The plane that was started here because none was handed in. It is never dropped: its guardian ends it with this
/// process, and removes its directory unless a story failed.
static OWN: OnceCell<Plane> = OnceCell::const_new();

/// The plane that all stories share, with Curfew; none on a machine that cannot start planes.
pub async fn shared() -> Option<Handle> {
    if let Some(handed_in) = Handle::from_env().expect("the plane that was handed in") {
        return Some(handed_in);
    }
    if !possible().await {
        return None;
    }
    let plane = OWN
        .get_or_init(|| async {
            let plane = start(Options::with_curfew()).await;
            plane.remove_with_process().expect("a guardian");
            plane
        })
        .await;
    Some(Handle::clone(plane))
}

/// How many stories have a plane of their own at the same time: each is a control plane, and the others wait.
const PLANES: usize = 6;

static FREE: Semaphore = Semaphore::const_new(PLANES);

/// A plane for one story, and the right to have one.
pub struct OwnPlane {
    plane: Plane,
    _right: SemaphorePermit<'static>,
}

impl Deref for OwnPlane {
    type Target = Plane;

    fn deref(&self) -> &Plane {
        &self.plane
    }
}

/// A plane for one story, when it is its turn; none on a machine that cannot start planes.
pub async fn own(options: Options) -> Option<OwnPlane> {
    if !possible().await {
        return None;
    }
    let right = FREE.acquire().await.expect("it is never closed");
    Some(OwnPlane {
        plane: start(options).await,
        _right: right,
    })
}

/// A plane for one story, whose Curfew has these policies beside those of every plane; none on a machine that cannot
/// start planes.
pub async fn with_policies(options: Options, more: &str) -> Option<OwnPlane> {
    let plane = own(options).await?;
    let policy = plane.dir().join("policies.yaml");
    std::fs::write(
        &policy,
        format!("{}---\n{more}", include_str!("../../plane/policy.yaml")),
    )
    .expect("a policy file");
    let curfew = CurfewOptions {
        policy: Some(policy),
        ..CurfewOptions::default()
    };
    plane.restart_curfew_with(&curfew).await.expect("Curfew");
    Some(plane)
}

/// Keeps the shared plane's logs: a story failed.
pub fn keep_logs(plane: &Handle) {
    match OWN.get() {
        Some(own) if own.dir() == plane.dir() => {
            own.keep_logs();
            eprintln!("the logs are kept in {}", plane.dir().display());
        }
        _ => eprintln!("the logs are in {}", plane.dir().display()),
    }
}

async fn possible() -> bool {
    let Some(obstacle) = plane::obstacle().await else {
        return true;
    };
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "{obstacle}");
    eprintln!("left out, and {SHARED_PLANE} names no plane: {obstacle}");
    false
}

async fn start(options: Options) -> Plane {
    let started = Instant::now();
    let plane = Plane::start(options).await.expect("a plane");
    eprintln!(
        "a plane in {} is ready after {:.1} s",
        plane.dir().display(),
        started.elapsed().as_secs_f64()
    );
    plane
}
