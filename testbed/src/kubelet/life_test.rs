use super::*;

fn at(seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "tests use small numbers")]
    Timestamp::from_millisecond(1_795_442_400_000 + (seconds * 1000.0) as i64).unwrap()
}

fn since_start(time: Timestamp) -> f64 {
    time.duration_since(at(0.0)).as_secs_f64()
}

fn outcome(text: &str) -> Outcome {
    text.parse().unwrap()
}

/// One letter per stage, with the restarts; a capital when the container is ready.
fn show(life: &Life) -> String {
    let stage = match life.stage {
        Stage::Unscheduled => "nowhere",
        Stage::Pulling { .. } => "pulling",
        Stage::Unconfigured => "unconfigured",
        Stage::Running { .. } if life.ready => "ready",
        Stage::Running { .. } => "running",
        Stage::Exited { .. } => "down",
    };
    format!("{stage} {}", life.restarts)
}

/// Every change from the start until `end`, as `seconds: stage restarts`, found by sleeping until the promised moment.
fn history(mut life: Life, end: f64) -> Vec<String> {
    let mut now = at(0.0).max(life.since);
    let mut said = Vec::new();
    loop {
        let next = life.advance(now);
        let now_said = format!("{}: {}", since_start(now), show(&life));
        if said
            .last()
            .is_none_or(|last: &String| last.split(": ").nth(1) != now_said.split(": ").nth(1))
        {
            said.push(now_said);
        }
        match next {
            Some(next) if next <= at(end) => {
                assert!(next > now, "the next look must be later");
                now = next;
            }
            _ => return said,
        }
    }
}

#[test]
fn outcomes_run_their_course() {
    let cases: [(&str, f64, &[&str]); 10] = [
        ("ready", 9000.0, &["0: ready 0"]),
        ("unready", 9000.0, &["0: running 0"]),
        ("pending", 9000.0, &["0: nowhere 0"]),
        ("image-pull", 9000.0, &["0: pulling 0"]),
        ("config-error", 9000.0, &["0: unconfigured 0"]),
        ("ready-after:7.5", 9000.0, &["0: running 0", "7.5: ready 0"]),
        // At once, then 10, 20, 40 … and never more than 300 seconds, after the exit.
        (
            "crash",
            800.0,
            &[
                "0: running 0",
                "1: down 0",
                "2: running 1",
                "3: down 1",
                "13: running 2",
                "14: down 2",
                "34: running 3",
                "35: down 3",
                "75: running 4",
                "76: down 4",
                "156: running 5",
                "157: down 5",
                "317: running 6",
                "318: down 6",
                "618: running 7",
                "619: down 7",
            ],
        ),
        // The incident's pods: ready again and again.
        (
            "crash-last:4",
            60.0,
            &[
                "0: ready 0",
                "4: down 0",
                "5: ready 1",
                "9: down 1",
                "19: ready 2",
                "23: down 2",
                "43: ready 3",
                "47: down 3",
            ],
        ),
        (
            "flap:3:6",
            20.0,
            &["0: ready 0", "3: down 0", "9: ready 1", "12: down 1", "18: ready 2"],
        ),
        ("oom", 4.0, &["0: running 0", "1: down 0", "2: running 1", "3: down 1"]),
    ];
    for (text, end, expected) in cases {
        assert_eq!(history(Life::new(outcome(text), at(0.0)), end), expected, "{text}");
    }
}

#[test]
fn ten_minutes_of_running_are_forgiven() {
    let seen = history(Life::new(outcome("crash-last:600"), at(0.0)), 1300.0);
    assert_eq!(
        seen,
        [
            "0: ready 0",
            "600: down 0",
            "601: ready 1",
            "1201: down 1",
            "1202: ready 2"
        ]
    );
    let seen = history(Life::new(outcome("crash-last:599"), at(0.0)), 1300.0);
    assert_eq!(
        seen,
        [
            "0: ready 0",
            "599: down 0",
            "600: ready 1",
            "1199: down 1",
            "1209: ready 2"
        ]
    );
}

#[test]
fn a_change_holds_from_that_moment() {
    // From, to, when, and what is seen at that moment and after it.
    let cases: [(&str, &str, f64, f64, &[&str]); 13] = [
        (
            "ready",
            "crash",
            30.0,
            45.0,
            &[
                "30: down 0",
                "31: running 1",
                "32: down 1",
                "42: running 2",
                "43: down 2",
            ],
        ),
        (
            "ready",
            "oom",
            30.0,
            32.5,
            &["30: down 0", "31: running 1", "32: down 1"],
        ),
        ("ready", "unready", 30.0, 99.0, &["30: running 0"]),
        ("unready", "ready", 30.0, 99.0, &["30: ready 0"]),
        ("ready", "ready-after:5", 30.0, 99.0, &["30: running 0", "35: ready 0"]),
        (
            "ready",
            "crash-last:4",
            30.0,
            40.0,
            &["30: ready 0", "34: down 0", "35: ready 1", "39: down 1"],
        ),
        (
            "ready",
            "flap:2:3",
            30.0,
            38.0,
            &["30: ready 0", "32: down 0", "35: ready 1", "37: down 1"],
        ),
        // A cure works at once, wherever the container was.
        ("crash", "ready", 5.0, 99.0, &["5: ready 2"]),
        ("image-pull", "ready", 5.0, 99.0, &["5: ready 0"]),
        ("config-error", "ready", 5.0, 99.0, &["5: ready 0"]),
        ("pending", "ready", 5.0, 99.0, &["5: ready 0"]),
        // One ailment after another leaves it where it is down.
        (
            "crash",
            "flap:2:3",
            5.0,
            16.0,
            &["5: down 1", "13: ready 2", "15: down 2"],
        ),
        ("ready", "image-pull", 5.0, 99.0, &["5: pulling 0"]),
    ];
    for (from, to, when, end, expected) in cases {
        let mut life = Life::new(outcome(from), at(0.0));
        life.change(outcome(to), at(when));
        assert_eq!(history(life, end), expected, "{from} to {to}");
    }
}

#[test]
fn the_same_outcome_again_changes_nothing() {
    for text in ["ready", "crash", "crash-last:4", "flap:3:6"] {
        let mut told = Life::new(outcome(text), at(0.0));
        let mut left = told.clone();
        told.change(outcome(text), at(7.0));
        left.advance(at(7.0));
        assert_eq!(told, left, "{text}");
    }
}

#[test]
fn looking_seldom_sees_the_same_as_looking_often() {
    for text in [
        "crash",
        "crash-last:4",
        "flap:3:6",
        "image-pull",
        "config-error",
        "ready-after:7.5",
        "oom",
    ] {
        let mut often = Life::new(outcome(text), at(0.0));
        let mut seldom = often.clone();
        for tenths in 0..9000_u32 {
            often.advance(at(f64::from(tenths) / 10.0));
        }
        seldom.advance(at(899.9));
        assert_eq!(often, seldom, "{text}");
    }
}

#[test]
fn readiness_changes_are_dated_to_their_moment() {
    let mut life = Life::new(outcome("flap:3:6"), at(0.5));
    life.advance(at(11.0));
    assert!(life.ready);
    assert_eq!(life.ready_changed, at(9.5));
    life.advance(at(14.0));
    assert!(!life.ready);
    assert_eq!(life.ready_changed, at(12.5));
    let Stage::Exited { exit, resume } = &life.stage else {
        panic!("{:?}", life.stage)
    };
    assert_eq!(
        (
            since_start(exit.started),
            since_start(exit.finished),
            since_start(*resume)
        ),
        (9.5, 12.5, 18.5)
    );
}
