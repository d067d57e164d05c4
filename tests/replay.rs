//! `curfew replay` on the recordings of `tests/corpus/timelines`: the verdict comes at the second at which it would have.
//!
//! What is printed is compared with what was printed before (`CURFEW_UPDATE_GOLDEN=1` writes it anew), and the second of
//! each verdict with one that is worked out here from the recorded facts alone.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says why and ends"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

const WITHOUT_CRASHES: &str = "without-crashes.yaml";

fn corpus(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/corpus/timelines", name]
        .iter()
        .collect()
}

/// Replays a recording that comes through a pipe.
fn replay(recording: &str, args: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_curfew"))
        .args(["replay", "-"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let recording = recording.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(recording.as_bytes())));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("it was written");
    output
}

fn recording(name: &str) -> String {
    fs::read_to_string(corpus(&format!("{name}.jsonl"))).expect("a recording")
}

fn policy(name: &str) -> Vec<String> {
    vec!["--policy".to_owned(), corpus(name).display().to_string()]
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

/// The report on a recording under a policy.
fn report(recording: &str, policy: &[String]) -> Value {
    let mut args = vec!["-o", "json"];
    args.extend(policy.iter().map(String::as_str));
    let output = replay(recording, &args);
    let said = text(output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The one verdict of a report.
fn verdict(report: &Value) -> &Value {
    let rollouts = report["rollouts"].as_array().expect("rollouts");
    let verdicts: Vec<_> = rollouts
        .iter()
        .map(|rollout| &rollout["verdict"])
        .filter(|verdict| verdict.is_object())
        .collect();
    assert_eq!(verdicts.len(), 1, "{report:#}");
    verdicts[0]
}

fn time(value: &Value) -> Timestamp {
    value.as_str().expect("a time").parse().expect("a time")
}

/// A moment as the report has it.
fn rounded_up(at: Timestamp) -> Timestamp {
    let second = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
    Timestamp::from_second(second).expect("a time")
}

// === the facts, worked out from the recordings ===

/// The lines of a recording: when each was heard, and the object.
fn lines(recording: &str) -> Vec<(Timestamp, Value)> {
    let lines = recording.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    lines
        .map(|mut line: Value| (time(&line["at"]), line["object"].take()))
        .collect()
}

fn is(object: &Value, kind: &str, name: &str) -> bool {
    object["kind"] == kind && object["metadata"]["name"] == name
}

/// When the unready time of a rollout, less a quarter of the ready time, reaches the deadline; each progress begins
/// anew.
fn unready_for(recording: &str, deadline: SignedDuration) -> Option<Timestamp> {
    let (mut progressing, mut furthest, mut unready) = (false, 0, true);
    let (mut spent, mut since) = (SignedDuration::ZERO, Timestamp::MIN);
    for (at, object) in lines(recording) {
        if progressing {
            let passed = at.duration_since(since);
            if unready && spent + passed >= deadline {
                return Some(since + (deadline - spent));
            }
            spent = if unready {
                spent + passed
            } else {
                (spent - passed / 4).max(SignedDuration::ZERO)
            };
        }
        since = at;
        if is(&object, "Deployment", "web") {
            let wanted = object["spec"]["replicas"].as_i64().expect("replicas");
            let available = object["status"]["availableReplicas"].as_i64().unwrap_or_default();
            unready = wanted == 0 || available < wanted;
        } else if is(&object, "Canary", "web") {
            let status = &object["status"];
            let weight = status["canaryWeight"].as_i64().unwrap_or_default();
            let reached = weight + status["iterations"].as_i64().unwrap_or_default();
            let goes_on = status["phase"] == "Progressing";
            if goes_on && (!progressing || reached > furthest) {
                spent = SignedDuration::ZERO;
                furthest = reached;
            }
            progressing = goes_on;
        }
    }
    None
}

/// When a container of the canary failed for the third time, by its own status, and when that was first heard.
fn third_exit(recording: &str) -> (Timestamp, Timestamp) {
    let mut exits: BTreeMap<String, BTreeSet<Timestamp>> = BTreeMap::new();
    for (heard_at, object) in lines(recording) {
        if object["kind"] != "Pod" || object["metadata"]["labels"]["app"] != "web" {
            continue;
        }
        for container in object["status"]["containerStatuses"].as_array().into_iter().flatten() {
            let name = format!("{} {}", object["metadata"]["name"], container["name"]);
            let exits = exits.entry(name).or_default();
            for state in ["state", "lastState"] {
                let ended = &container[state]["terminated"];
                if ended["exitCode"].as_i64().is_some_and(|code| code != 0) {
                    exits.insert(time(&ended["finishedAt"]));
                }
            }
            if let Some(third) = exits.iter().nth(2) {
                return (*third, heard_at);
            }
        }
    }
    panic!("no container failed for the third time");
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// Asserts what the readiness clock says of a recording, to the second.
fn assert_readiness(name: &str, deadline: i64) {
    let recording = recording(name);
    let expected = unready_for(&recording, seconds(deadline)).expect("the deadline passes");
    let report = report(&recording, &policy(WITHOUT_CRASHES));
    let verdict = verdict(&report);
    assert_eq!(
        (&verdict["clock"], time(&verdict["at"])),
        (&json!("readiness"), rounded_up(expected)),
        "{verdict}"
    );
    assert_eq!(verdict["what"], "wouldRollBack");
    assert_eq!(verdict["deadline"], verdict["at"]);
}

/// Asserts what the crash clock says of a recording under the built-in policy, to the second.
fn assert_crashes(name: &str) {
    let recording = recording(name);
    let (exit, heard_at) = third_exit(&recording);
    let report = report(&recording, &[]);
    let verdict = verdict(&report);
    assert_eq!(
        (&verdict["clock"], time(&verdict["deadline"]), time(&verdict["at"])),
        (&json!("crashes"), exit, rounded_up(heard_at)),
        "{verdict}"
    );
    let reason = verdict["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("container app: ") && reason.contains("exit code 1"),
        "{reason}"
    );
}

/// Asserts that what is printed is what was printed before.
fn assert_printed(name: &str, policy_of: Option<&str>) {
    let args = policy_of.map(policy).unwrap_or_default();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let output = replay(&recording(name), &args);
    let printed = text(output.stdout);
    let golden = match policy_of {
        None => corpus(&format!("{name}.txt")),
        Some(_) => corpus(&format!("{name}.without-crashes.txt")),
    };
    if std::env::var_os("CURFEW_UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &printed).expect("written");
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(printed, expected, "{} is not what is printed", golden.display());
    let breaches = i32::from(printed.contains("from here on"));
    assert_eq!(output.status.code(), Some(breaches), "{printed}");
}

// === the recordings ===

#[test]
fn every_recording_prints_what_it_did() {
    for name in ["f1", "f1b", "f3", "f4", "f5", "f8"] {
        assert_printed(name, None);
    }
    for name in ["f1b", "f3", "f4", "f5"] {
        assert_printed(name, Some(WITHOUT_CRASHES));
    }
}

#[test]
fn f1_is_rolled_back_30_s_after_it_became_unready() {
    assert_readiness("f1", 30);
    // A container that never was ready does not count as crashing.
    let report = report(&recording("f1"), &[]);
    assert_eq!(verdict(&report)["clock"], "readiness");
}

#[test]
fn f1b_is_rolled_back_at_the_third_failed_exit_within_its_first_minute() {
    assert_crashes("f1b");
    let report = report(&recording("f1b"), &[]);
    let rollouts = report["rollouts"].as_array().expect("rollouts");
    let rollout = rollouts
        .iter()
        .find(|rollout| rollout["kind"] == "rollout")
        .expect("a rollout");
    let after = time(&rollout["verdict"]["at"]).duration_since(time(&rollout["startedAt"]));
    assert!(after <= seconds(60), "{after}");
    assert_eq!(rollout["end"], json!(null), "Flagger alone waits on");
}

#[test]
fn f1b_without_the_crash_clock_is_rolled_back_when_180_s_of_unready_time_are_spent() {
    assert_readiness("f1b", 180);
}

#[test]
fn f3_is_rolled_back_after_the_third_exit_or_30_s() {
    assert_crashes("f3");
    assert_readiness("f3", 30);
}

#[test]
fn f4_is_rolled_back_long_before_flagger_promotes_it() {
    assert_crashes("f4");
    let report = report(&recording("f4"), &[]);
    let ends: Vec<_> = report["rollouts"].as_array().expect("rollouts").iter().collect();
    let rollout = ends
        .iter()
        .find(|rollout| rollout["kind"] == "rollout")
        .expect("a rollout");
    assert_eq!(rollout["end"]["how"], "Succeeded");
    let earlier = time(&rollout["end"]["at"]).duration_since(time(&rollout["verdict"]["at"]));
    assert_eq!(rollout["earlierSeconds"], earlier.as_secs());
    assert!(earlier > seconds(60), "{earlier}");
    // Up for 20 s and down for 8 s is within the budget of 120 s: it takes the crash clock to see this.
    assert_eq!(unready_for(&recording("f4"), seconds(120)), None);
}

#[test]
fn f5_is_rolled_back_at_the_third_exit_or_when_its_unready_time_is_spent() {
    assert_crashes("f5");
    assert_readiness("f5", 25);
}

#[test]
fn f8_is_held_at_80_per_cent_of_flaggers_deadline() {
    let recording = recording("f8");
    let primary = lines(&recording)
        .into_iter()
        .filter(|(_, object)| is(object, "Deployment", "web-primary"))
        .find_map(|(_, object)| {
            let conditions = object["status"]["conditions"].as_array()?;
            let available = conditions.iter().find(|condition| condition["type"] == "Available")?;
            (available["status"] == "False").then(|| time(&available["lastUpdateTime"]))
        })
        .expect("the primary was not available");
    let report = report(&recording, &[]);
    let verdict = verdict(&report);
    assert_eq!(
        (&verdict["what"], &verdict["clock"], time(&verdict["at"])),
        (&json!("wouldHold"), &json!("initialization"), primary + seconds(24)),
        "{verdict}"
    );
    assert_eq!(report["rollouts"][0]["end"]["how"], "Failed");
}

// === other shapes ===

/// The recording as `kubectl get -w -o json --output-watch-events --show-managed-fields` prints it.
fn as_kubectl_prints_it(recording: &str, with_managed_fields: bool) -> String {
    let mut text = String::new();
    for line in recording.lines() {
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        if with_managed_fields {
            let second = Timestamp::from_second(time(&line["at"]).as_second()).expect("a time");
            line["object"]["metadata"]["managedFields"] = json!([{"manager": "x", "time": second.to_string()}]);
            line.as_object_mut().expect("an object").remove("at");
        } else {
            line = line["object"].take();
        }
        text.push_str(&serde_json::to_string_pretty(&line).expect("JSON"));
        text.push('\n');
    }
    text
}

#[test]
fn what_kubectl_prints_gives_the_same_verdicts_to_two_seconds() {
    for name in ["f1", "f1b", "f3", "f4", "f5", "f8"] {
        for policy in [Vec::new(), policy(WITHOUT_CRASHES)] {
            if name == "f4" && !policy.is_empty() {
                continue;
            }
            let exact = report(&recording(name), &policy);
            let exact = verdict(&exact);
            for with_managed_fields in [true, false] {
                let report = report(&as_kubectl_prints_it(&recording(name), with_managed_fields), &policy);
                let verdict = verdict(&report);
                assert_eq!((&verdict["what"], &verdict["clock"]), (&exact["what"], &exact["clock"]));
                let apart = time(&exact["at"]).duration_since(time(&verdict["at"]));
                assert!(
                    apart.abs() <= seconds(2),
                    "{name}, managed fields {with_managed_fields}: {apart} apart: {verdict}"
                );
            }
        }
    }
}

#[test]
fn one_file_for_each_kind_says_the_same_as_one_for_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let printed = as_kubectl_prints_it(&recording("f3"), true);
    let entries = serde_json::Deserializer::from_str(&printed).into_iter::<Value>();
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for entry in entries.map(|entry| entry.expect("JSON")) {
        let kind = entry["object"]["kind"].as_str().expect("a kind").to_owned();
        files.entry(kind).or_default().push_str(&entry.to_string());
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_curfew"));
    command.args(["replay", "-o", "json"]).args(policy(WITHOUT_CRASHES));
    for (kind, text) in &files {
        let path = folder.path().join(kind);
        fs::write(&path, text).expect("written");
        command.arg(path);
    }
    let output = command.output().expect("it runs");
    let split: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let whole = report(&printed, &policy(WITHOUT_CRASHES));
    assert_eq!(verdict(&split), verdict(&whole));
}

#[test]
fn a_recording_that_begins_in_mid_rollout_is_judged_from_what_its_objects_carry() {
    // From the break on: the first states are as a list has them.
    let whole = recording("f1");
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    let mut rest = String::new();
    let begin = lines(&whole)
        .iter()
        .find(|(_, object)| object["status"]["phase"] == "Progressing")
        .map(|(at, _)| *at + seconds(5))
        .expect("a rollout");
    for line in whole.lines() {
        let mut entry: Value = serde_json::from_str(line).expect("JSON");
        if time(&entry["at"]) < begin {
            let object = &entry["object"];
            let key = format!("{} {}", object["kind"], object["metadata"]["name"]);
            if entry["type"] == "DELETED" {
                last.remove(&key);
                continue;
            }
            entry["at"] = json!(begin.to_string());
            entry["type"] = json!("ADDED");
            last.insert(key, entry.to_string());
        } else {
            rest.push_str(line);
            rest.push('\n');
        }
    }
    let listed: Vec<_> = last.into_values().collect();
    let report = report(&format!("{}\n{rest}", listed.join("\n")), &[]);
    let found = verdict(&report);
    // What happened before is known from the pods alone, which write whole seconds: less is counted, never more.
    let exact = unready_for(&whole, seconds(30)).expect("the deadline passes");
    let later = time(&found["at"]).duration_since(exact);
    assert!(later > seconds(-1) && later < seconds(15), "{later} later: {found}");
}

#[test]
fn a_rollout_to_which_nothing_happens_is_judged_all_the_same() {
    // The enforcer looks once a minute, whatever happens; otherwise it would not know what happened meanwhile.
    let begin: Timestamp = "2026-11-23T14:00:00Z".parse().expect("a time");
    let entry = |second: i64, mut object: Value| {
        let name = object["metadata"]["name"].as_str().unwrap_or("web").to_owned();
        object["metadata"] = json!({"name": name, "namespace": "shop"});
        json!({"at": (begin + seconds(second)).to_string(), "type": "ADDED", "object": object}).to_string()
    };
    let deployment = |name: &str, available: i64| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": 2},
            "status": {"replicas": 2, "updatedReplicas": 2, "availableReplicas": available}})
    };
    let canary = json!({"apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "progressDeadlineSeconds": 600, "analysis": {"interval": "10s"}},
        "status": {"phase": "Progressing", "lastTransitionTime": begin.to_string(), "conditions": [{"type": "Promoted",
            "status": "Unknown", "lastTransitionTime": begin.to_string(), "lastUpdateTime": begin.to_string()}]}});
    let recording = [
        entry(0, deployment("web-primary", 2)),
        entry(0, deployment("web", 1)),
        entry(0, canary),
        entry(
            700,
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other"}}),
        ),
    ];
    let report = report(&recording.join("\n"), &[]);
    let verdict = verdict(&report);
    assert_eq!(
        (&verdict["clock"], time(&verdict["at"])),
        (&json!("readiness"), begin + seconds(600)),
        "{report:#}"
    );
}

// === bad input ===

#[test]
fn a_recording_that_was_cut_off_is_replayed_up_to_there_and_fails() {
    let whole = recording("f8");
    let output = replay(&whole[..whole.len() - 100], &[]);
    let said = text(output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.starts_with("curfew: -: line ") && said.contains("ends in the middle of an object"),
        "{said}"
    );
    assert!(text(output.stdout).contains("would hold"), "{said}");
    let output = replay(&whole[..whole.len() - 100], &["-o", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("-: line ") && notes.contains("in the middle of an object"),
        "{notes}"
    );
}

#[test]
fn a_recording_without_a_canary_says_how_to_make_one() {
    for recording in [
        "",
        "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\"}}",
    ] {
        let output = replay(recording, &[]);
        let said = text(output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("there is no Canary") && said.contains("kubectl get canaries"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(said.contains("nothing at all in: -"), recording.is_empty(), "{said}");
    }
}

#[test]
fn what_is_missing_from_a_recording_is_noted() {
    let without = |kinds: &[&str]| {
        let kept = recording("f1")
            .lines()
            .filter(|line| {
                let line: Value = serde_json::from_str(line).expect("JSON");
                !kinds.contains(&line["object"]["kind"].as_str().expect("a kind"))
            })
            .map(str::to_owned)
            .collect::<Vec<_>>();
        report(&kept.join("\n"), &[])
    };
    let notes = |report: &Value| report["notes"].to_string();
    let report = without(&["Pod"]);
    assert!(notes(&report).contains("no Pods of its namespace"), "{report:#}");
    assert_eq!(verdict(&report)["reason"], "3 of 4 pods are available");
    assert!(notes(&without(&["Event"])).contains("the silence clock is not read"));
}

#[test]
fn a_rollout_whose_target_was_not_recorded_is_not_said_to_be_fine() {
    let kept: Vec<_> = recording("f1")
        .lines()
        .filter(|line| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            line["object"]["kind"] != "Deployment"
        })
        .map(str::to_owned)
        .collect();
    let kept = kept.join("\n");
    let output = replay(&kept, &[]);
    let printed = text(output.stdout);
    assert_eq!(output.status.code(), Some(2), "{printed}");
    assert!(!printed.contains("do nothing"), "{printed}");
    assert!(
        printed.contains("rollout of 2026-11-24T14:00:38Z: cannot be judged: its target is not in the recording;")
            && printed.contains("note: f1/web: its target, the Deployment web, is not in the recording"),
        "{printed}"
    );
    let output = replay(&kept, &["-o", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rollouts = report["rollouts"].as_array().expect("rollouts");
    assert!(rollouts.iter().all(|rollout| rollout["judged"] == false), "{report:#}");
    assert_eq!(report["summary"]["unjudged"], rollouts.len());
}

#[test]
fn nothing_is_said_of_what_comes_after_the_recording_of_a_canary() {
    // Those of other Canaries go on for five minutes.
    let names = ["f1", "f1b", "f3", "f4", "f5", "f8"];
    let output = Command::new(env!("CARGO_BIN_EXE_curfew"))
        .args(["replay", "-o", "json"])
        .args(names.map(|name| corpus(&format!("{name}.jsonl"))))
        .output()
        .expect("it runs");
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for name in names {
        let alone = report(&recording(name), &[]);
        let last = lines(&recording(name)).last().map(|(at, _)| rounded_up(*at));
        for part in ["rollouts", "events"] {
            let of = |report: &Value| -> Vec<Value> {
                let all = report[part].as_array().expect("a list").iter();
                all.filter(|it| it["namespace"] == name).cloned().collect()
            };
            assert_eq!(of(&all), of(&alone), "{name}");
        }
        for rollout in alone["rollouts"].as_array().expect("rollouts") {
            assert_eq!(Some(time(&rollout["recordedUntil"])), last, "{name}");
        }
    }
}

#[test]
fn a_deadline_that_passes_after_the_recording_of_a_canary_is_not_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let cut: Timestamp = "2026-11-24T14:01:05Z".parse().expect("a time");
    let cut: Vec<_> = recording("f1")
        .lines()
        .filter(|line| time(&serde_json::from_str::<Value>(line).expect("JSON")["at"]) < cut)
        .map(str::to_owned)
        .collect();
    let file = folder.path().join("f1.jsonl");
    fs::write(&file, cut.join("\n")).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_curfew"))
        .arg("replay")
        .args([file, corpus("f1b.jsonl")])
        .output()
        .expect("it runs");
    let printed = text(output.stdout);
    assert!(
        printed
            .contains("f1/web  rollout of 2026-11-24T14:00:38Z: Curfew would do nothing; without Curfew still running")
            && !printed.contains("f1/web  would roll back"),
        "{printed}"
    );
}

#[test]
fn a_kind_whose_recording_ends_before_the_others_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut deployments, mut others) = (String::new(), String::new());
    for line in recording("f1b").lines() {
        let entry: Value = serde_json::from_str(line).expect("JSON");
        if entry["object"]["kind"] != "Deployment" {
            others.push_str(line);
            others.push('\n');
        } else if time(&entry["at"]) < "2026-11-24T14:01:00Z".parse().expect("a time") {
            deployments.push_str(line);
            deployments.push('\n');
        }
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_curfew"));
    command.arg("replay");
    for (name, text) in [("deployments", &deployments), ("others", &others)] {
        fs::write(folder.path().join(name), text).expect("written");
        command.arg(folder.path().join(name));
    }
    let printed = text(command.output().expect("it runs").stdout);
    assert!(
        printed.contains("note: the recording of Deployments ends at 2026-11-24T14:00:")
            && printed.contains("; what follows is judged as if none of them had changed"),
        "{printed}"
    );
}

#[test]
fn what_curfew_wrote_and_other_kinds_are_left_out_and_noted() {
    let stamped = recording("f1")
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).expect("JSON");
            if line["object"]["kind"] == "Canary" {
                line["object"]["metadata"]["annotations"] = json!({
                    "curfew.dev/unready": "29s, unready since 2026-11-01T00:00:00Z",
                    "curfew.dev/verdict": "{}",
                });
            }
            line.to_string()
        })
        .collect::<Vec<_>>()
        .join("\n");
    let other = "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"a\"}}\n";
    let with = report(&format!("{other}{stamped}"), &[]);
    let exact = report(&recording("f1"), &[]);
    assert_eq!(verdict(&with), verdict(&exact));
    let notes = with["notes"].to_string();
    assert!(
        notes.contains("Curfew ran while this was recorded") && notes.contains("Service (1)"),
        "{notes}"
    );
    assert_eq!(with["summary"]["ignored"], 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(std::env::var("PROPTEST_CASES").map_or(64, |cases| cases.parse().expect("a number"))))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), bytes).expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_curfew")).arg("replay").arg(file.path()).output().expect("it runs");
        prop_assert_eq!(output.status.code(), Some(2));
    }

    #[test]
    fn no_values_in_a_recording_make_it_panic(seed in any::<u64>()) {
        let mut random = fastrand::Rng::with_seed(seed);
        let name = random.choice(["f1", "f3", "f8"]).expect("a name");
        let spoilt = recording(name).lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).expect("JSON");
            if random.u8(..4) == 0 {
                spoil(&mut line, &mut random);
            }
            line.to_string()
        }).collect::<Vec<_>>().join("\n");
        let output = replay(&spoilt, &["-o", *random.choice(&["text", "json"]).expect("a format")]);
        prop_assert!(matches!(output.status.code(), Some(0..=2)), "{:?}", output);
    }
}

/// Puts something else in one place of a value.
fn spoil(value: &mut Value, random: &mut fastrand::Rng) {
    let inner = match value {
        Value::Object(members) => {
            let place = random.usize(..members.len().max(1));
            members.iter_mut().nth(place).map(|(_, member)| member)
        }
        Value::Array(items) => {
            let place = random.usize(..items.len().max(1));
            items.get_mut(place)
        }
        _ => None,
    };
    match inner {
        Some(inner) if random.u8(..8) > 0 => spoil(inner, random),
        _ => {
            let odd = [
                json!(null),
                json!(-1),
                json!(i64::MAX),
                json!(1e300),
                json!(""),
                json!("-009999-01-02T01:59:59Z"),
                json!("9999-12-30T22:00:00Z"),
                json!("Progressing"),
                json!([{}]),
                json!({"a": 1}),
            ];
            *value = random.choice(odd).expect("something");
        }
    }
}
