//! How watches are begun again: steadily, and those of kinds that may come and go with a list.

use std::time::Duration;

use futures::{Stream, StreamExt, future::ready, stream};
use kube::runtime::{
    utils::Backoff,
    watcher::{self, Event},
};

/// The same pause every time before a watch that failed is begun again.
#[derive(Debug)]
pub(super) struct FixedBackoff(pub(super) Duration);

// === impl FixedBackoff ===

impl Iterator for FixedBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.0)
    }
}

impl Backoff for FixedBackoff {
    fn reset(&mut self) {}
}

/// A watch that is begun again with a list when its kind is not there any more. kube would only try to resume it,
/// for ever, and what was there before would never be gone.
pub(super) fn relisting<K, S>(
    begin: impl FnMut() -> S + Send + 'static,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    S: Stream<Item = watcher::Result<Event<K>>> + Send,
    K: Send,
{
    // It ends right behind the word that its kind is gone.
    let ending = |event| {
        let end = is_gone(&event).then_some(None);
        stream::iter(std::iter::once(Some(event)).chain(end))
    };
    stream::repeat_with(begin).flat_map(move |watch| {
        let until_gone = watch.flat_map(ending).take_while(|event| ready(event.is_some()));
        until_gone.filter_map(ready)
    })
}

/// Whether a watch could not be resumed because there is no such kind.
fn is_gone<K>(event: &watcher::Result<Event<K>>) -> bool {
    matches!(event, Err(watcher::Error::WatchStartFailed(kube::Error::Api(status))) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures::FutureExt as _;
    use kube::core::Status;

    use super::*;

    fn failed(code: u16) -> watcher::Result<Event<()>> {
        let mut status = Status::failure("no", "Reason");
        status.code = code;
        Err(watcher::Error::WatchStartFailed(kube::Error::Api(status.boxed())))
    }

    #[test]
    fn a_watch_is_begun_again_when_its_kind_is_gone_and_not_for_other_failures() {
        for (code, begun) in [(404, 3), (403, 3)] {
            let begins = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&begins);
            let watches = relisting(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                let silent = stream::iter([Ok(Event::Init), failed(code)]).chain(stream::pending());
                if code == 404 {
                    silent.left_stream()
                } else {
                    silent.take(2).right_stream()
                }
            });
            let seen = watches.take(5).collect::<Vec<_>>().now_or_never().expect("all at once");
            assert_eq!(seen.len(), 5);
            assert_eq!(begins.load(Ordering::Relaxed), begun, "{code}");
        }
    }
}
