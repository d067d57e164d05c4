use super::*;
use crate::soak::facts::{TargetPod, Workload};

/// A rollout with two pods and a deadline of 20 s that begins at 10 s.
struct Film(Vec<Seen>);

fn canary() -> Canary {
    Canary {
        uid: "u".to_owned(),
        phase: "Progressing".to_owned(),
        rollout: "r".to_owned(),
        applied: "a".to_owned(),
        threshold: 2,
        deadline: 20.0,
        ..Canary::default()
    }
}

fn workload(available: i64) -> Workload {
    Workload {
        wanted: 2,
        total: 2,
        updated: 2,
        available,
        observed: true,
        image: "app:2".to_owned(),
        ..Workload::default()
    }
}

fn condemned(available: i64) -> Workload {
    Workload {
        exceeded: true,
        by_curfew: true,
        ..workload(available)
    }
}

impl Film {
    fn new(available: i64) -> Self {
        let primary = workload(2);
        Self(Vec::new())
            .at(0.0, Fact::Primary(primary))
            .at(0.0, Fact::Target(workload(available)))
            .canary(10.0, |_| ())
    }

    fn at(mut self, at: Seconds, fact: Fact) -> Self {
        self.0.push(Seen { at, fact });
        self
    }

    fn canary(self, at: Seconds, change: impl Fn(&mut Canary)) -> Self {
        let mut canary = canary();
        change(&mut canary);
        self.at(at, Fact::Canary(canary))
    }

    fn target(self, at: Seconds, available: i64) -> Self {
        self.at(at, Fact::Target(workload(available)))
    }

    fn verdict(self, at: Seconds, available: i64) -> Self {
        self.at(at, Fact::Target(condemned(available)))
    }

    fn failed(self, at: Seconds) -> Self {
        self.canary(at, |canary| {
            canary.phase = "Failed".to_owned();
            canary.verdict = "readiness rollback requested".to_owned();
        })
    }

    fn check(&self, faults: &[Fault], end: Seconds) -> Conduct {
        check(&self.0, faults, end)
    }

    fn wrongs(&self, faults: &[Fault], end: Seconds) -> Vec<Wrong> {
        self.check(faults, end)
            .violations
            .iter()
            .map(|violation| violation.what)
            .collect()
    }
}

fn fault(kind: Kind, start: Seconds, end: Seconds) -> Fault {
    Fault { kind, start, end }
}

#[test]
fn a_verdict_at_its_deadline_is_right() {
    let conduct = Film::new(1).verdict(30.1, 1).failed(38.0).check(&[], 60.0);
    assert_eq!(conduct.violations, []);
    assert_eq!(conduct.undecided, Vec::<String>::new());
    assert_eq!((conduct.begun, conduct.by_curfew["readiness"]), (1, 1));
    assert!(conduct.lateness[0] < 0.2, "{:?}", conduct.lateness);
}

#[test]
fn a_verdict_before_its_deadline_is_wrong() {
    let film = Film::new(1).verdict(25.0, 1).failed(38.0);
    assert_eq!(film.wrongs(&[], 60.0), [Wrong::Unfounded]);
    // No fault excuses it.
    let faults = [
        fault(Kind::CurfewKilled, 12.0, 14.0),
        fault(Kind::NetworkCut, 20.0, 24.0),
    ];
    assert_eq!(film.wrongs(&faults, 60.0), [Wrong::Unfounded]);
    // So is one on a target that is fine, whichever way it is handed over.
    let healthy = Film::new(2)
        .canary(25.0, |canary| canary.failed_checks = 2)
        .failed(38.0);
    assert_eq!(healthy.wrongs(&[], 60.0), [Wrong::Unfounded]);
}

#[test]
fn within_the_rounding_of_a_second_it_is_undecided() {
    let conduct = Film::new(1).verdict(29.4, 1).failed(38.0).check(&[], 60.0);
    assert_eq!((conduct.violations.len(), conduct.undecided.len()), (0, 1));
}

#[test]
fn a_breach_without_a_verdict_is_missed() {
    let film = Film::new(1);
    assert_eq!(film.wrongs(&[], 60.0), [Wrong::Missed]);
    // However it goes on.
    let promoted = Film::new(1)
        .target(50.0, 2)
        .canary(55.0, |canary| canary.phase = "Promoting".to_owned());
    assert_eq!(promoted.wrongs(&[], 60.0), [Wrong::Missed]);
    let advanced = Film::new(1)
        .target(50.0, 2)
        .canary(55.0, |canary| canary.iterations = 1);
    assert_eq!(advanced.wrongs(&[], 60.0), [Wrong::Missed]);
    assert_eq!(film.wrongs(&[], 31.5), []);
}

#[test]
fn a_verdict_more_than_two_seconds_after_its_deadline_is_late() {
    assert_eq!(Film::new(1).verdict(31.9, 1).failed(38.0).wrongs(&[], 60.0), []);
    let conduct = Film::new(1).verdict(32.3, 1).failed(38.0).check(&[], 60.0);
    assert_eq!(conduct.violations[0].what, Wrong::Late);
    assert!(
        conduct.violations[0].why.starts_with("a verdict 2.3 s"),
        "{:?}",
        conduct.violations
    );
}

#[test]
fn a_fault_excuses_as_long_as_it_lasted_and_no_longer() {
    let faults = [fault(Kind::NetworkCut, 28.0, 33.0)];
    assert_eq!(Film::new(1).verdict(36.8, 1).failed(38.0).wrongs(&faults, 60.0), []);
    let later = Film::new(1).verdict(37.3, 1).failed(48.0);
    assert_eq!(later.wrongs(&faults, 60.0), [Wrong::Late]);
    // What does not hinder Curfew is no excuse for it.
    let faults = [fault(Kind::FlaggerRestarted, 28.0, 33.0)];
    assert_eq!(
        Film::new(1).verdict(36.0, 1).failed(48.0).wrongs(&faults, 60.0),
        [Wrong::Late]
    );
}

#[test]
fn time_in_which_nobody_led_does_not_count_if_the_canary_was_edited_meanwhile() {
    let faults = [fault(Kind::CurfewKilled, 25.0, 26.0)];
    let late = Film::new(1).verdict(56.0, 1).failed(60.0);
    assert_eq!(late.wrongs(&faults, 80.0), [Wrong::Late]);
    let edited = Film::new(1).canary(27.0, |canary| canary.deadline = 21.0);
    let edited = edited.verdict(56.0, 1).failed(60.0);
    assert_eq!(edited.wrongs(&faults, 80.0), []);
}

#[test]
fn ready_time_postpones_the_deadline_by_a_quarter() {
    // 10 s unready, 8 s ready, which leave 8: the deadline is 12 s later, at 40.
    let film = || Film::new(1).target(20.0, 2).target(28.0, 1);
    assert_eq!(film().verdict(40.3, 1).failed(45.0).wrongs(&[], 60.0), []);
    assert_eq!(
        film().verdict(37.0, 1).failed(45.0).wrongs(&[], 60.0),
        [Wrong::Unfounded]
    );
    assert_eq!(film().verdict(43.0, 1).failed(45.0).wrongs(&[], 60.0), [Wrong::Late]);
}

#[test]
fn progress_and_longer_deadlines_postpone_it_and_shorter_ones_bring_it() {
    let advanced = || Film::new(1).canary(25.0, |canary| canary.iterations = 1);
    assert_eq!(advanced().verdict(30.2, 1).wrongs(&[], 31.0), [Wrong::Unfounded]);
    assert_eq!(advanced().verdict(45.2, 1).wrongs(&[], 46.0), []);
    let longer = || Film::new(1).canary(25.0, |canary| canary.deadline = 30.0);
    assert_eq!(longer().verdict(30.2, 1).wrongs(&[], 31.0), [Wrong::Unfounded]);
    assert_eq!(longer().verdict(40.2, 1).wrongs(&[], 41.0), []);
    let shorter = || Film::new(1).canary(25.0, |canary| canary.deadline = 10.0);
    assert_eq!(shorter().verdict(25.2, 1).wrongs(&[], 26.0), []);
    assert_eq!(shorter().wrongs(&[], 29.0), [Wrong::Missed]);
}

#[test]
fn a_suspended_canary_owes_nothing_and_is_left_alone() {
    let held = || Film::new(1).canary(25.0, |canary| canary.suspended = true);
    assert_eq!(held().wrongs(&[], 80.0), []);
    let acted_on = held().verdict(40.0, 1).wrongs(&[], 41.0);
    assert_eq!(acted_on, [Wrong::Unfounded, Wrong::Forbidden]);
}

#[test]
fn a_verdict_in_another_phase_is_forbidden() {
    let promoting = Film::new(2)
        .canary(20.0, |canary| canary.phase = "Promoting".to_owned())
        .verdict(25.0, 2);
    assert_eq!(promoting.wrongs(&[], 30.0), [Wrong::Forbidden]);
}

#[test]
fn a_fix_that_was_pushed_is_waited_for() {
    let fix = |by_curfew| {
        Fact::Target(Workload {
            image: "app:3".to_owned(),
            exceeded: by_curfew,
            by_curfew,
            ..workload(1)
        })
    };
    let pushed = || Film::new(1).at(28.0, fix(false));
    assert_eq!(pushed().wrongs(&[], 40.0), []);
    assert_eq!(pushed().at(30.5, fix(true)).wrongs(&[], 31.0), [Wrong::Unfounded]);
}

#[test]
fn a_fix_is_not_failed_by_the_verdict_on_what_it_fixes() {
    let fixed = || {
        Film::new(1)
            .verdict(30.1, 1)
            .at(
                31.0,
                Fact::Target(Workload {
                    image: "app:3".to_owned(),
                    ..condemned(1)
                }),
            )
            .canary(35.0, |canary| canary.applied = "b".to_owned())
    };
    let fails = |film: Film| {
        film.canary(45.0, |canary| {
            canary.applied = "b".to_owned();
            canary.phase = "Failed".to_owned();
        })
    };
    assert_eq!(fails(fixed()).wrongs(&[], 60.0), [Wrong::Unfounded]);
    let taken_back = fixed().at(
        35.2,
        Fact::Target(Workload {
            image: "app:3".to_owned(),
            ..workload(1)
        }),
    );
    let conduct = fails(taken_back).check(&[], 60.0);
    assert_eq!(
        (conduct.violations, conduct.by_flagger, conduct.replaced),
        (vec![], 1, 1)
    );
}

#[test]
fn a_rollout_that_goes_on_after_its_verdict_is_told() {
    let film = Film::new(1).verdict(30.1, 1);
    assert_eq!(film.wrongs(&[], 60.0), []);
    assert_eq!(film.wrongs(&[], 90.0), [Wrong::NotRolledBack]);
    assert_eq!(film.wrongs(&[fault(Kind::FlaggerRestarted, 31.0, 55.0)], 90.0), []);
}

#[test]
fn the_third_crash_is_a_breach_and_is_to_be_seen_by_whoever_looks_at_pods() {
    let pod = |up, exits: &[Seconds]| {
        let pod = TargetPod {
            up,
            ready: up,
            image: "app:2".to_owned(),
            exits: exits.to_vec(),
            ..TargetPod::default()
        };
        Fact::Pod("web-a".to_owned(), pod)
    };
    let crashing = || {
        Film::new(2)
            .at(11.0, pod(true, &[]))
            .at(15.0, pod(false, &[15.0]))
            .at(16.0, pod(true, &[15.0]))
            .at(20.0, pod(false, &[15.0, 20.0]))
            .at(21.0, pod(true, &[20.0]))
            .at(25.0, pod(false, &[20.0, 25.0]))
            .target(25.1, 1)
    };
    assert_eq!(crashing().verdict(26.0, 1).failed(30.0).wrongs(&[], 40.0), []);
    assert_eq!(
        crashing().verdict(29.5, 1).failed(32.0).wrongs(&[], 40.0),
        [Wrong::Late]
    );
    assert_eq!(crashing().wrongs(&[], 40.0), [Wrong::Missed]);
    // One that was restarted in between does not know of the first two.
    let restarted = [fault(Kind::CurfewRestarted, 21.0, 22.0)];
    assert_eq!(crashing().wrongs(&restarted, 32.0), []);
    let early = Film::new(2)
        .at(11.0, pod(true, &[]))
        .at(15.0, pod(false, &[15.0]))
        .verdict(16.0, 2);
    assert_eq!(early.wrongs(&[], 20.0), [Wrong::Unfounded]);
}
