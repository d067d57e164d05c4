//! What Curfew would have said or done after a look, each thing once, as the enforcer does.

use jiff::Timestamp;

use super::report::{Course, Event, Finding, What};
use crate::{
    deadline::{
        evaluate::Evaluation,
        messages,
        messages::{announcement, approaching},
    },
    flagger::{objects::Objects, reasons},
    rollout::{
        Clock,
        breach::Breach,
        guard::{Guard, GuardKind},
        observation::Observation,
        remedy::Remedy,
        stamp::Stamp,
        unready_pods,
    },
};

/// One look, and what there was to see.
pub struct Step<'a> {
    /// What there was.
    pub objects: Objects<'a>,
    /// What was seen of it.
    pub seen: Observation,
    /// What is known since.
    pub stamp: Stamp,
    /// What the clocks say.
    pub evaluation: Evaluation,
    /// What is to be done.
    pub remedy: Remedy,
}

/// What was printed already in the course of a rollout, beyond what the course itself holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// That a deadline approaches: whose, counted from when.
    approaching: Option<(Clock, Timestamp)>,
    /// That a breach is withheld, and why.
    withheld: Option<(Clock, GuardKind)>,
}

// === impl Step ===

impl Step<'_> {
    /// When something changes by itself.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let withheld = match &self.remedy {
            Remedy::Withhold(_, why) => why.until(),
            _ => None,
        };
        let moments = [self.evaluation.changes_at, withheld].into_iter().flatten();
        moments.filter(|moment| *moment > now).min()
    }
}

/// Notes what Curfew would have done in the course, and answers what it would have said. After its verdict it would have
/// had nothing more to say.
pub fn describe(course: &mut Course, described: &mut Described, look: &Step<'_>, now: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    if course.verdict.is_some() {
        return events;
    }
    let name = (course.namespace.clone(), course.name.clone());
    let event = |course: &Course, what| Event::new(&name, now, Some(course.offset(now)), what);
    let found = |course: &mut Course, what, breach: &Breach, reason: String, note: String| {
        let finding = Finding::new(what, breach, reason, now);
        let event = Event {
            clock: Some(breach.clock),
            deadline: Some(breach.deadline),
            note: Some(note),
            ..event(course, what)
        };
        course.note(finding);
        event
    };
    let why = |breach: &Breach| reasons::why(look.objects, breach.clock);
    let report = |course: &mut Course, breach: &Breach| {
        let why = why(breach);
        let note = messages::exceeded(breach, &why);
        (!course.has(What::WouldReport, breach.clock)).then(|| found(course, What::WouldReport, breach, why, note))
    };

    for breach in &look.evaluation.reports {
        events.extend(report(course, breach));
    }
    match &look.remedy {
        Remedy::Report(breach) => events.extend(report(course, breach)),
        Remedy::Withhold(breach, why) => {
            let is_new = described.withheld != Some((breach.clock, why.kind()));
            if is_new {
                described.withheld = Some((breach.clock, why.kind()));
                events.push(withheld(course, breach, *why, found));
            }
        }
        Remedy::RollBack(breach, _) => {
            let why = why(breach);
            let note = messages::exceeded(breach, &why);
            events.push(found(course, What::WouldRollBack, breach, why, note));
        }
        Remedy::Hold(breach) => {
            let why = reasons::held(look.objects);
            events.push(found(course, What::WouldHold, breach, why.clone(), why));
        }
        // A verdict that nobody was handed is neither confirmed nor taken back.
        Remedy::None
        | Remedy::Await(_)
        | Remedy::LastResort(_)
        | Remedy::FinishLastResort
        | Remedy::Withdraw
        | Remedy::Confirm => {}
    }
    if let Some(announced) = announcement(&look.evaluation, &look.stamp)
        && described.approaching != Some(announced)
        && let Some(pending) = look.evaluation.pending
    {
        described.approaching = Some(announced);
        let ails = unready_pods::reason(look.objects.pods.unwrap_or_default());
        events.push(Event {
            clock: Some(pending.clock),
            deadline: Some(pending.deadline),
            note: Some(approaching(pending, ails.as_deref())),
            ..event(course, What::DeadlineApproaching)
        });
    }
    events
}

fn withheld(
    course: &mut Course,
    breach: &Breach,
    why: Guard,
    found: impl Fn(&mut Course, What, &Breach, String, String) -> Event,
) -> Event {
    let reason = messages::withheld(why);
    let note = messages::exceeded(breach, &reason);
    found(course, What::WouldWithhold, breach, reason, note)
}
