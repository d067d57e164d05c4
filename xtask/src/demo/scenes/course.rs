//! What every scene does: it begins, waits and ends.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::demo::observation::{Journal, Seen, Side};

/// How often is looked.
pub(super) const EVERY: Duration = Duration::from_millis(250);
/// By then Flagger has initialised a sound Canary on any machine on which the demo is of use.
pub(super) const SETTING_UP: Duration = Duration::from_mins(2);

/// Both sides begin at this moment.
pub(super) fn begin(journals: &mut [Journal; 2]) {
    let now = Instant::now();
    for journal in journals {
        journal.begin(now);
    }
}

/// A side is over.
pub(super) fn end(journal: &Journal, result: Result<()>) {
    let error = result.err().map(|error| format!("{error:#}"));
    journal.write(Seen::Ended { error });
}

/// Looks until there is something; says what for.
pub(super) async fn until<T>(
    journal: &Journal,
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    journal.write(Seen::Waiting(what.to_owned()));
    let started = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if started.elapsed() > patience {
            bail!("waited {} s for {what} in vain", patience.as_secs());
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The namespace of one side.
pub(super) fn namespace(name: &str, side: Side) -> String {
    format!("{name}-{}", side.name())
}
