//! A request to the scripted API server, as its log keeps it.

use std::time::Instant;

use axum::http::{Method, Uri};
use serde_json::Value;

/// A request, and what it was answered.
#[derive(Clone, Debug)]
pub struct Request {
    /// `get`, `list`, `watch`, `create` or `patch`.
    pub verb: &'static str,
    /// With its subresource, as in `canaries/status`.
    pub resource: String,
    pub namespace: String,
    pub name: String,
    pub query: String,
    pub body: Value,
    /// When it came.
    pub at: Instant,
    /// The code of the answer; none yet.
    pub answer: Option<u16>,
    /// The version of the object that it was about, when the request was served.
    pub found: Value,
}

// === impl Request ===

impl Request {
    pub fn is(&self, verb: &str, resource: &str) -> bool {
        self.verb == verb && self.resource == resource
    }

    pub fn is_write(&self) -> bool {
        matches!(self.verb, "create" | "patch" | "delete" | "update")
    }

    /// Whether it was done, and the answer said so.
    pub fn succeeded(&self) -> bool {
        self.answer.is_some_and(|answer| answer < 300)
    }

    pub fn read(method: &Method, uri: &Uri, body: &[u8]) -> Option<Self> {
        let query = uri.query().unwrap_or_default().to_owned();
        let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
        let (["api", _, rest @ ..] | ["apis", _, _, rest @ ..]) = parts.as_slice() else {
            return None;
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let (resource, name, subresource) = match rest {
            [resource] => (*resource, "", ""),
            [resource, name] => (*resource, *name, ""),
            [resource, name, subresource] => (*resource, *name, *subresource),
            _ => return None,
        };
        let verb = match *method {
            Method::GET if query.contains("watch=") => "watch",
            Method::GET if name.is_empty() => "list",
            Method::GET => "get",
            Method::POST => "create",
            Method::PATCH => "patch",
            _ => return None,
        };
        let resource = if subresource.is_empty() {
            resource.to_owned()
        } else {
            format!("{resource}/{subresource}")
        };
        Some(Self {
            verb,
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            query,
            body: serde_json::from_slice(body).unwrap_or_default(),
            at: Instant::now(),
            answer: None,
            found: Value::Null,
        })
    }

    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(key, _)| *key == name)?;
        Some(value.replace("%3D", "=").replace("%2C", ","))
    }
}
