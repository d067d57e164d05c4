//! Where stories play. A story says what it needs by the call that gets its plane:
//!
//! | call | what it is | for stories that |
//! |---|---|---|
//! | [`shared`] | everything, for all of them | break nothing |
//! | [`quiet`] | an API server and Curfew, for all of them | ask about admission, and need no pods |
//! | [`own`] | what its options say, for one | break something, or need other options |
//! | [`at_once`] | the same | take longer than all others, so that everything waits for them |
//!
//! Stories wait for their turn, but for those that begin at once: each plane is a whole control plane, and what a busy machine
//! does late, a test takes for late.

use std::{
    env,
    ops::Deref,
    time::{Duration, Instant},
};

use testbed::{CurfewOptions, Handle, Options, Plane, SHARED_PLANE};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use crate::times::Clock;

/// The planes that were started here for several stories. They are never dropped: their guardian ends them with this
/// process, and removes their directories unless a story failed.
static SHARED: OnceCell<Plane> = OnceCell::const_new();
static QUIET: OnceCell<Plane> = OnceCell::const_new();

/// How much of the machine planes of their own may take at the same time, and what one takes: with controllers and pods, or
/// without.
const ROOM: usize = 6;
const FULL: u32 = 2;
const BARE: u32 = 1;

static FREE: Semaphore = Semaphore::const_new(ROOM);

/// How many stories share a plane at the same time: all of them at once would have Flagger initialize a hundred Canaries in
/// the same minute.
const AT_ONCE: usize = 28;

static SHARED_BY: Semaphore = Semaphore::const_new(AT_ONCE);

/// How many planes start at the same time: a start is all work, and those that are up should get on with theirs.
const STARTS: usize = 2;

static STARTING: Semaphore = Semaphore::const_new(STARTS);

/// A plane that several stories have at the same time, and the right to be one of them.
pub struct Shared {
    plane: Handle,
    _clock: Clock,
    _right: SemaphorePermit<'static>,
}

impl Deref for Shared {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.plane
    }
}

/// A plane for one story, and the right to have one, if it had to wait for that.
pub struct OwnPlane {
    plane: Plane,
    _clock: Clock,
    _right: Option<SemaphorePermit<'static>>,
}

impl Deref for OwnPlane {
    type Target = Plane;

    fn deref(&self) -> &Plane {
        &self.plane
    }
}

/// The plane that all stories share which break nothing, or the one that was handed in; none on a machine that cannot
/// start planes.
pub async fn shared() -> Option<Shared> {
    if let Some(plane) = Handle::from_env().expect("the plane that was handed in") {
        return Some(share("shared", plane, Instant::now()).await);
    }
    one_for_all("shared", &SHARED, Options::with_curfew()).await
}

/// A plane without Flagger, controllers and pods, for all stories of admission; none on a machine that cannot start
/// planes.
pub async fn quiet() -> Option<Shared> {
    one_for_all("quiet", &QUIET, bare(Some(CurfewOptions::default()))).await
}

async fn one_for_all(name: &'static str, plane: &'static OnceCell<Plane>, options: Options) -> Option<Shared> {
    let asked = Instant::now();
    if !possible().await {
        return None;
    }
    let start = async || {
        let plane = start(options).await;
        plane.remove_with_process().expect("a guardian");
        plane
    };
    let plane = plane.get_or_init(start).await;
    Some(share(name, Handle::clone(plane), asked).await)
}

async fn share(name: &'static str, plane: Handle, asked: Instant) -> Shared {
    let right = SHARED_BY.acquire().await.expect("it is never closed");
    Shared {
        plane,
        _clock: Clock::start(name, asked),
        _right: right,
    }
}

/// An API server without Flagger, controllers and KEDA, with this Curfew.
pub fn bare(curfew: Option<CurfewOptions>) -> Options {
    Options {
        controllers: false,
        scaled_objects: false,
        flagger: false,
        curfew,
        ..Options::default()
    }
}

/// A plane for one story, when it is its turn; none on a machine that cannot start planes.
pub async fn own(options: Options) -> Option<OwnPlane> {
    let asked = Instant::now();
    let takes = if options.controllers { FULL } else { BARE };
    let right = FREE.acquire_many(takes).await.expect("it is never closed");
    for_one(options, Some(right), asked).await
}

/// A plane for one story, at once; none on a machine that cannot start planes.
pub async fn at_once(options: Options) -> Option<OwnPlane> {
    for_one(options, None, Instant::now()).await
}

async fn for_one(options: Options, right: Option<SemaphorePermit<'static>>, asked: Instant) -> Option<OwnPlane> {
    if !possible().await {
        return None;
    }
    let clock = Clock::start("own", asked);
    Some(OwnPlane {
        plane: start(options).await,
        _clock: clock,
        _right: right,
    })
}

/// Gives a plane's Curfew these policies beside those of every plane.
pub async fn with_policies(plane: &Plane, more: &str) {
    let policy = plane.dir().join("policies.yaml");
    std::fs::write(
        &policy,
        format!("{}---\n{more}", include_str!("../../testbed/policy.yaml")),
    )
    .expect("a policy file");
    let curfew = CurfewOptions {
        policy: Some(policy),
        ..CurfewOptions::default()
    };
    plane.restart_curfew_with(&curfew).await.expect("Curfew");
}

/// Keeps a shared plane's logs: a story failed.
pub fn keep_logs(plane: &Handle) {
    let kept = [&SHARED, &QUIET].into_iter().filter_map(OnceCell::get);
    for kept in kept.filter(|kept| kept.dir() == plane.dir()) {
        kept.keep_logs();
    }
    eprintln!("the logs are in {}", plane.dir().display());
}

/// Looks five times a second, for as long as a busy machine may need, until there is something.
pub async fn eventually<T>(what: &str, patience: u64, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let patience = patience * BUSY;
    let deadline = Instant::now() + Duration::from_secs(patience);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {patience} s in vain until {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// So many times as long as on a quiet machine may everything take.
pub const BUSY: u64 = 3;

/// How often objects are looked at that are not watched.
pub const POLL: Duration = Duration::from_millis(200);

async fn possible() -> bool {
    let Some(obstacle) = testbed::obstacle().await else {
        return true;
    };
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "{obstacle}");
    eprintln!("left out, and {SHARED_PLANE} names no plane: {obstacle}");
    false
}

async fn start(options: Options) -> Plane {
    let _turn = STARTING.acquire().await.expect("it is never closed");
    let started = Instant::now();
    let plane = Plane::start(options).await.expect("a plane");
    eprintln!(
        "a plane in {} is ready after {:.1} s",
        plane.dir().display(),
        started.elapsed().as_secs_f64()
    );
    plane
}
