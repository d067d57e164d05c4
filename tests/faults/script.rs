//! The script: what happens around the requests that match.

use std::{ops::Range, sync::Arc};

use tokio::sync::Semaphore;

use super::{request::Request, world::World};

/// What happens around requests of one kind.
#[derive(Clone)]
pub struct Rule {
    verb: &'static str,
    resource: &'static str,
    name: Option<String>,
    /// Which of the requests that match, counted from the first after the rule was given.
    which: Range<usize>,
    seen: usize,
    does: Does,
}

/// What happens.
#[derive(Clone)]
pub enum Does {
    /// It is refused with this code, and nothing is done; with how many seconds to wait before the next.
    Refuse(u16, Option<u32>),
    /// It is done, and the connection ends before anybody hears of it.
    LoseAnswer,
    /// Something else happens first.
    SavedStatus(Deed),
    /// Something else happens right after it.
    After(Deed),
    /// It waits until it is let go; then it is done.
    Hold(Gate),
    /// A watch ends before it said anything.
    EndAtOnce,
}

/// Something that somebody else does.
pub type Deed = Arc<dyn Fn(&mut World) + Send + Sync>;

/// Where requests wait.
#[derive(Clone)]
pub struct Gate(Arc<Semaphore>);

/// Requests of a verb on a resource, named like `canaries/status`; `*` is any.
pub fn on(verb: &'static str, resource: &'static str) -> Rule {
    Rule {
        verb,
        resource,
        name: None,
        which: 0..usize::MAX,
        seen: 0,
        does: Does::Refuse(500, None),
    }
}

// === impl Rule ===

impl Rule {
    /// Not so many of the first ones.
    pub fn from(self, skipped: usize) -> Self {
        Self {
            which: skipped..self.which.end,
            ..self
        }
    }

    /// Only the next of them.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Only the next so many.
    pub fn times(self, count: usize) -> Self {
        Self {
            which: self.which.start..self.which.start + count,
            ..self
        }
    }

    /// Only on the object of this name.
    pub fn named(self, name: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
            ..self
        }
    }

    pub fn refuse(self, code: u16) -> Self {
        self.does(Does::Refuse(code, None))
    }

    pub fn retry_after(self, seconds: u32) -> Self {
        self.does(Does::Refuse(429, Some(seconds)))
    }

    pub fn lose_answer(self) -> Self {
        self.does(Does::LoseAnswer)
    }

    pub fn before(self, deed: impl Fn(&mut World) + Send + Sync + 'static) -> Self {
        self.does(Does::SavedStatus(Arc::new(deed)))
    }

    pub fn after(self, deed: impl Fn(&mut World) + Send + Sync + 'static) -> Self {
        self.does(Does::After(Arc::new(deed)))
    }

    pub fn hold(self, gate: &Gate) -> Self {
        self.does(Does::Hold(gate.clone()))
    }

    pub fn end_at_once(self) -> Self {
        self.does(Does::EndAtOnce)
    }

    fn does(self, does: Does) -> Self {
        Self { does, ..self }
    }

    /// What happens to this request, if the rule is about it.
    pub fn due(&mut self, request: &Request) -> Option<Does> {
        let is = |wanted: &str, found: &str| wanted == "*" || wanted == found;
        let named = self.name.as_ref().is_none_or(|name| *name == request.name);
        if !(named && is(self.verb, request.verb) && is(self.resource, &request.resource)) {
            return None;
        }
        self.seen += 1;
        self.which.contains(&(self.seen - 1)).then(|| self.does.clone())
    }
}

// === impl Gate ===

impl Gate {
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets everybody go, now and later.
    pub fn open(&self) {
        self.0.add_permits(10_000);
    }

    pub async fn pass(&self) {
        let _ = self.0.acquire().await;
    }
}
