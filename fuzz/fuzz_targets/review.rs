//! A body that somebody posts to the webhook.

#![no_main]

#[path = "../../tests/reviews/invariants.rs"]
mod invariants;
#[allow(dead_code, reason = "each target checks one of them")]
#[path = "../../core/tests/properties/invariants.rs"]
mod sound;

libfuzzer_sys::fuzz_target!(|body: &[u8]| invariants::review(body));
