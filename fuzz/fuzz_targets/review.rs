//! A body that somebody posts to the webhook.

#![no_main]

#[allow(dead_code, reason = "each target checks one of them")]
#[path = "../../tests/properties/invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|body: &[u8]| invariants::review(body));
