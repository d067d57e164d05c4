//! The way to the API server, and what it tells on the side: what time it is there, whether it was gone, and which watches are
//! silent.
//!
//! [`ApiHealth`] is a layer around the client. It reads the `Date` of every answer, and it listens to the watches: a server
//! that has nothing to say still sends a bookmark a minute, so a watch without a word for longer is a dead connection.
//! It is ended, and the watcher begins another one.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, header::DATE};
use http_body::{Body, Frame, SizeHint};
use jiff::{Timestamp, fmt::rfc2822};
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::{BoxError, Layer, Service};

use super::{clock, skew::Skew};

/// How long a watch may be silent before it is given up: a minute for the bookmark (`bookmarkFrequency` in
/// `k8s.io/apiserver/pkg/storage/cacher`), and half as much for a busy server.
pub const SILENT: Duration = Duration::from_secs(90);

/// How often a watch of one kind is begun at most: kube's watcher begins another one at once when the server ends one
/// without an error, however soon that was.
const PACE: Duration = Duration::from_secs(1);

/// What is watched that rollouts are judged by.
pub(super) const JUDGED_BY: [&str; 5] = ["canaries", "daemonsets", "deployments", "events", "namespaces"];

/// Nothing that was asked for so long was granted: the API server, or what it stores in, was gone for everybody. One request
/// of ours that got lost takes less, and the Lease is asked for every two seconds.
const OUTAGE: Duration = Duration::from_secs(10);

/// With a watch this old, something is wrong that begins anew did not fix, and nothing is done.
const STALE: Duration = Duration::from_secs(150);

/// What the way to the API server tells.
#[derive(Clone, Debug)]
pub struct ApiHealth {
    silent: Duration,
    health: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    skew: Skew,
    /// When each watch last said something, by the plural of what is watched.
    heard: BTreeMap<String, Instant>,
    /// When the last watch of each was begun, or will have been.
    begun: BTreeMap<String, Instant>,
    /// When the first request was made since the server last granted one.
    asked_at: Option<Instant>,
    /// When the server granted a request again after an outage.
    back_since: Option<Instant>,
}

/// A client's service, listened to.
#[derive(Clone, Debug)]
pub struct MonitoredService<S> {
    inner: S,
    api_health: ApiHealth,
}

/// The body of an answer; that of a watch is listened to.
#[derive(Debug)]
pub struct MonitoredBody<B> {
    inner: B,
    watch: Option<Watch>,
}

#[derive(Debug)]
struct Watch {
    what: String,
    api_health: ApiHealth,
    silence: Pin<Box<Sleep>>,
}

/// Why a watch was ended.
#[derive(Debug, thiserror::Error)]
#[error("the watch of {what} said nothing for {} s, not even that nothing happened: the connection is taken for dead", silent.as_secs())]
pub struct Silent {
    what: String,
    silent: Duration,
}

// === impl Inner ===

impl Inner {
    fn asked(&mut self, now: Instant) {
        self.asked_at.get_or_insert(now);
    }

    fn granted(&mut self, now: Instant) {
        let asked_at = self.asked_at.take();
        if asked_at.is_some_and(|asked| now.duration_since(asked) >= OUTAGE) {
            self.back_since = Some(now);
        }
    }
}

// === impl ApiHealth ===

impl Default for ApiHealth {
    fn default() -> Self {
        Self::new(SILENT)
    }
}

impl ApiHealth {
    /// A layer whose watches may be silent for so long.
    #[must_use]
    pub fn new(silent: Duration) -> Self {
        Self {
            silent,
            health: Arc::default(),
        }
    }

    /// What time it is at the API server.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = clock::now();
        now.checked_add(self.skew().offset()).unwrap_or(now)
    }

    /// How far the API server's clock is from ours.
    #[must_use]
    pub fn skew(&self) -> Skew {
        self.health.lock().skew
    }

    /// How long ago the API server began to work again, if it ever was gone: for everybody, as far as one can tell.
    #[must_use]
    pub fn back_for(&self) -> Option<Duration> {
        self.health.lock().back_since.map(|since| since.elapsed())
    }

    /// How long ago each watch last said something.
    #[must_use]
    pub fn watch_ages(&self) -> Vec<(String, Duration)> {
        let heard = &self.health.lock().heard;
        heard.iter().map(|(what, at)| (what.clone(), at.elapsed())).collect()
    }

    /// For how long this watch has been silent, if that is too long.
    #[must_use]
    pub fn stale(&self, what: &str) -> Option<Duration> {
        let age = self.health.lock().heard.get(what)?.elapsed();
        (age > self.stale_after()).then_some(age)
    }

    /// A watch that rollouts are judged by and that has been silent for too long, if there is one: what it should have shown is not
    /// known. Autoscalers are no part of a verdict, and of policies the last ones hold.
    #[must_use]
    pub fn stale_watch(&self) -> Option<(String, Duration)> {
        let stale = self.stale_after();
        let is_judged_by = |what: &str| JUDGED_BY.contains(&what);
        let mut ages = self.watch_ages().into_iter();
        ages.find(|(what, age)| is_judged_by(what) && *age > stale)
    }

    /// A layer with a shorter patience takes its watches for stale earlier in the same proportion.
    fn stale_after(&self) -> Duration {
        STALE.min(self.silent.saturating_mul(2))
    }

    /// Notes that a watch begins: from then on it is silent until it says something, be it never allowed to begin.
    fn listen_for(&self, what: &str) {
        let heard = &mut self.health.lock().heard;
        if !heard.contains_key(what) {
            heard.insert(what.to_owned(), Instant::now());
        }
    }

    /// When a watch that was answered may begin.
    fn turn(&self, what: &str) -> Instant {
        let now = Instant::now();
        let begun = &mut self.health.lock().begun;
        let turn = begun.get(what).map_or(now, |last| now.max(*last + PACE));
        begun.insert(what.to_owned(), turn);
        turn
    }

    fn hear(&self, what: &str) {
        let mut health = self.health.lock();
        match health.heard.get_mut(what) {
            Some(at) => *at = Instant::now(),
            None => {
                health.heard.insert(what.to_owned(), Instant::now());
            }
        }
    }
}

impl<S> Layer<S> for ApiHealth {
    type Service = MonitoredService<S>;

    fn layer(&self, inner: S) -> MonitoredService<S> {
        MonitoredService {
            inner,
            api_health: self.clone(),
        }
    }
}

// === impl MonitoredService ===

impl<S, B, R> Service<Request<B>> for MonitoredService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    R: Send,
{
    type Response = Response<MonitoredBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let api_health = self.api_health.clone();
        let what = watched(&request);
        if let Some(what) = &what {
            api_health.listen_for(what);
        }
        // A watch that goes on is served without a look at what is stored.
        let is_watch = what.is_some();
        if !is_watch {
            api_health.health.lock().asked(Instant::now());
        }
        let asked = clock::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            if !is_watch && response.status().is_success() {
                api_health.health.lock().granted(Instant::now());
            }
            if let Some(date) = date(&response) {
                api_health.health.lock().skew.note(date, asked, clock::now());
            }
            let what = what.filter(|_| response.status().is_success());
            if let Some(what) = &what {
                sleep_until(api_health.turn(what)).await;
            }
            let watch = what.map(|what| {
                api_health.hear(&what);
                let silence = Box::pin(sleep_until(Instant::now() + api_health.silent));
                Watch {
                    what,
                    api_health,
                    silence,
                }
            });
            Ok(response.map(|inner| MonitoredBody { inner, watch }))
        })
    }
}

fn date<B>(response: &Response<B>) -> Option<Timestamp> {
    let date = response.headers().get(DATE)?.to_str().ok()?;
    rfc2822::parse(date).ok().map(|date| date.timestamp())
}

/// The plural of what a request watches, if it is a watch.
fn watched<B>(request: &Request<B>) -> Option<String> {
    let uri = request.uri();
    let is_watch = uri
        .query()?
        .split('&')
        .any(|pair| matches!(pair, "watch=true" | "watch=1"));
    is_watch.then(|| uri.path().rsplit('/').next().unwrap_or_default().to_owned())
}

// === impl MonitoredBody ===

impl<B> Body for MonitoredBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
            return match &mut this.watch {
                Some(watch) => watch.silence.as_mut().poll(cx).map(|()| Some(Err(watch.end()))),
                None => Poll::Pending,
            };
        };
        if let (Some(watch), Some(Ok(_))) = (&mut this.watch, &frame) {
            watch.api_health.hear(&watch.what);
            let until = Instant::now() + watch.api_health.silent;
            watch.silence.as_mut().reset(until);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

// === impl Watch ===

impl Watch {
    fn end(&self) -> BoxError {
        Box::new(Silent {
            what: self.what.clone(),
            silent: self.api_health.silent,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt as _, StreamBody};
    use tower::ServiceExt as _;

    use super::*;
    use crate::deadline::conditions::MOST_SKEW;

    type Words = StreamBody<futures::stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

    /// Asks for `uri` through a layer whose server answers with these bytes and then hangs.
    async fn ask(
        api_health: &ApiHealth,
        uri: &str,
        says: &'static [&'static str],
        date: &str,
    ) -> Response<MonitoredBody<Words>> {
        let date = date.to_owned();
        let service = tower::service_fn(move |_: Request<()>| {
            let date = date.clone();
            async move {
                let words = futures::stream::iter(
                    says.iter()
                        .map(|word| Ok(Frame::data(Bytes::from_static(word.as_bytes())))),
                );
                let hanging = futures::StreamExt::chain(words, futures::stream::pending());
                let body = StreamBody::new(futures::StreamExt::boxed(hanging));
                let answer = Response::builder().header(DATE, date).body(body);
                Ok::<Response<Words>, Infallible>(answer.expect("an answer"))
            }
        });
        let request = Request::get(uri).body(()).expect("a request");
        api_health.layer(service).oneshot(request).await.expect("an answer")
    }

    const NOW: &str = "Mon, 23 Nov 2026 14:00:00 GMT";

    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_watch_that_says_nothing_is_ended() {
        let api_health = ApiHealth::new(SHORT);
        let uri = "/apis/flagger.app/v1beta1/canaries?watch=true&allowWatchBookmarks=true";
        let mut body = ask(&api_health, uri, &["{}", "{}"], NOW).await.into_body();
        assert!(body.frame().await.expect("a frame").is_ok());
        let begun = Instant::now();
        assert!(body.frame().await.expect("a frame").is_ok());
        let error = body.frame().await.expect("an end").expect_err("silence");
        assert!(begun.elapsed() >= SHORT);
        assert!(
            error.to_string().contains("the watch of canaries said nothing"),
            "{error}"
        );
        assert_eq!(api_health.watch_ages()[0].0, "canaries");
    }

    #[tokio::test]
    async fn what_is_no_watch_may_take_its_time() {
        let api_health = ApiHealth::new(SHORT);
        let uri = "/apis/flagger.app/v1beta1/canaries?limit=500";
        let mut body = ask(&api_health, uri, &[], NOW).await.into_body();
        let waited = tokio::time::timeout(SHORT * 3, body.frame()).await;
        assert!(waited.is_err());
        assert_eq!(api_health.watch_ages(), []);
    }

    #[tokio::test]
    async fn a_watch_that_is_not_taken_up_again_is_stale() {
        let api_health = ApiHealth::new(SHORT);
        ask(&api_health, "/api/v1/namespaces?watch=1", &["{}"], NOW).await;
        let begun = Instant::now();
        assert_eq!(api_health.stale_watch(), None);
        while api_health.stale_watch().is_none_or(|(what, _)| what != "namespaces") {
            tokio::time::sleep(SHORT / 10).await;
        }
        assert!(begun.elapsed() > SHORT);
        ask(&api_health, "/api/v1/namespaces?watch=1", &["{}"], NOW).await;
        assert_eq!(api_health.stale_watch(), None);
    }

    #[tokio::test]
    async fn a_watch_that_is_refused_from_the_beginning_is_stale_too() {
        let api_health = ApiHealth::new(SHORT);
        let refusing = tower::service_fn(|_: Request<()>| async {
            let refused = Response::builder()
                .status(403)
                .body(http_body_util::Empty::<Bytes>::new());
            Ok::<_, Infallible>(refused.expect("an answer"))
        });
        let begun = Instant::now();
        while api_health.stale_watch().is_none() {
            let request = Request::get("/api/v1/namespaces?watch=1").body(()).expect("a request");
            api_health.layer(refusing).oneshot(request).await.expect("an answer");
            tokio::time::sleep(SHORT / 10).await;
        }
        assert!(begun.elapsed() > SHORT);
    }

    #[test]
    fn an_outage_is_over_when_something_is_granted_again() {
        let begun = Instant::now();
        let at = |second| begun + Duration::from_secs(second);
        // In which seconds something is asked, when something is granted, and whether that ends an outage.
        for (asked, granted, ends) in [
            (&[0][..], 9, false),
            (&[0], 10, true),
            (&[0, 5, 9], 11, true),
            (&[9], 60, true),
            (&[], 60, false),
        ] {
            let mut health = Inner::default();
            for second in asked {
                health.asked(at(*second));
            }
            health.granted(at(granted));
            assert_eq!(health.back_since, ends.then_some(at(granted)), "{asked:?} {granted}");
            health.asked(at(70));
            health.granted(at(71));
            assert_eq!(
                health.back_since,
                ends.then_some(at(granted)),
                "{asked:?} {granted}, and another"
            );
        }
    }

    #[tokio::test]
    async fn a_refusal_grants_nothing_and_neither_does_a_watch() {
        let (plain, watch) = ("/api/v1/pods", "/api/v1/pods?watch=1");
        for (uri, code, waits) in [
            (plain, 200, false),
            (plain, 404, true),
            (plain, 403, true),
            (plain, 503, true),
            (watch, 200, true),
        ] {
            let api_health = ApiHealth::default();
            api_health.health.lock().asked(Instant::now());
            let service = tower::service_fn(move |_: Request<()>| async move {
                let answer = Response::builder().status(code);
                let answer = answer.body(http_body_util::Empty::<Bytes>::new());
                Ok::<_, Infallible>(answer.expect("an answer"))
            });
            let request = Request::get(uri).body(()).expect("a request");
            drop(api_health.layer(service).oneshot(request).await);
            assert_eq!(api_health.health.lock().asked_at.is_some(), waits, "{uri} {code}");
        }
        let api_health = ApiHealth::default();
        drop(ask(&api_health, watch, &[], NOW).await);
        assert_eq!(api_health.health.lock().asked_at, None, "a watch asks nothing");
    }

    #[tokio::test]
    async fn the_date_of_an_answer_tells_the_skew() {
        let api_health = ApiHealth::default();
        ask(&api_health, "/api", &[], "Mon, 23 Nov 1992 14:00:00 GMT").await;
        assert!(api_health.skew().offset().abs() > MOST_SKEW);
        assert!(api_health.now() < "1992-11-23T14:01:00Z".parse().expect("a time"));
        ask(&api_health, "/api", &[], "yesterday").await;
        assert!(
            api_health.skew().offset().abs() > MOST_SKEW,
            "what does not parse says nothing"
        );
    }

    #[tokio::test]
    async fn a_watch_that_no_verdict_rests_on_withholds_none() {
        let api_health = ApiHealth::new(SHORT);
        for path in [
            "autoscaling/v2/horizontalpodautoscalers",
            "keda.sh/v1alpha1/scaledobjects",
            "curfew.dev/v1alpha1/canarypolicies",
        ] {
            let uri = format!("/apis/{path}?watch=true&allowWatchBookmarks=true");
            drop(ask(&api_health, &uri, &[], NOW).await);
        }
        tokio::time::sleep(SHORT * 4).await;
        assert_eq!(api_health.watch_ages().len(), 3);
        assert_eq!(api_health.stale_watch(), None);
        assert!(api_health.stale("horizontalpodautoscalers").is_some());
    }
}
