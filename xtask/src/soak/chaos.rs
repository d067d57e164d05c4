//! Breaking the plane, one thing at a time, and writing down from when to when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use testbed::{Component, Mode, Plane};
use tokio::time::sleep;

use super::{
    facts::Seconds,
    faults::{Fault, Kind},
    record::Record,
};

/// How often this process looks whether the machine lets it run, and from when on it does not.
const BEAT: Duration = Duration::from_millis(50);
const BUSY: Seconds = 0.25;
/// How often the API server is asked.
const BUSY_ASK: Duration = Duration::from_millis(200);

/// What was broken so far.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Fault>>);

// === impl Faults ===

impl Faults {
    pub fn all(&self) -> Vec<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, kind: Kind, start: Seconds, end: Seconds) {
        let fault = Fault { kind, start, end };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }
}

/// How long before the end nothing is broken any more: every fault must be fixed, and written down, by then.
const QUIET: Seconds = 15.0;

/// Breaks things until `end` is near. Until `restarts_until` Curfew is restarted too; then the same process goes on, so
/// that its memory can be watched.
pub async fn rage(
    plane: &Plane,
    record: &Record,
    faults: &Faults,
    mut rng: Rng,
    restarts_until: Seconds,
    end: Seconds,
) -> Result<()> {
    let mut deck = Vec::new();
    loop {
        sleep(Duration::from_secs_f64(8.0 + 10.0 * rng.f64())).await;
        if record.now() > end - QUIET {
            return std::future::pending().await;
        }
        let kind = pick(&mut deck, &mut rng, record.now() < restarts_until);
        let length = Duration::from_secs_f64(2.0 + 5.0 * rng.f64());
        let start = record.now();
        commit(plane, kind, length, &mut rng).await?;
        faults.note(kind, start, record.now());
    }
}

/// Every kind comes once before any comes again, and restarts come early while there is time for them.
fn pick(deck: &mut Vec<Kind>, rng: &mut Rng, may_restart: bool) -> Kind {
    loop {
        let Some(kind) = deck.pop() else {
            let mut others = [
                Kind::NetworkSlow,
                Kind::NetworkCut,
                Kind::NetworkRefused,
                Kind::CurfewStopped,
                Kind::FlaggerRestarted,
                Kind::ControllersStopped,
                Kind::ApiServerStopped,
            ];
            rng.shuffle(&mut others);
            deck.extend(others);
            for restart in [Kind::CurfewRestarted, Kind::CurfewKilled] {
                deck.insert(deck.len() - rng.usize(..3), restart);
            }
            continue;
        };
        if may_restart || !kind.restarts_curfew() {
            return kind;
        }
    }
}

async fn commit(plane: &Plane, kind: Kind, length: Duration, rng: &mut Rng) -> Result<()> {
    let stop = async |component| {
        plane.pause(component)?;
        sleep(length).await;
        plane.resume(component)
    };
    let spoil = async |mode| {
        let proxy = plane.proxy()?;
        proxy.set(mode);
        sleep(length).await;
        proxy.set(Mode::Pass);
        anyhow::Ok(())
    };
    match kind {
        Kind::CurfewKilled => {
            plane.kill(Component::Curfew)?;
            sleep(length / 2).await;
            plane.restart(Component::Curfew).await
        }
        Kind::CurfewRestarted => {
            plane.terminate(Component::Curfew).await?;
            plane.restart(Component::Curfew).await
        }
        Kind::FlaggerRestarted => {
            plane.kill(Component::Flagger)?;
            sleep(length / 2).await;
            plane.restart_flagger().await
        }
        Kind::CurfewStopped => stop(Component::Curfew).await,
        Kind::ControllersStopped => stop(Component::ControllerManager).await,
        Kind::ApiServerStopped => stop(Component::ApiServer).await,
        Kind::NetworkSlow => spoil(Mode::Delay(Duration::from_millis(rng.u64(100..600)))).await,
        Kind::NetworkCut => spoil(Mode::Blackhole).await,
        Kind::NetworkRefused => spoil(Mode::Refuse).await,
        // Nobody does that.
        Kind::MachineBusy | Kind::ApiServerSlow => Ok(()),
    }
}

/// Notes when the machine did not let this process run: then it did not let others run either.
pub async fn feel_the_pulse(record: Arc<Record>, faults: Arc<Faults>) {
    loop {
        let before = record.now();
        sleep(BEAT).await;
        let after = record.now();
        if after - before > BEAT.as_secs_f64() + BUSY {
            faults.note(Kind::MachineBusy, before, after);
        }
    }
}

/// Notes when the API server takes long to answer: then all that is asked of it takes long.
pub async fn ask_after_the_api_server(client: Client, record: Arc<Record>, faults: Arc<Faults>) {
    let namespaces = Api::<Namespace>::all(client);
    loop {
        let before = record.now();
        // What it answers does not matter.
        let _ = namespaces.get_opt("default").await;
        let after = record.now();
        if after - before > BUSY {
            faults.note(Kind::ApiServerSlow, before, after);
        }
        sleep(BUSY_ASK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_broken_once_before_anything_is_again_and_restarts_come_early() {
        for seed in 0..100 {
            let (mut deck, mut rng) = (Vec::new(), Rng::with_seed(seed));
            let mut first: Vec<_> = (0..9).map(|_| pick(&mut deck, &mut rng, true)).collect();
            assert_eq!(
                first[..4].iter().filter(|kind| kind.restarts_curfew()).count(),
                2,
                "{first:?}"
            );
            first.sort_unstable();
            first.dedup();
            assert_eq!(first.len(), 9);
            assert!((0..20).all(|_| !pick(&mut deck, &mut rng, false).restarts_curfew()));
        }
    }
}
