//! The JSON of a Canary.

#![no_main]

#[allow(dead_code, reason = "each target checks one of them")]
#[path = "../../core/tests/properties/invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|json: &[u8]| invariants::spec(json));
