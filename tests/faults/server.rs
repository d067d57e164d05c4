//! A scripted API server: a few objects in memory, real preconditions, real watches, and faults where the script wants them.
//!
//! Every request is logged, whatever came of it. Tests wait on that log and on the objects, never on the clock.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Method, Response, StatusCode, Uri, header},
};
use curfew::cluster::api_health::ApiHealth;
use futures::stream;
use kube::{Client, Config, client::ClientBuilder};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    pages::Pages,
    request::Request,
    script::{Does, Gate, Rule},
    watching::watch as begin_watch,
    world::{Refusal, World},
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_mins(1);

/// The server; it ends with the test.
pub struct Server {
    inner: Arc<Inner>,
    uri: Uri,
    task: tokio::task::JoinHandle<()>,
}

/// What its requests share.
pub struct Inner {
    pub state: Mutex<Held>,
    /// Ticks with every change and every request.
    pub pulse: watch::Sender<u64>,
}

#[derive(Default)]
pub struct Held {
    pub world: World,
    rules: Vec<Rule>,
    log: Vec<Request>,
    /// How often the watches of a resource were cut, and how.
    pub cut: Vec<(&'static str, Cut)>,
    pub bookmarks: Option<Duration>,
    pages: Pages,
}

/// How a watch ends that was well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The stream ends.
    Ends,
    /// The API server forgot the version from which it watches.
    Expired,
    /// The connection is dead, and nobody says so.
    Silent,
}

// === impl Server ===

impl Server {
    pub async fn start() -> Self {
        let inner = Arc::new(Inner {
            state: Mutex::default(),
            pulse: watch::Sender::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(serve).with_state(Arc::clone(&inner));
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("a server");
        });
        Self {
            inner,
            uri: format!("http://{address}").parse().expect("a URI"),
            task,
        }
    }

    /// A client that is built as Curfew builds its own.
    pub fn client(&self, api_health: &ApiHealth) -> Client {
        let builder = ClientBuilder::try_from(Config::new(self.uri.clone())).expect("a client");
        builder.with_layer(api_health).build()
    }

    /// From now on every watch that has nothing to say says so, this often.
    pub fn send_bookmarks(&self, every: Duration) {
        self.inner.state.lock().bookmarks = Some(every);
        self.inner.tick();
    }

    /// Adds to the script; what was said before goes first.
    pub fn script(&self, rule: Rule) {
        self.inner.state.lock().rules.push(rule);
    }

    /// From now on everything is well.
    pub fn end_of_script(&self) {
        self.inner.state.lock().rules.clear();
    }

    /// Forgets the state that lists which have begun are read from (an etcd compaction).
    pub fn expire_continue_tokens(&self) {
        self.inner.state.lock().pages.expire();
    }

    /// Something that somebody else does.
    pub fn change<T>(&self, deed: impl FnOnce(&mut World) -> T) -> T {
        let done = deed(&mut self.inner.state.lock().world);
        self.inner.tick();
        done
    }

    /// Ends all watches of a resource.
    pub fn cut_watches(&self, resource: &'static str, how: Cut) {
        self.inner.state.lock().cut.push((resource, how));
        self.inner.tick();
    }

    pub fn log(&self) -> Vec<Request> {
        self.inner.state.lock().log.clone()
    }

    /// Every request that changes something or would have, in order.
    pub fn writes(&self) -> Vec<Request> {
        let log = self.log();
        log.into_iter().filter(Request::is_write).collect()
    }

    /// How many requests of this kind came.
    pub fn count(&self, verb: &str, resource: &str) -> usize {
        let log = self.log();
        log.iter().filter(|request| request.is(verb, resource)).count()
    }

    /// Waits until the objects or the requests show something.
    pub async fn until<T>(&self, what: &str, seen: impl Fn(&World, &[Request]) -> Option<T>) -> T {
        let found = self.within(PATIENCE, &seen).await;
        found.unwrap_or_else(|| panic!("never seen: {what}\n{}", self.told()))
    }

    /// Waits until something holds, and goes on to hold for so long.
    pub async fn settles(&self, what: &str, for_so_long: Duration, holds: impl Fn(&World) -> bool) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            self.until(what, |world, _| holds(world).then_some(())).await;
            let broken = |world: &World, _: &[Request]| (!holds(world)).then_some(());
            if self.within(for_so_long, &broken).await.is_none() {
                return;
            }
        }
        panic!("never for long: {what}\n{}", self.told());
    }

    /// Watches for something that must not come.
    pub async fn never(&self, what: &str, for_so_long: Duration, seen: impl Fn(&World, &[Request]) -> Option<()>) {
        let found = self.within(for_so_long, &seen).await;
        assert!(found.is_none(), "seen: {what}\n{}", self.told());
    }

    async fn within<T>(&self, time: Duration, seen: &impl Fn(&World, &[Request]) -> Option<T>) -> Option<T> {
        let mut pulse = self.inner.pulse.subscribe();
        let look = async {
            loop {
                pulse.borrow_and_update();
                {
                    let state = self.inner.state.lock();
                    if let Some(found) = seen(&state.world, &state.log) {
                        return found;
                    }
                }
                pulse.changed().await.expect("a server");
            }
        };
        tokio::time::timeout(time, look).await.ok()
    }

    /// The requests in a few lines, for a test that fails.
    fn told(&self) -> String {
        let log = self.log();
        let lines = log.iter().map(|request| {
            let Request {
                verb,
                resource,
                name,
                body,
                answer,
                at,
                ..
            } = request;
            format!(
                "{:>8.3?} {verb} {resource} {name} {answer:?} {body}\n",
                at.duration_since(log[0].at)
            )
        });
        lines.collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Inner ===

impl Inner {
    fn tick(&self) {
        self.pulse.send_modify(|beats| *beats += 1);
    }
}

async fn serve(State(inner): State<Arc<Inner>>, method: Method, uri: Uri, body: Bytes) -> Response<Body> {
    let Some(request) = Request::read(&method, &uri, &body) else {
        return answer(404, &status(404, "NotFound", "no such path"), None);
    };
    let (index, due) = {
        let mut state = inner.state.lock();
        state.log.push(request.clone());
        let due: Vec<Does> = state.rules.iter_mut().filter_map(|rule| rule.due(&request)).collect();
        (state.log.len() - 1, due)
    };
    inner.tick();
    for does in &due {
        if let Does::Hold(gate) = does {
            Gate::pass(gate).await;
        }
    }
    let answered = inner.answer(index, &request, &due);
    inner.tick();
    if request.verb == "watch" && answered.status() == StatusCode::OK {
        return begin_watch(&inner, &request, due.iter().any(|does| matches!(does, Does::EndAtOnce)));
    }
    answered
}

impl Inner {
    fn answer(&self, index: usize, request: &Request, due: &[Does]) -> Response<Body> {
        let mut state = self.state.lock();
        let Held { world, log, pages, .. } = &mut *state;
        for does in due {
            if let Does::SavedStatus(deed) = does {
                deed(world);
            }
        }
        let refused = due.iter().find_map(|does| match does {
            Does::Refuse(code, retry_after) => Some((*code, *retry_after)),
            _ => None,
        });
        if let Some((code, retry_after)) = refused {
            log[index].answer = Some(code);
            let reason = match code {
                403 => "Forbidden",
                409 => "Conflict",
                410 => "Expired",
                429 => "TooManyRequests",
                _ => "InternalError",
            };
            let what = format!("{} {} is refused by the script", request.verb, request.resource);
            return answer(code, &status(code, reason, &what), retry_after);
        }
        let resource = request.resource.split('/').next().unwrap_or_default();
        log[index].found = world
            .get(resource, &request.namespace, &request.name)
            .map(|object| object["metadata"]["resourceVersion"].clone())
            .unwrap_or_default();
        let (code, body) = match done(world, pages, request) {
            Ok(body) => (if request.verb == "create" { 201 } else { 200 }, body),
            Err((code, reason, message)) => (code, status(code, reason, &message)),
        };
        log[index].answer = Some(code);
        for does in due {
            if let Does::After(deed) = does {
                deed(world);
            }
        }
        if due.iter().any(|does| matches!(does, Does::LoseAnswer)) {
            let lost = stream::iter([Err::<Bytes, _>(io::Error::other("the answer is lost"))]);
            return Response::new(Body::from_stream(lost));
        }
        answer(code, &body, None)
    }
}

fn done(world: &mut World, pages: &mut Pages, request: &Request) -> Result<Value, Refusal> {
    let Request {
        namespace, name, body, ..
    } = request;
    let (resource, subresource) = request.resource.split_once('/').unwrap_or((&request.resource, ""));
    match request.verb {
        "get" => {
            let found = world.get(resource, namespace, name).cloned();
            found.ok_or_else(|| (404, "NotFound", format!("{resource} {name:?} not found")))
        }
        // Events are only logged: nobody here reads them back.
        "create" if resource == "events" => Ok(body.clone()),
        "create" => Ok(world.create(resource, body.clone())),
        "patch" => world.patch(resource, subresource, namespace, name, body),
        _ => {
            let within = Some(namespace.as_str()).filter(|namespace| !namespace.is_empty());
            let selector = request.parameter("labelSelector").unwrap_or_default();
            pages.page(request, world.version(), || {
                let found = world.list(resource, within).into_iter();
                found.filter(|object| is_selected(object, &selector)).cloned().collect()
            })
        }
    }
}

/// Only what the targets here use: `key=value` terms.
fn is_selected(object: &Value, selector: &str) -> bool {
    let labels = &object["metadata"]["labels"];
    let mut terms = selector.split(',').filter_map(|term| term.split_once('='));
    terms.all(|(key, value)| labels[key] == value)
}

pub fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message})
}

fn answer(code: u16, body: &Value, retry_after: Option<u32>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(code).expect("a code");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, "application/json".parse().expect("a type"));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
