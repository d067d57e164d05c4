//! Curfew.
