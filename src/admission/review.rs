//! The shapes that the API server sends and reads: `admission.k8s.io/v1`.
//!
//! kube's own types are stricter on the way in than the API server is, and lose the `uid` on some ways out
//! (an answer without it counts as a failed call), so both directions are written out here.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The API version that is spoken here.
pub const API_VERSION: &str = "admission.k8s.io/v1";

/// What the API server asks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Names this call; the answer must repeat it.
    pub uid: String,
    /// What is being done.
    pub operation: Operation,
    /// The object's namespace.
    #[serde(default)]
    pub namespace: String,
    /// The object's name; empty where the API server has not chosen it yet (`generateName`).
    #[serde(default)]
    pub name: String,
    /// The object as it would be stored; null on DELETE.
    #[serde(default)]
    pub object: Value,
    /// The object as it is stored; null on CREATE.
    #[serde(default)]
    pub old_object: Value,
    /// Who asks.
    #[serde(default)]
    pub user_info: UserInfo,
    /// Whether nothing will be stored.
    #[serde(default)]
    pub dry_run: Option<bool>,
    /// What kind of object the request is about.
    #[serde(default)]
    pub resource: Resource,
}

/// What is being done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// It is created.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
    /// A connection to it is opened.
    Connect,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct UserInfo {
    /// The authenticated name.
    #[serde(default)]
    pub username: String,
}

/// The resource that a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Resource {
    /// Its API group.
    #[serde(default)]
    pub group: String,
    /// Its plural name.
    #[serde(default)]
    pub resource: String,
}

/// What the API server is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    uid: String,
    /// The object's name, by which kubectl speaks of it.
    name: String,
    /// The decision.
    pub answer: Answer,
}

/// A decision on a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Let it through.
    Allow {
        /// Words for the user.
        warnings: Vec<String>,
        /// Records for the audit log.
        audit: Vec<(&'static str, String)>,
    },
    /// Let it through with these changes.
    Patch {
        /// The changes.
        patch: json_patch::Patch,
        /// Words for the user.
        warnings: Vec<String>,
    },
    /// Refuse it.
    Deny {
        /// Why, in a sentence.
        message: String,
        /// The fields that are wrong; none where it is not the object itself that is wrong.
        causes: Vec<StatusCause>,
        /// Words for the user.
        warnings: Vec<String>,
        /// Records for the audit log.
        audit: Vec<(&'static str, String)>,
    },
}

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusCause {
    /// `FieldValueInvalid` or `FieldValueRequired`.
    pub reason: &'static str,
    /// What is wrong with it.
    pub message: String,
    /// Its path.
    pub field: String,
}

/// Why a body is not a review that can be answered.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// The body is no JSON, or JSON of another shape.
    #[error("the body is not an AdmissionReview: {0}")]
    Json(#[from] serde_json::Error),
    /// It is something else, or another version of it.
    #[error("expected an AdmissionReview of {API_VERSION}, got {kind} of {api_version}")]
    Kind {
        /// What it says that it is.
        kind: String,
        /// Which version of it.
        api_version: String,
    },
    /// It asks nothing.
    #[error("the AdmissionReview has no request")]
    NoRequest,
    /// There is no `uid` to repeat.
    #[error("the AdmissionReview's request has no uid, so no answer to it can be told apart")]
    NoUid,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionReview {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    request: Option<Value>,
}

/// Reads a review from a request's body.
///
/// # Errors
/// The body is not an `AdmissionReview` of v1 with a request and a `uid`.
pub fn parse(body: &[u8]) -> Result<Request, Malformed> {
    let AdmissionReview {
        api_version,
        kind,
        request,
    } = serde_json::from_slice(body)?;
    if kind != "AdmissionReview" || api_version != API_VERSION {
        return Err(Malformed::Kind {
            kind: named(kind),
            api_version: named(api_version),
        });
    }
    let request: Request = serde_json::from_value(request.ok_or(Malformed::NoRequest)?)?;
    if request.uid.is_empty() {
        return Err(Malformed::NoUid);
    }
    Ok(request)
}

fn named(mut text: String) -> String {
    if text.is_empty() {
        return "nothing".to_owned();
    }
    if let Some((end, _)) = text.char_indices().nth(80) {
        text.truncate(end);
    }
    text
}

// === impl Request ===

impl Request {
    /// The answer to this request.
    #[must_use]
    pub fn answer(&self, answer: Answer) -> Response {
        Response {
            uid: self.uid.clone(),
            name: self.name.clone(),
            answer,
        }
    }

    /// Whether the request is about a Canary.
    #[must_use]
    pub fn is_canary(&self) -> bool {
        self.resource.group == "flagger.app" && self.resource.resource == "canaries"
    }

    /// Whether the object is already being deleted and only waits for its finalizers.
    #[must_use]
    pub fn is_being_deleted(&self) -> bool {
        !self.object["metadata"]["deletionTimestamp"].is_null()
    }
}

// === impl Answer ===

impl Answer {
    /// Lets a request through without a word.
    #[must_use]
    pub fn allow() -> Self {
        Self::Allow {
            warnings: Vec::new(),
            audit: Vec::new(),
        }
    }
}

// === impl Response ===

impl Response {
    /// The review that the API server reads.
    #[must_use]
    pub fn into_json(self) -> Value {
        let Self { uid, name, answer } = self;
        let response = match answer {
            Answer::Allow { warnings, audit } => {
                json!({"uid": uid, "allowed": true, "warnings": fitting(warnings), "auditAnnotations": map(audit)})
            }
            Answer::Patch { patch, warnings } => json!({
                "uid": uid,
                "allowed": true,
                "warnings": fitting(warnings),
                "patchType": "JSONPatch",
                "patch": base64(&json!(patch).to_string()),
            }),
            Answer::Deny {
                message,
                causes,
                warnings,
                audit,
            } => {
                // kubectl prints the causes of what is invalid, and the message of what is forbidden.
                let (code, reason) = if causes.is_empty() {
                    (403, "Forbidden")
                } else {
                    (422, "Invalid")
                };
                json!({
                    "uid": uid,
                    "allowed": false,
                    "warnings": fitting(warnings),
                    "auditAnnotations": map(audit),
                    "status": {
                        "code": code,
                        "reason": reason,
                        "message": message,
                        "details": {"name": name, "group": "flagger.app", "kind": "Canary", "causes": causes},
                    },
                })
            }
        };
        json!({"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response})
    }
}

fn map(audit: Vec<(&'static str, String)>) -> Value {
    audit
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The API server cuts a warning at so many characters.
pub(super) const LONGEST_WARNING: usize = 256;

/// Warnings as the API server passes them on: it cuts them at 256 characters each and at 4,096 in all, and drops
/// those with a line break.
fn fitting(warnings: Vec<String>) -> Vec<String> {
    let mut room = 4096;
    let mut kept = Vec::new();
    for warning in warnings {
        let mut warning = warning.replace(['\n', '\r'], " ");
        let last = warning.char_indices().nth(LONGEST_WARNING - 1).map(|(end, _)| end);
        if let Some(end) = last.filter(|_| warning.chars().count() > LONGEST_WARNING) {
            warning.truncate(end);
            warning.push('…');
        }
        let length = warning.chars().count();
        if length > room {
            break;
        }
        room -= length;
        kept.push(warning);
    }
    kept
}

/// Standard base64, in which the API server wants a patch.
fn base64(text: &str) -> String {
    k8s_openapi::ByteString(text.as_bytes().to_vec())
        .serialize(serde_json::value::Serializer)
        .map_or_else(
            |_| String::new(),
            |encoded| encoded.as_str().unwrap_or_default().to_owned(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(request: &Value) -> Vec<u8> {
        json!({"apiVersion": API_VERSION, "kind": "AdmissionReview", "request": request})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn a_malformed_review_gets_a_reason() {
        let mut nested = b"[".repeat(100_000);
        nested.extend(b"]".repeat(100_000));
        for (body, words) in [
            (Vec::new(), "not an AdmissionReview"),
            (
                b"{\"apiVersion\": \"admission.k8s.io/v1\", \"kind\":".to_vec(),
                "not an AdmissionReview",
            ),
            (nested, "not an AdmissionReview"),
            (b"[]".to_vec(), "got nothing of nothing"),
            (b"{}".to_vec(), "got nothing of nothing"),
            (br#"{"apiVersion": "v1", "kind": "Pod"}"#.to_vec(), "got Pod of v1"),
            (
                br#"{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {}}"#.to_vec(),
                "got AdmissionReview of admission.k8s.io/v1beta1",
            ),
            (
                br#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}"#.to_vec(),
                "has no request",
            ),
            (review(&json!({"operation": "CREATE"})), "missing field `uid`"),
            (review(&json!({"uid": "", "operation": "CREATE"})), "no uid"),
            (review(&json!({"uid": "1", "operation": "EAT"})), "unknown variant"),
            (review(&json!({"uid": 1, "operation": "CREATE"})), "invalid type"),
        ] {
            let error = parse(&body).expect_err("malformed").to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn unknown_fields_and_missing_objects_are_fine() {
        let request = parse(&review(
            &json!({"uid": "1", "operation": "DELETE", "object": null, "new": 1}),
        ))
        .expect("ok");
        assert_eq!((request.operation, request.object), (Operation::Delete, Value::Null));
    }

    #[test]
    fn every_answer_repeats_the_uid() {
        let request = parse(&review(&json!({"uid": "abc", "operation": "CREATE"}))).expect("ok");
        for answer in [
            Answer::allow(),
            Answer::Patch {
                patch: json_patch::Patch(Vec::new()),
                warnings: Vec::new(),
            },
            Answer::Deny {
                message: String::new(),
                causes: Vec::new(),
                warnings: Vec::new(),
                audit: Vec::new(),
            },
        ] {
            let written = request.answer(answer).into_json();
            assert_eq!(written["response"]["uid"], "abc");
            assert_eq!(written["apiVersion"], API_VERSION);
        }
    }

    #[test]
    fn a_denial_names_the_object() {
        let request = parse(&review(&json!({"uid": "1", "operation": "CREATE", "name": "web"}))).expect("ok");
        let denied = request.answer(Answer::Deny {
            message: String::new(),
            causes: Vec::new(),
            warnings: Vec::new(),
            audit: Vec::new(),
        });
        assert_eq!(denied.into_json()["response"]["status"]["details"]["name"], "web");
    }

    #[test]
    fn warnings_keep_to_the_api_servers_limits() {
        let kept = fitting(vec!["a\nb".to_owned(), "é".repeat(300)]);
        assert_eq!(kept[0], "a b");
        assert_eq!(kept[1].chars().count(), 256);
        assert!(
            fitting(vec!["x".repeat(255); 40])
                .iter()
                .map(|warning| warning.chars().count())
                .sum::<usize>()
                <= 4096
        );
    }

    #[test]
    fn patches_are_sent_in_base64() {
        assert_eq!(base64("[]"), "W10=");
    }
}
