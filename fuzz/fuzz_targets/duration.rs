//! A duration as somebody writes it.

#![no_main]

#[allow(dead_code, reason = "each target checks one of them")]
#[path = "../../core/tests/properties/invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|text: &str| invariants::duration(text));
