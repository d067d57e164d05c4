//! What the commands exit with.

/// What a bad start, wrong usage and unreadable input end with.
pub(super) const BAD_START: u8 = 2;
