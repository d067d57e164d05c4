use proptest::{collection::vec, prelude::*};

use super::*;

const ME: &str = "curfew-1_0a";
const OTHER: &str = "curfew-2_0b";

/// A moment so many seconds after the process began, on a machine whose wall clock is right.
fn at(seconds: u64) -> Moment {
    Moment {
        elapsed: Duration::from_secs(seconds),
        wall: wall(i64::try_from(seconds).expect("a second")),
    }
}

fn wall(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
}

fn held_by(holder: &str) -> Record {
    Record {
        holder: holder.to_owned(),
        duration_seconds: 15,
        transitions: 3,
        acquired: Some(wall(-100)),
        renewed: Some(wall(-1)),
    }
}

/// Begun at this moment, after so many others.
fn begun(now: u64, transitions: i32) -> Record {
    Record {
        transitions,
        acquired: Some(at(now).wall),
        renewed: Some(at(now).wall),
        ..held_by(ME)
    }
}

/// What to do at a moment about a record that has been seen unchanged since the fifth second.
fn what_to_do(record: &Record, now: u64) -> Step {
    let mut elector = Elector::new(ME.to_owned());
    let _ = elector.found(Some(record.clone()), at(5));
    elector.found(Some(record.clone()), at(now))
}

#[test]
fn a_lease_that_is_not_there_is_created() {
    let mut elector = Elector::new(ME.to_owned());
    assert_eq!(elector.found(None, at(5)), Step::Create(begun(5, 0)));
    assert!(!elector.leads(at(5)), "not before it was written");
}

#[test]
fn the_holder_is_waited_for_as_long_as_it_asked_for_and_not_longer() {
    for (duration_seconds, last, first) in [(15, 19, 20), (40, 44, 45), (1, 5, 6)] {
        let record = Record {
            duration_seconds,
            ..held_by(OTHER)
        };
        assert_eq!(what_to_do(&record, last), Step::Wait, "{duration_seconds}");
        assert_eq!(
            what_to_do(&record, first),
            Step::Take(begun(first, 4)),
            "{duration_seconds}"
        );
    }
}

#[test]
fn only_a_change_of_the_record_is_a_sign_of_life() {
    let mut elector = Elector::new(ME.to_owned());
    for now in [5, 19] {
        assert_eq!(elector.found(Some(held_by(OTHER)), at(now)), Step::Wait);
    }
    let renewed = Record {
        renewed: Some(wall(0)),
        ..held_by(OTHER)
    };
    for now in [20, 34] {
        assert_eq!(elector.found(Some(renewed.clone()), at(now)), Step::Wait);
    }
    assert_eq!(elector.found(Some(renewed), at(35)), Step::Take(begun(35, 4)));
}

#[test]
fn nobody_believes_the_clock_of_another_machine() {
    for years in [-10, 10] {
        let renewed = Some(wall(years * 365 * 86_400));
        let record = Record {
            acquired: renewed,
            renewed,
            ..held_by(OTHER)
        };
        assert_eq!(what_to_do(&record, 19), Step::Wait, "{years}");
        assert_eq!(what_to_do(&record, 20), Step::Take(begun(20, 4)), "{years}");
    }
}

#[test]
fn a_lease_that_nobody_holds_is_taken_at_once() {
    assert_eq!(what_to_do(&held_by(""), 5), Step::Take(begun(5, 4)));
    let released = held_by(OTHER).released(at(4));
    assert_eq!(
        released,
        Record {
            holder: String::new(),
            duration_seconds: 1,
            transitions: 3,
            acquired: Some(wall(4)),
            renewed: Some(wall(4)),
        }
    );
    assert_eq!(what_to_do(&released, 5), Step::Take(begun(5, 4)));
    assert_eq!(
        what_to_do(&Record::default(), 5),
        Step::Take(begun(5, 1)),
        "an empty Lease"
    );
}

#[test]
fn what_is_missing_or_absurd_in_a_lease_shortens_nothing_and_breaks_nothing() {
    for duration_seconds in [0, -1, i32::MIN] {
        let record = Record {
            duration_seconds,
            ..held_by(OTHER)
        };
        assert_eq!(what_to_do(&record, 19), Step::Wait, "{duration_seconds}");
        assert_eq!(what_to_do(&record, 20), Step::Take(begun(20, 4)), "{duration_seconds}");
    }
    let record = Record {
        duration_seconds: i32::MAX,
        ..held_by(OTHER)
    };
    assert_eq!(what_to_do(&record, 1_000_000), Step::Wait);
    let record = Record {
        transitions: i32::MAX,
        ..held_by("")
    };
    assert_eq!(what_to_do(&record, 5), Step::Take(begun(5, i32::MAX)));
    let record = Record {
        holder: ME.to_owned(),
        ..Record::default()
    };
    assert_eq!(what_to_do(&record, 5), Step::Renew(begun(5, 0)));
}

#[test]
fn a_renewal_keeps_since_when_and_how_often_and_needs_no_read() {
    let renewed = |now: u64| Record {
        renewed: Some(at(now).wall),
        ..held_by(ME)
    };
    assert_eq!(what_to_do(&held_by(ME), 7), Step::Renew(renewed(7)));
    let mut elector = Elector::new(ME.to_owned());
    elector.wrote(held_by(ME), at(5));
    assert_eq!(elector.renewal(at(7)), Some(renewed(7)));
    assert_eq!(elector.renewal(at(15)), None, "others may have it by now: read first");
    assert_eq!(elector.found(Some(held_by(ME)), at(30)), Step::Renew(renewed(30)));
    assert!(!elector.leads(at(30)), "not before it was written");
}

#[test]
fn who_cannot_renew_leads_until_the_renew_deadline_and_no_longer() {
    let mut elector = Elector::new(ME.to_owned());
    assert!(!elector.leads(at(5)));
    elector.wrote(held_by(ME), at(5));
    for (now, leads, remaining) in [
        (5, true, Some(10)),
        (14, true, Some(1)),
        (15, false, Some(0)),
        (16, false, None),
    ] {
        assert_eq!(elector.leads(at(now)), leads, "{now}");
        assert_eq!(elector.remaining(at(now)), remaining.map(Duration::from_secs), "{now}");
    }
    elector.wrote(held_by(ME), at(16));
    assert!(elector.leads(at(25)));
    elector.resign();
    assert!(!elector.leads(at(25)));
}

#[test]
fn who_finds_its_lease_taken_emptied_or_gone_leads_no_more() {
    for found in [Some(held_by(OTHER)), Some(held_by("")), None] {
        let mut elector = Elector::new(ME.to_owned());
        elector.wrote(held_by(ME), at(5));
        let _ = elector.found(found.clone(), at(6));
        assert!(!elector.leads(at(6)), "{found:?}");
        assert_eq!(elector.renewal(at(6)), None, "{found:?}");
    }
    let mut elector = Elector::new(ME.to_owned());
    elector.wrote(held_by(ME), at(5));
    let _ = elector.found(Some(held_by(ME)), at(6));
    assert!(elector.leads(at(6)), "somebody labelled it");
}

#[test]
fn who_lost_a_race_looks_again_and_waits_for_the_winner() {
    let mut elector = Elector::new(ME.to_owned());
    assert!(matches!(elector.found(None, at(5)), Step::Create(_)));
    // Its write had a conflict: nothing is noted.
    assert!(!elector.leads(at(5)));
    assert_eq!(elector.holder(), None);
    assert_eq!(elector.found(Some(held_by(OTHER)), at(7)), Step::Wait);
    assert_eq!(elector.holder(), Some(OTHER));
}

// --- two electors, one Lease ---

/// One of the electors, its machine and the request that it has under way.
struct Candidate {
    elector: Elector,
    /// How wrong its wall clock is, in seconds.
    wrong: i64,
    under_way: Option<Write>,
    /// Writes whose answers it does not wait for any more, and that may still arrive.
    stray: Vec<Write>,
}

/// A write on its way to the API server, or its answer on its way back.
struct Write {
    record: Record,
    /// The version of the Lease that it is based on.
    base: u64,
    asked: Moment,
    answer: Option<bool>,
}

#[derive(Clone, Debug)]
enum Happens {
    /// Milliseconds pass.
    Pass(u64),
    /// A candidate begins a try: renews without reading, or reads and decides.
    Try(usize),
    /// Its write reaches the API server.
    Arrive(usize),
    /// The answer reaches it.
    Answer(usize),
    /// It does not wait for the answer any more, which may be on its way, or the write.
    Abandon(usize),
    /// A write that it does not know of any more reaches the API server.
    Stray(usize),
    /// It stops to lead, and the Lease is given up at once or not at all.
    GiveUp(usize),
}

fn happenings() -> impl Strategy<Value = Vec<Happens>> {
    let who = || 0..2_usize;
    let one = prop_oneof![
        3 => (0..6_000_u64).prop_map(Happens::Pass),
        1 => (6_000..40_000_u64).prop_map(Happens::Pass),
        4 => who().prop_map(Happens::Try),
        4 => who().prop_map(Happens::Arrive),
        4 => who().prop_map(Happens::Answer),
        1 => who().prop_map(Happens::Abandon),
        1 => who().prop_map(Happens::Stray),
        1 => who().prop_map(Happens::GiveUp),
    ];
    vec(one, 1..120)
}

impl Candidate {
    fn new(name: &str, wrong: i64) -> Self {
        Self {
            elector: Elector::new(name.to_owned()),
            wrong,
            under_way: None,
            stray: Vec::new(),
        }
    }

    fn abandon(&mut self) {
        self.stray
            .extend(self.under_way.take().filter(|write| write.answer.is_none()));
    }

    fn now(&self, millis: u64) -> Moment {
        Moment {
            elapsed: Duration::from_millis(millis),
            wall: wall(self.wrong) + Duration::from_millis(millis),
        }
    }
}

/// The Lease at the API server, which counts its versions.
#[derive(Default)]
struct Server {
    lease: Option<Record>,
    version: u64,
}

impl Server {
    fn write(&mut self, record: Record, base: u64) -> bool {
        let is_current = base == self.version;
        if is_current {
            self.lease = Some(record);
            self.version += 1;
        }
        is_current
    }
}

/// Plays what happens, and answers how often somebody began to lead.
fn play(happenings: Vec<Happens>, wrong: i64) -> Result<usize, TestCaseError> {
    let mut millis = 1_000;
    let mut server = Server::default();
    let mut candidates = [Candidate::new(ME, 0), Candidate::new(OTHER, wrong)];
    let (mut led, mut beginnings) = ([false; 2], 0);
    for happens in happenings {
        match happens {
            Happens::Pass(passed) => millis += passed,
            Happens::Try(who) if candidates[who].under_way.is_none() => {
                let candidate = &mut candidates[who];
                let asked = candidate.now(millis);
                let step = candidate.elector.found(server.lease.clone(), asked);
                candidate.under_way = match step {
                    Step::Wait => None,
                    Step::Create(record) | Step::Take(record) | Step::Renew(record) => Some(Write {
                        record,
                        base: server.version,
                        asked,
                        answer: None,
                    }),
                };
            }
            Happens::Arrive(who) => {
                if let Some(write) = &mut candidates[who].under_way
                    && write.answer.is_none()
                {
                    write.answer = Some(server.write(write.record.clone(), write.base));
                }
            }
            Happens::Answer(who) => {
                if let Some(Write {
                    record,
                    asked,
                    answer: Some(true),
                    ..
                }) = candidates[who].under_way.take_if(|write| write.answer.is_some())
                {
                    candidates[who].elector.wrote(record, asked);
                }
            }
            Happens::Abandon(who) => candidates[who].abandon(),
            Happens::Stray(who) => {
                if let Some(write) = candidates[who].stray.pop() {
                    server.write(write.record, write.base);
                }
            }
            Happens::GiveUp(who) => {
                let now = candidates[who].now(millis);
                let name = [ME, OTHER][who];
                candidates[who].abandon();
                candidates[who].elector.resign();
                if let Some(record) = server.lease.clone().filter(|record| record.holder == name) {
                    let version = server.version;
                    server.write(record.released(now), version);
                }
            }
            Happens::Try(_) => {}
        }
        let leads = [0, 1].map(|who: usize| candidates[who].elector.leads(candidates[who].now(millis)));
        prop_assert!(leads != [true, true], "two leaders at {millis} ms");
        beginnings += (0..2).filter(|who| leads[*who] && !led[*who]).count();
        led = leads;
    }
    Ok(beginnings)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn there_are_never_two_leaders_whatever_is_late_lost_or_wrong(
        happenings in happenings(),
        wrong in -100_000..100_000_i64,
    ) {
        play(happenings, wrong)?;
    }
}

#[test]
fn one_leads_after_the_other() {
    let round = |who: usize| {
        [
            Happens::Try(who),
            Happens::Arrive(who),
            Happens::Answer(who),
            Happens::Pass(2_000),
        ]
    };
    let wait = |who: usize| [Happens::Try(who), Happens::Pass(2_000)];
    let mut story: Vec<_> = round(0).into();
    story.extend(round(0));
    // The first is paused; the second takes over, and the first comes back.
    story.extend((0..9).flat_map(|_| wait(1)));
    story.extend(round(1));
    story.extend(wait(0));
    story.extend(round(1));
    story.push(Happens::GiveUp(1));
    story.extend(round(0));
    assert_eq!(play(story, 0).expect("one leader"), 3);
}
