//! Curfew believes of a Canary what Flagger believes: compared with Flagger's own codec and getters, and with Go's own
//! duration parser, through `core/tests/oracle`.
//!
//! `CURFEW_ORACLE_SEED` and `CURFEW_ORACLE_CASES` (per property) repeat or lengthen the random part.

#![expect(clippy::expect_used, clippy::panic, reason = "the helpers of tests fail as tests do")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the crate is pure; this test of it runs Flagger's own code"
)]

mod durations;
mod oracle;
mod specs;

use std::fmt::Debug;

use curfew_core::{
    duration::{self, GoDuration},
    flagger::{
        analysis_fields::AnalysisFields,
        canary::Canary,
        decode::{Undecodable, undecodable},
        effective::{Effective, Strategy},
    },
};
use oracle::{Duration, Fields, Getters, Mode, Verdict};
use serde_json::Value;
use specs::{HOSTILE, Shapes, Specs};

const SEED: u64 = 20_261_123;
const CASES: usize = 20_000;

/// Every field of Flagger's types with every hostile value, one at a time: exactly the fields that the codec refuses are
/// found, under their right path.
#[test]
fn each_field_takes_what_flaggers_codec_takes() {
    let Some(shapes) = shapes() else { return };
    let sites = shapes.sites();
    let cases: Vec<_> = sites
        .iter()
        .flat_map(|site| HOSTILE.iter().map(move |value| (site, value)))
        .collect();
    let documents: Vec<_> = cases.iter().map(|(site, value)| site.canary_with(value)).collect();
    let mut tally = Tally::default();
    for ((document, verdict), (site, _)) in documents.iter().zip(decode(&documents)).zip(cases) {
        let Some(found) = tally.compare(document, &verdict) else {
            continue;
        };
        // A list or an object in the wrong place may be found from within.
        let elsewhere = found.iter().find(|finding| !finding.field.starts_with(&site.field));
        tally.check(document, "a finding elsewhere", &elsewhere, &None);
    }
    tally.close("single values", 20_000);
}

/// Whole specs with any number of hostile values, odd keys and shapes in them.
#[test]
fn whole_specs_are_decodable_exactly_when_flaggers_codec_accepts_them() {
    let Some(shapes) = shapes() else { return };
    let documents = canaries(&shapes);
    let mut tally = Tally::default();
    for (document, verdict) in documents.iter().zip(decode(&documents)) {
        tally.compare(document, &verdict);
    }
    tally.close("whole specs", cases());
}

/// What Flagger will really use, for every spec that it can decode: its own getters against ours.
#[test]
fn effective_values_are_what_flaggers_getters_return() {
    let Some(shapes) = shapes() else { return };
    let documents = canaries(&shapes);
    let mut tally = Tally::default();
    for (document, verdict) in documents.iter().zip(decode(&documents)) {
        if !verdict.ok {
            continue;
        }
        let written = serde_json::from_str(document).expect("decoded by Flagger");
        let ours = believed(&written);
        let has_analysis = verdict.panic.is_empty();
        // Without one Flagger's getters for it panic; ours give the defaults.
        let flaggers = if has_analysis {
            verdict.getters
        } else {
            verdict.getters.or(&ours)
        };
        tally.count(has_analysis);
        tally.check(document, "effective values", &ours, &flaggers);
        let stored = verdict.stored.expect("decoded by Flagger");
        tally.check(
            document,
            "effective values after storage",
            &believed(&stored),
            &flaggers,
        );
    }
    tally.close("effective values", cases() / 4);
}

/// Our answers to the questions that the oracle asks Flagger.
fn believed(written: &Value) -> Getters {
    let canary = &Canary::from_json(written.clone());
    let Effective {
        progress_deadline_seconds,
        interval,
        threshold,
        primary_ready_threshold,
        canary_ready_threshold,
        skip_analysis,
        strategy,
        // Flagger has no getter for it.
        hook_time: _,
    } = Effective::of(canary);
    Getters {
        deadline: Some(progress_deadline_seconds),
        interval_nanos: Some(i64::try_from(interval.as_nanos()).expect("came from 64 bits")),
        threshold: Some(threshold),
        primary_ready_threshold: Some(primary_ready_threshold),
        canary_ready_threshold: Some(canary_ready_threshold),
        skip_analysis: Some(skip_analysis),
        strategy: Some(
            match strategy {
                Strategy::Canary => "canary",
                Strategy::BlueGreen => "blue-green",
                Strategy::AbTesting => "ab-testing",
            }
            .into(),
        ),
        apex_name: canary
            .spec
            .service_name
            .clone()
            .or(Some(canary.spec.target.name.clone())),
        suspend: Some(canary.spec.suspend),
        fields: AnalysisFields::of(written).as_ref().map(fields_of).unwrap_or_default(),
    }
}

/// What the rules read of the analysis, where nothing is written as Go's zero.
fn fields_of(analysis: &AnalysisFields<'_>) -> Fields {
    let number = |field| Some(analysis.number(field).unwrap_or_default());
    let steps: Vec<_> = analysis.step_weights().map(|(_, step)| step).collect();
    Fields {
        iterations: number("iterations"),
        mirror: Some(analysis.get("mirror") == true),
        max_weight: number("maxWeight"),
        step_weight: number("stepWeight"),
        step_weights: analysis.get("stepWeights").as_array().map(|_| steps),
        step_weight_promotion: number("stepWeightPromotion"),
    }
}

#[test]
fn durations_are_read_and_written_as_go_does() {
    let texts = durations::texts(&mut random(), cases());
    let lines: Vec<_> = texts
        .iter()
        .map(|text| Value::from(text.as_str()).to_string())
        .collect();
    let Some(answers) = oracle::ask::<Duration>(Mode::Duration, &lines) else {
        return;
    };
    let mut tally = Tally::default();
    for (text, go) in texts.iter().zip(answers) {
        let ours = duration::parse(text).ok();
        tally.check(
            text,
            "nanoseconds",
            &ours.map(GoDuration::as_nanos),
            &go.ok.then_some(go.nanos),
        );
        tally.check(
            text,
            "as text",
            &ours.map(|ours| ours.to_string()),
            &go.ok.then_some(go.text),
        );
        tally.count(go.ok);
    }
    tally.close("durations", cases());
}

/// `core/src/flagger/schema.rs` is what Flagger's types are today.
#[test]
fn the_committed_schema_is_flaggers() {
    let Some(schema) = oracle::print(Mode::Schema) else {
        return;
    };
    assert!(
        schema == include_str!("../../src/flagger/schema.rs"),
        "core/src/flagger/schema.rs is not what Flagger's types say: (cd core/tests/oracle && go run . schema > ../../src/flagger/schema.rs)"
    );
}

fn shapes() -> Option<Shapes> {
    let shapes = oracle::print(Mode::Shape)?;
    Some(serde_json::from_str(&shapes).expect("the shape of CanarySpec"))
}

/// The random Canaries, as many as `cases`.
fn canaries(shapes: &Shapes) -> Vec<String> {
    let mut specs = Specs::new(shapes, random());
    (0..cases()).map(|_| specs.canary()).collect()
}

fn decode(documents: &[String]) -> Vec<Verdict> {
    oracle::ask(Mode::Decode, documents).expect("the oracle has just answered")
}

fn random() -> fastrand::Rng {
    fastrand::Rng::with_seed(setting("CURFEW_ORACLE_SEED").unwrap_or(SEED))
}

fn cases() -> usize {
    setting("CURFEW_ORACLE_CASES").unwrap_or(CASES)
}

fn setting<T: std::str::FromStr<Err: Debug>>(name: &str) -> Option<T> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error:?}")))
}

/// What was compared, and where the two differed.
#[derive(Default)]
struct Tally {
    yes: usize,
    no: usize,
    differences: Vec<String>,
}

impl Tally {
    /// Compares the findings in one document with the codec's verdict; gives them back for more checks.
    fn compare(&mut self, document: &str, verdict: &Verdict) -> Option<Vec<Undecodable>> {
        self.count(verdict.ok);
        let Ok(canary) = serde_json::from_str(document) else {
            // Not even the API server can read it (1e400): nobody gets to judge it.
            self.check(document, "refused by the API server", &true, &verdict.refused);
            return None;
        };
        let found = undecodable(&canary);
        self.check(document, verdict.error.as_str(), &found.is_empty(), &verdict.ok);
        // A webhook sees the document as the API server hands it on: the evaluation must be the same.
        let stored = undecodable(verdict.stored.as_ref().unwrap_or(&Value::Null));
        self.check(
            document,
            "fields before and after storage",
            &fields(&found),
            &fields(&stored),
        );
        Some(found)
    }

    fn check<T: Debug + PartialEq>(&mut self, input: &str, what: &str, ours: &T, flaggers: &T) {
        if ours != flaggers {
            self.differences
                .push(format!("{what}: Curfew {ours:?}, Flagger {flaggers:?}\n    {input}"));
        }
    }

    /// A test in which nearly every case is of one kind proves little: each case is counted on its side.
    fn count(&mut self, side: bool) {
        *if side { &mut self.yes } else { &mut self.no } += 1;
    }

    /// Fails on the differences, and when too little was compared to mean anything.
    fn close(self, what: &str, at_least: usize) {
        let Self { yes, no, differences } = self;
        println!("{what}: {yes} + {no} compared");
        assert!(
            differences.is_empty(),
            "{} differences in {what}, the first:\n  {}",
            differences.len(),
            differences[..differences.len().min(5)].join("\n  ")
        );
        assert!(yes + no >= at_least, "only {} cases, not {at_least}", yes + no);
        assert!(yes.min(no) * 20 > yes + no, "one-sided: {yes} and {no}");
    }
}

fn fields(findings: &[Undecodable]) -> Vec<(&str, &str)> {
    findings
        .iter()
        .map(|finding| (finding.field.as_str(), finding.expected.as_str()))
        .collect()
}
