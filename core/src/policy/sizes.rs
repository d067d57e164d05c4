//! How large the parts of a policy may be: the API server takes no condition on a list or a text whose length nothing limits.

/// So many exemptions a policy may have.
pub(super) const MOST_EXEMPTIONS: usize = 100;
/// So many characters the reason of one may have.
pub(super) const LONGEST_REASON: usize = 1024;
/// So many expressions a selector may have.
pub(super) const MOST_EXPRESSIONS: usize = 32;
