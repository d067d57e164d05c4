//! The gate that every write to the cluster goes through.

use std::sync::Arc;

use super::request::{Error, ask};

/// What allows writing: the leader has it, for as long as it leads.
pub trait WritePermit: Send + Sync {
    /// Whether it holds at this very moment.
    fn holds(&self) -> bool;
}

/// Lets writes through while the permit holds. Clones ask the same permit.
#[derive(Clone)]
pub struct WriteGate(Arc<dyn WritePermit>);

// === impl WriteGate ===

impl WriteGate {
    /// A gate with this permit.
    #[must_use]
    pub fn new(permit: impl WritePermit + 'static) -> Self {
        Self(Arc::new(permit))
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.holds()
    }

    /// Fails unless it is open.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self) -> Result<(), Error> {
        if self.is_open() { Ok(()) } else { Err(Error::NotLeader) }
    }

    /// Asks the API server to change something.
    ///
    /// # Errors
    /// The gate is closed, or the API server refused or did not answer; `what` says what was asked, to follow "cannot".
    pub(crate) async fn write<T>(
        &self,
        what: &'static str,
        answer: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        self.check()?;
        ask(what, answer).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Held(bool);

    impl WritePermit for Held {
        fn holds(&self) -> bool {
            self.0
        }
    }

    #[tokio::test]
    async fn nothing_is_asked_without_a_permit() {
        let mut asked = false;
        let write = async {
            asked = true;
            Ok(())
        };
        let refused = WriteGate::new(Held(false)).write("write", write).await;
        assert!(matches!(refused, Err(Error::NotLeader)));
        assert!(!asked);
        let written = WriteGate::new(Held(true)).write("write", async { Ok(7) }).await;
        assert_eq!(written.ok(), Some(7));
    }
}
