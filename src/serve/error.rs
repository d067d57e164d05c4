//! Why `serve` ends, and errors on one line.

/// Why `serve` ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not start with what it was given.
    #[error("cannot start: {0}")]
    BadStart(String),
    /// A part of it ended that should run for ever.
    #[error("{0} ended unasked")]
    TaskEnded(String),
}

/// An error with what is behind it, on one line.
pub(super) fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
