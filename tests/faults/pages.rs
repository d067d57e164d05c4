//! Lists in pages, as the API server gives them: `limit`, a continue token for the rest, and 410 for a token whose state
//! the server has compacted.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{request::Request, world::Refusal};

/// The lists that clients have begun to read.
#[derive(Default)]
pub struct Pages {
    begun: BTreeMap<String, Rest>,
    given: u64,
}

/// What is left of a list, as it was when it began.
#[derive(Clone)]
struct Rest {
    version: u64,
    items: Vec<Value>,
}

// === impl Pages ===

impl Pages {
    /// The page that a request asks for. `all` has every object at `version`, and is only asked for a list that begins.
    pub fn page(
        &mut self,
        request: &Request,
        version: u64,
        all: impl FnOnce() -> Vec<Value>,
    ) -> Result<Value, Refusal> {
        let token = request.parameter("continue").filter(|token| !token.is_empty());
        let mut rest = match token {
            None => Rest { version, items: all() },
            Some(token) => self.begun.get(&token).cloned().ok_or_else(expired)?,
        };
        let limit = request.parameter("limit").and_then(|limit| limit.parse().ok());
        let limit = limit.filter(|limit| *limit > 0);
        let left = rest.items.split_off(limit.unwrap_or(usize::MAX).min(rest.items.len()));
        let mut metadata = json!({"resourceVersion": rest.version.to_string()});
        if !left.is_empty() {
            self.given += 1;
            let token = format!("page-{}", self.given);
            metadata["continue"] = json!(token);
            metadata["remainingItemCount"] = json!(left.len());
            let left = Rest {
                version: rest.version,
                items: left,
            };
            self.begun.insert(token, left);
        }
        Ok(json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": rest.items}))
    }

    /// From now on every token that was given is expired.
    pub fn expire(&mut self) {
        self.begun.clear();
    }
}

fn expired() -> Refusal {
    let message = "The provided continue parameter is too old to display a consistent list result.";
    (410, "Expired", message.to_owned())
}
