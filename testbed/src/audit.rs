//! The API server's audit log: who asked what.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// One request. A watch appears when it begins ([`Entry::began`]) and again when it ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// When the API server received the request.
    pub at: Timestamp,
    /// The user's name: `tenant`, `flagger`, `system:serviceaccount:curfew-system:curfew` …
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` …
    pub verb: String,
    /// `canaries`, or `canaries/status`; empty when the request was for no resource (`/readyz`).
    pub resource: String,
    /// Empty for cluster-scoped objects and for lists over all namespaces.
    pub namespace: String,
    /// Empty for lists and watches.
    pub name: String,
    /// With parameters.
    pub uri: String,
    /// What asked; Curfew adds the name of its pod or machine.
    pub user_agent: String,
    /// The answer's HTTP status.
    pub code: u16,
    /// The answer has begun and not ended.
    pub began: bool,
}

/// Reads every complete line, oldest first.
///
/// # Errors
/// When the file cannot be read, or has a line that is not an audit event.
pub fn read(path: &Path) -> Result<Vec<Entry>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().map(parse).collect()
}

fn parse(line: &str) -> Result<Entry> {
    let event: Value = serde_json::from_str(line).context("not an audit event")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &event["objectRef"];
    let mut resource = text(&object["resource"]);
    if let Some(sub) = object["subresource"].as_str() {
        resource = format!("{resource}/{sub}");
    }
    Ok(Entry {
        at: text(&event["requestReceivedTimestamp"])
            .parse()
            .context("an audit event without a time")?,
        user: text(&event["user"]["username"]),
        verb: text(&event["verb"]),
        resource,
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        uri: text(&event["requestURI"]),
        user_agent: text(&event["userAgent"]),
        code: event["responseStatus"]["code"]
            .as_u64()
            .and_then(|code| code.try_into().ok())
            .unwrap_or_default(),
        began: event["stage"] == "ResponseStarted",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read() {
        let line = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","stage":"ResponseComplete",
            "requestURI":"/apis/flagger.app/v1beta1/namespaces/shop/canaries/web/status?timeout=5s","verb":"patch",
            "user":{"username":"flagger","groups":["system:masters"]},
            "objectRef":{"resource":"canaries","namespace":"shop","name":"web","subresource":"status"},
            "responseStatus":{"code":200},"requestReceivedTimestamp":"2026-11-23T14:00:05.123456Z"}"#
            .replace('\n', "");
        let entry = parse(&line).unwrap();
        assert_eq!((entry.user.as_str(), entry.verb.as_str()), ("flagger", "patch"));
        assert_eq!(
            (entry.resource.as_str(), entry.namespace.as_str(), entry.name.as_str()),
            ("canaries/status", "shop", "web")
        );
        assert_eq!((entry.code, entry.began), (200, false));
    }
}
