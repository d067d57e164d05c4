//! Curfew.
fn main() {}
