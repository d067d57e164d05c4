//! Letting time pass over a recording: at every change, and at every moment at which the evaluation wants to look again,
//! the pure functions are asked as the enforcer asks them.
//!
//! Nothing is ever done: after the moment at which Curfew would have handed over its verdict, the recording goes on without
//! it. So of each rollout the first verdict is reported, and after that only what Flagger did.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    coverage::Coverage,
    describe::{Described, Step, describe},
    objects::{Kind, Name},
    recorded_cluster::{CanaryObjects, RecordedCluster},
    recording::Recording,
    report::{Course, CourseKind, End, Event, Report, Summary, What, seconds_between},
};
use crate::{
    deadline::{Conditions, Inputs, evaluate, limits::Limits, remedy},
    flagger::{objects::Objects, observe},
    policy::Policies,
    rollout::{Clock, Stage, observation::Observation, stamp::Stamp},
};

/// Replays a recording under some policies.
#[must_use]
pub fn replay(recording: Recording, policies: &Policies) -> Report {
    let Recording {
        changes,
        pods_in,
        coverage,
        has_signs,
        objects,
        ignored,
        canaries,
        notes,
    } = recording;
    let to = coverage.last();
    let mut player = Player {
        policies,
        coverage,
        has_signs,
        cluster: RecordedCluster::new(pods_in),
        followed: BTreeMap::new(),
        due: BTreeSet::new(),
        courses: Vec::new(),
        events: Vec::new(),
    };
    // What carries no time was there before everything that does.
    let from = changes.iter().map(|change| change.at).find(|at| *at > Timestamp::MIN);
    let mut touched = BTreeSet::new();
    let mut changes = changes.into_iter().peekable();
    while let Some(change) = changes.next() {
        let (at, before) = (change.at, change.before);
        player.until(at, false);
        if change.key.kind == Kind::Canary && change.state.is_none() {
            player.gone(&(change.key.namespace.clone(), change.key.name.clone()), at);
        }
        touched.extend(player.cluster.apply(change));
        // What was there when the recording began was there at once.
        if !changes
            .peek()
            .is_some_and(|next| before && next.before && next.at == at)
        {
            for name in std::mem::take(&mut touched) {
                player.look(&name, at);
            }
        }
    }
    if let Some(to) = to {
        player.until(to, true);
        player.over();
    }
    let Player { courses, events, .. } = player;
    let breaches = courses
        .iter()
        .map(|course| course.reports.len() + usize::from(course.verdict.is_some()))
        .sum();
    Report {
        api_version: Report::version(),
        kind: Report::KIND,
        summary: Summary {
            objects,
            ignored,
            canaries,
            rollouts: courses.len(),
            unjudged: courses.iter().filter(|course| !course.judged).count(),
            breaches,
            from,
            to,
        },
        notes,
        rollouts: courses,
        events,
    }
}

struct Player<'a> {
    policies: &'a Policies,
    /// Until when there is anything to look at.
    coverage: Coverage,
    /// Whether there is anything to read the silence clock from.
    has_signs: bool,
    cluster: RecordedCluster,
    followed: BTreeMap<Name, Followed>,
    /// When to look at which Canary again.
    due: BTreeSet<(Timestamp, Name)>,
    courses: Vec<Course>,
    events: Vec<Event>,
}

/// What is known of a Canary.
#[derive(Default)]
struct Followed {
    uid: Option<String>,
    stamp: Stamp,
    phase: Option<String>,
    next: Option<Timestamp>,
    course: Option<Following>,
}

/// The course that a Canary is on.
struct Following {
    index: usize,
    identity: Identity,
    described: Described,
}

/// What tells courses apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    Initialization,
    /// A rollout by its start, and a revision by its own.
    Rollout(Timestamp, Timestamp),
}

// === impl Player ===

impl Player<'_> {
    /// Lets time pass until a moment, looking where that was asked for; at that moment itself too, if so wanted.
    fn until(&mut self, end: Timestamp, inclusive: bool) {
        let is_due = |(at, _): &&(Timestamp, Name)| *at < end || inclusive && *at == end;
        while let Some((at, name)) = self.due.first().filter(is_due).cloned() {
            self.due.pop_first();
            self.look(&name, at);
        }
    }

    /// The Canary was deleted.
    fn gone(&mut self, name: &Name, at: Timestamp) {
        let Some(followed) = self.followed.remove(name) else {
            return;
        };
        if let Some(next) = followed.next {
            self.due.remove(&(next, name.clone()));
        }
        let course = (followed.course.as_ref()).and_then(|course| self.courses.get_mut(course.index));
        let offset = course.as_ref().map(|course| course.offset(at));
        if let Some(course) = course {
            end(course, at, "deleted");
        }
        self.events.push(Event::new(name, at, offset, What::Deleted));
    }

    /// The recording is over.
    fn over(&mut self) {
        for course in self.courses.iter_mut().filter(|course| course.end.is_none()) {
            let verdict = course.verdict.as_ref();
            course.earlier_seconds = verdict.map(|verdict| seconds_between(verdict.at, course.recorded_until));
        }
    }

    /// Looks at a Canary, while there is anything to know about it.
    fn look(&mut self, name: &Name, now: Timestamp) {
        if self.coverage.end(name).is_none_or(|end| end < now) {
            return;
        }
        let Some(canary) = self.cluster.objects_of(name) else {
            return;
        };
        let Some(objects) = canary.objects() else { return };
        if self
            .followed
            .get(name)
            .is_some_and(|it| it.uid != objects.canary.metadata.uid)
        {
            // Another one of the same name.
            self.gone(name, now);
        }
        let mut followed = self.followed.remove(name).unwrap_or_else(|| Followed {
            uid: objects.canary.metadata.uid.clone(),
            ..Followed::default()
        });
        if let Some(next) = followed.next.take() {
            self.due.remove(&(next, name.clone()));
        }
        let limits = self.limits(&canary, objects, now);
        let look = look(objects, &followed.stamp, &limits, now);
        self.follow(&mut followed, name, &look, now);
        if let Some(following) = &mut followed.course
            && let Some(course) = self.courses.get_mut(following.index)
        {
            self.events
                .extend(describe(course, &mut following.described, &look, now));
        }
        followed.next = look.next(now);
        if let Some(next) = followed.next {
            self.due.insert((next, name.clone()));
        }
        followed.stamp = look.stamp;
        self.followed.insert(name.clone(), followed);
    }

    fn limits(&self, canary: &CanaryObjects, objects: Objects<'_>, now: Timestamp) -> Limits {
        let mut limits = Limits::in_force(objects.canary, &canary.namespace_labels, self.policies, now);
        // While its target is not ready, Events are all that Flagger writes: without them nothing is known.
        if !self.has_signs {
            limits = limits.without(Clock::SILENCE);
        }
        limits
    }

    /// Keeps the book about phases and courses.
    fn follow(&mut self, followed: &mut Followed, name: &Name, look: &Step<'_>, now: Timestamp) {
        let phase = look.seen.phase.clone();
        let identity = identity(&look.seen, &look.stamp);
        let known = followed.course.as_ref().map(|course| course.identity);
        let mut offset = None;
        if known != identity {
            if let Some(course) = followed.course.take().and_then(|it| self.courses.get_mut(it.index)) {
                offset = Some(course.offset(now));
                let moved_on = followed.phase.as_ref() != Some(&phase);
                end(course, now, if moved_on { phase.as_str() } else { "another revision" });
            }
            followed.course = identity.map(|identity| {
                let recorded_until = self.coverage.end(name).unwrap_or(now);
                self.courses.push(Course {
                    judged: self.coverage.is_judged(name),
                    ..course(name, look, identity, now, recorded_until)
                });
                Following {
                    index: self.courses.len() - 1,
                    identity,
                    described: Described::default(),
                }
            });
        }
        if followed.phase.as_ref() != Some(&phase) {
            let course = followed.course.as_ref().and_then(|it| self.courses.get(it.index));
            let offset = course.map(|course| course.offset(now)).or(offset);
            self.events.push(Event {
                phase: Some(phase.clone()),
                ..Event::new(name, now, offset, What::Phase)
            });
            followed.phase = Some(phase);
        }
    }
}

/// Looks as the enforcer does.
fn look<'a>(objects: Objects<'a>, before: &Stamp, limits: &Limits, now: Timestamp) -> Step<'a> {
    let mut before = before.clone();
    if let Some(rollout) = &mut before.rollout {
        // The enforcer looks at a running rollout once a minute at least. Between two changes those looks find nothing new.
        rollout.observed_at = now;
    }
    let (seen, stamp) = observe(objects, &before, now);
    // A recording says nothing of what a Curfew would have seen of the API server.
    let inputs = Inputs {
        observation: &seen,
        limits,
        conditions: Conditions::default(),
    };
    let evaluation = evaluate(&inputs, &stamp, now);
    let remedy = remedy(&evaluation, &inputs, &stamp, now);
    Step {
        objects,
        seen,
        stamp,
        evaluation,
        remedy,
    }
}

fn identity(seen: &Observation, stamp: &Stamp) -> Option<Identity> {
    match (seen.stage, &stamp.rollout) {
        (Stage::Initializing, _) => Some(Identity::Initialization),
        (_, Some(rollout)) if seen.running => Some(Identity::Rollout(rollout.promoted_since, rollout.revision_since)),
        _ => None,
    }
}

fn course(
    (namespace, name): &Name,
    look: &Step<'_>,
    identity: Identity,
    now: Timestamp,
    recorded_until: Timestamp,
) -> Course {
    let created = look
        .objects
        .canary
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0);
    let rollout = look.stamp.rollout.as_ref();
    let (kind, started_at) = match identity {
        Identity::Initialization => (CourseKind::Initialization, created),
        Identity::Rollout(..) => (CourseKind::Rollout, rollout.map(|rollout| rollout.started_at)),
    };
    Course {
        namespace: namespace.clone(),
        name: name.clone(),
        kind,
        started_at: started_at.unwrap_or(now).min(now),
        revision: rollout
            .filter(|_| kind == CourseKind::Rollout)
            .map(|rollout| rollout.revision.to_string()),
        judged: true,
        verdict: None,
        reports: Vec::new(),
        end: None,
        recorded_until,
        earlier_seconds: None,
    }
}

fn end(course: &mut Course, at: Timestamp, how: &str) {
    let verdict = course.verdict.as_ref();
    course.earlier_seconds = verdict.map(|verdict| seconds_between(verdict.at, at));
    course.end = Some(End {
        at,
        how: how.to_owned(),
    });
}
