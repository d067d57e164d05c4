//! Requests to the API server, within bounds, and what can go wrong with them.

use std::time::Duration;

/// How long after a first error a Canary is looked at again; doubled with each further one.
const RETRY: Duration = Duration::from_secs(1);
/// The longest that this grows to, while the API server refuses.
const LONGEST_RETRY: Duration = Duration::from_mins(1);
/// While it does not answer at all: when it does again, what passed meanwhile is late enough.
const LONGEST_UNANSWERED: Duration = Duration::from_secs(2);
/// The field manager of everything that Curfew writes.
pub const FIELD_MANAGER: &str = "curfew";

/// What can go wrong while a Canary is worked on. None of it is a verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not do what was asked.
    #[error("cannot {0}: {1}")]
    Api(&'static str, #[source] kube::Error),
    /// The Canary is not there any more, or another one has its name.
    #[error("the Canary is gone")]
    Gone,
    /// The API server did not answer in time.
    #[error("cannot {0}: no answer within {1:?}")]
    Timeout(&'static str, Duration),
    /// Another Curfew leads, or none that is known.
    #[error("this Curfew does not lead")]
    NotLeader,
}

/// How long the API server may take for one request.
pub const API_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the API server, within bounds.
///
/// # Errors
/// It refused or did not answer; `what` says what was asked, to follow "cannot".
pub(crate) async fn ask<T>(
    what: &'static str,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    ask_within(API_TIMEOUT, what, answer).await
}

/// Asks the API server, which may take that long.
///
/// # Errors
/// As [`ask`].
pub(crate) async fn ask_within<T>(
    patience: Duration,
    what: &'static str,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer.map_err(|error| Error::Api(what, error)),
        Err(_) => Err(Error::Timeout(what, patience)),
    }
}

// === impl Error ===

impl Error {
    /// Whether the API server did not answer at all.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        match self {
            Self::Api(_, kube::Error::Api(_)) | Self::Gone | Self::NotLeader => false,
            Self::Api(..) | Self::Timeout(..) => true,
        }
    }

    /// How long to wait after so many failures in a row.
    pub(crate) fn wait(&self, failures: u32) -> Duration {
        let longest = if self.is_unanswered() {
            LONGEST_UNANSWERED
        } else {
            LONGEST_RETRY
        };
        RETRY
            .saturating_mul(1 << failures.saturating_sub(1).min(6))
            .min(longest)
    }

    /// Whether the API server understood, and refused something that is there.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.status().is_some() && !self.is_conflict() && !self.is_not_found()
    }

    /// Whether somebody else changed the object in between.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// Whether a permission is missing.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.status() == Some(403)
    }

    /// Whether there is no such object.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// The HTTP status, if the API server answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api(_, kube::Error::Api(status)) => Some(status.code),
            Self::Api(..) | Self::Gone | Self::Timeout(..) | Self::NotLeader => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn one_that_refuses_is_asked_more_and_more_seldom_and_one_that_does_not_answer_goes_on_being_asked() {
        let refused = || {
            Error::Api(
                "read the Canary",
                kube::Error::Api(Status::failure("no", "Forbidden").boxed()),
            )
        };
        let unanswered = || Error::Timeout("read the Canary", API_TIMEOUT);
        for (failures, refusing, silent) in [(1, 1, 1), (2, 2, 2), (3, 4, 2), (7, 60, 2), (u32::MAX, 60, 2)] {
            assert_eq!(refused().wait(failures), Duration::from_secs(refusing), "{failures}");
            assert_eq!(unanswered().wait(failures), Duration::from_secs(silent), "{failures}");
        }
    }
}
