//! What must hold for any review whatsoever: checked by generated input here, and by the fuzzer in `fuzz/`.

use std::collections::BTreeMap;

use curfew::{
    admission::{
        mutate::mutate,
        review::{self, Answer, Operation, Request},
        validate::validate,
    },
    policy::{Policies, file},
    rules::lookup::NoLookup,
};
use jiff::{SignedDuration, Timestamp};

use super::sound;

/// A policy that fills in a missing deadline.
const DEFAULTING: &str = "
apiVersion: curfew.dev/v1alpha1
kind: CanaryPolicy
metadata: {name: defaulting}
spec: {admission: {deadline: {default: 5m}}}
";

/// A body that somebody posts to the webhook.
pub fn review(body: &[u8]) {
    let Ok(request) = review::parse(body) else { return };
    let now: Timestamp = "2026-11-23T14:00:05Z".parse().expect("a time");
    let decision = validate(&request, &Policies::default(), &BTreeMap::new(), &NoLookup, now);
    if matches!(decision.answer, Answer::Allow { .. }) {
        is_rightly_allowed(&request);
    }
    is_answered(&request, decision.answer);
    let defaulting = file::parse(DEFAULTING, &curfew::rules::vocabulary()).expect("a policy");
    for policies in [Policies::default(), defaulting] {
        let mutated = |request: &Request, now| mutate(request, &policies, &BTreeMap::new(), now);
        let answer = mutated(&request, now);
        is_answered(&request, answer.clone());
        if let Some(patched) = patched(&request, answer) {
            let later = now + SignedDuration::from_secs(2);
            let again = mutated(&patched, later);
            assert_eq!(again, Answer::allow(), "a second round changes nothing");
        }
    }
}

fn is_answered(request: &Request, answer: Answer) {
    let answer = request.answer(answer).into_json();
    assert_eq!(answer["kind"], "AdmissionReview");
    assert_eq!(answer["response"]["uid"], request.uid, "{answer}");
}

/// A new Canary that is let in is one that Flagger can decode, with a deadline.
fn is_rightly_allowed(request: &Request) {
    if request.operation == Operation::Create && request.is_canary() && !request.is_being_deleted() {
        sound::is_sound(&request.object);
    }
}

/// The request with the patch applied, if it is about an object such as the API server sends: one with metadata.
fn patched(request: &Request, answer: Answer) -> Option<Request> {
    if !request.object["metadata"].is_object() {
        return None;
    }
    let mut patched = request.clone();
    if let Answer::Patch { patch, .. } = answer {
        json_patch::patch(&mut patched.object, &patch).expect("the patch applies");
    }
    Some(patched)
}
