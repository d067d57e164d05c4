use super::*;

fn workload(wanted: i64, available: i64) -> Workload {
    Workload {
        wanted,
        total: wanted,
        updated: wanted,
        available,
        observed: true,
        image: "app:2".to_owned(),
        ..Workload::default()
    }
}

fn scene(available: i64) -> Scene {
    Scene {
        canary: Some(Canary {
            phase: "Progressing".to_owned(),
            threshold: 2,
            deadline: 20.0,
            ..Canary::default()
        }),
        target: Some(workload(2, available)),
        primary: Some(workload(2, 2)),
        pods: BTreeMap::new(),
    }
}

fn pod(created: Seconds, ready: bool) -> TargetPod {
    TargetPod {
        created,
        ready,
        up: ready,
        image: "app:2".to_owned(),
        exits: Vec::new(),
    }
}

fn version(scene: &Scene) -> Version {
    let canary = scene.canary.clone().unwrap();
    Version::begin(&canary, scene, Some("app:2".to_owned()), 0.0)
}

/// Lets seconds pass in steps of an eighth, which add up exactly.
fn pass(version: &mut Version, scene: &Scene, from: u32, to: u32, window: Option<Seconds>) {
    for eighth in from * 8..to * 8 {
        version.pass(scene, f64::from(eighth) / 8.0, 0.125, window);
    }
}

#[test]
fn the_target_stands_as_flagger_and_the_exceptions_say() {
    let stands = |change: &dyn Fn(&mut Scene)| {
        let mut scene = scene(2);
        change(&mut scene);
        scene.standing(2, 30.0)
    };
    let target = |scene: &mut Scene, change: &dyn Fn(&mut Workload)| change(scene.target.as_mut().unwrap());
    let canary = |scene: &mut Scene, change: &dyn Fn(&mut Canary)| change(scene.canary.as_mut().unwrap());
    for (what, expected, change) in [
        (
            "all available",
            Standing::Ready,
            Box::new(|_: &mut Scene| ()) as Box<dyn Fn(&mut Scene)>,
        ),
        (
            "one is not",
            Standing::Unready,
            Box::new(|scene| target(scene, &|it| it.available = 1)),
        ),
        (
            "one is not updated",
            Standing::Unready,
            Box::new(|scene| target(scene, &|it| it.updated = 1)),
        ),
        (
            "an old one is there",
            Standing::Unready,
            Box::new(|scene| target(scene, &|it| it.total = 3)),
        ),
        (
            "none of none",
            Standing::Unready,
            Box::new(|scene| scene.target = Some(workload(0, 0))),
        ),
        (
            "not looked at",
            Standing::Frozen,
            Box::new(|scene| target(scene, &|it| it.observed = false)),
        ),
        (
            "the primary is unready",
            Standing::Frozen,
            Box::new(|scene| scene.primary = Some(workload(2, 1))),
        ),
        (
            "suspended",
            Standing::Frozen,
            Box::new(|scene| canary(scene, &|it| it.suspended = true)),
        ),
        (
            "being deleted",
            Standing::Frozen,
            Box::new(|scene| canary(scene, &|it| it.leaving = true)),
        ),
        (
            "promoting",
            Standing::Frozen,
            Box::new(|scene| canary(scene, &|it| it.phase = "Promoting".to_owned())),
        ),
        (
            "the target is gone",
            Standing::Frozen,
            Box::new(|scene| scene.target = None),
        ),
    ] {
        assert_eq!(stands(&change), expected, "{what}");
    }
}

#[test]
fn growing_is_excused_until_a_pod_is_as_old_as_the_deadline() {
    let mut growing = scene(2);
    growing.target = Some(workload(3, 2));
    growing.pods.insert("web-c".to_owned(), pod(15.0, false));
    assert_eq!(growing.standing(2, 34.9), Standing::Growing);
    assert_eq!(growing.standing(2, 35.0), Standing::Unready);
    // Fewer than were wanted are available: something fails.
    growing.target = Some(workload(3, 1));
    assert_eq!(growing.standing(2, 20.0), Standing::Unready);
}

#[test]
fn growing_may_count_for_one_who_did_not_see_how_many_were_wanted_at_first() {
    let mut growing = scene(2);
    growing.target = Some(workload(3, 2));
    growing.pods.insert("web-c".to_owned(), pod(4.0, false));
    for (hindered_until, most) in [(0, 0.0), (2, 8.0)] {
        let mut version = version(&scene(2));
        pass(&mut version, &scene(2), 0, hindered_until, Some(0.0));
        pass(&mut version, &scene(2), hindered_until, 4, None);
        pass(&mut version, &growing, 4, 12, None);
        assert_eq!(
            (version.least, version.most),
            (0.0, most),
            "hindered until {hindered_until}"
        );
        assert_eq!(version.has_spent(8.0), most > 0.0);
    }
}

#[test]
fn unready_time_counts_and_ready_time_pays_back_a_quarter() {
    let (unready, ready) = (scene(1), scene(2));
    let mut version = version(&unready);
    pass(&mut version, &unready, 0, 12, None);
    assert_eq!((version.least, version.most), (12.0, 12.0));
    pass(&mut version, &ready, 12, 20, None);
    assert_eq!((version.least, version.most), (10.0, 10.0));
    assert!(!version.has_spent(10.0), "ready time breaches nothing");
    pass(&mut version, &unready, 20, 30, None);
    assert!(version.has_spent(20.0) && version.must_have_spent(20.0));
    assert!(!version.has_spent(20.1));
}

#[test]
fn only_structural_progress_empties_the_account() {
    let unready = scene(1);
    let mut version = version(&unready);
    pass(&mut version, &unready, 0, 12, None);
    let mut canary = unready.canary.clone().unwrap();
    canary.failed_checks = 1;
    assert!(!version.see_canary(&canary, &unready, 12.0));
    canary.iterations = 1;
    assert!(version.see_canary(&canary, &unready, 12.0));
    assert_eq!((version.least, version.most), (0.0, 0.0));
    // The same again, and less, is none; nor is what is made on a target that wants none.
    assert!(!version.see_canary(&canary, &unready, 13.0));
    let empty = Scene {
        target: Some(workload(0, 0)),
        ..scene(0)
    };
    canary.iterations = 2;
    assert!(!version.see_canary(&canary, &empty, 14.0));
}

#[test]
fn what_changes_while_something_hinders_need_not_have_been_seen() {
    let (unready, ready) = (scene(1), scene(2));
    let mut flapping = version(&unready);
    pass(&mut flapping, &unready, 0, 8, None);
    pass(&mut flapping, &unready, 8, 12, Some(8.0));
    pass(&mut flapping, &ready, 12, 16, Some(8.0));
    pass(&mut flapping, &unready, 16, 20, Some(8.0));
    assert_eq!((flapping.least, flapping.most), (5.0, 15.0));
    // What was so before and is still so afterwards, was so all the time.
    let mut steady = version(&unready);
    pass(&mut steady, &unready, 0, 8, None);
    pass(&mut steady, &unready, 8, 20, Some(8.0));
    assert_eq!((steady.least, steady.most), (20.0, 20.0));
}

#[test]
fn the_third_failure_of_a_container_that_was_up_is_too_many() {
    let ready = scene(2);
    let mut version = version(&ready);
    let with = |up: bool, exits: &[Seconds]| TargetPod {
        up,
        exits: exits.to_vec(),
        ..pod(0.0, up)
    };
    version.see_pod("web-a", &with(true, &[]), false, 0.0);
    pass(&mut version, &ready, 0, 4, None);
    version.see_pod("web-a", &with(false, &[4.0]), false, 4.0);
    version.see_pod("web-a", &with(true, &[4.0]), false, 5.0);
    version.see_pod("web-a", &with(false, &[4.0, 9.0]), false, 9.0);
    assert!(!version.has_crashed());
    version.see_pod("web-a", &with(false, &[9.0, 14.0]), false, 14.0);
    assert!(version.has_crashed());
    // Whoever lists pods when the target changes has yet to find out.
    assert!(!version.must_have_crashed());
    version.see_target(&workload(2, 1));
    assert!(version.must_have_crashed());
    version.restart();
    assert!(version.has_crashed() && !version.must_have_crashed());
}

#[test]
fn containers_that_never_were_up_and_those_of_another_version_do_not_count() {
    let ready = scene(2);
    let mut version = version(&ready);
    let exits = |image: &str| TargetPod {
        image: image.to_owned(),
        exits: vec![4.0, 9.0, 14.0],
        ..pod(0.0, false)
    };
    version.see_pod("web-a", &exits("app:2"), false, 14.0);
    assert!(!version.has_crashed());
    let old = TargetPod {
        up: true,
        ..exits("app:1")
    };
    version.see_pod("web-b", &old, false, 14.0);
    assert!(!version.has_crashed());
}
