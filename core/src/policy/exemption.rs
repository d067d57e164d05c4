//! Exemptions: who is let off, from what, until when and why. They live in policies only, never in
//! something that the exempted can write themselves.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{sizes::LONGEST_REASON, written::moment};

/// One exemption of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Exemption {
    /// Names of namespaces; `*` stands for any text. Absent: all.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub namespaces: Option<Vec<String>>,
    /// Names of Canaries; `*` stands for any text. Absent: all.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub canaries: Option<Vec<String>>,
    /// From which of Curfew's halves. Absent: both.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<ExemptionScope>")]
    pub from: Option<Vec<ExemptionScope>>,
    /// When it ends, in UTC. Absent: never.
    #[serde(default, with = "moment", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "moment::schema")]
    pub until: Option<Timestamp>,
    /// Why, for those who find it later.
    #[schemars(length(max = LONGEST_REASON))]
    pub reason: String,
}

/// The halves of Curfew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub enum ExemptionScope {
    /// The webhook.
    Admission,
    /// The enforcer.
    Enforcement,
}

// === impl Exemption ===

impl Exemption {
    /// Whether it covers a Canary now.
    #[must_use]
    pub fn covers(&self, (namespace, canary): (&str, &str), scope: ExemptionScope, now: Timestamp) -> bool {
        let names = |patterns: &Option<Vec<String>>, name: &str| {
            let patterns = patterns.as_ref();
            patterns.is_none_or(|patterns| patterns.iter().any(|pattern| glob(pattern, name)))
        };
        self.from.as_ref().is_none_or(|from| from.contains(&scope))
            && self.until.is_none_or(|until| now < until)
            && names(&self.namespaces, namespace)
            && names(&self.canaries, canary)
    }
}

/// What is written is a list; what is meant by none, is left out.
fn named<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    Vec::deserialize(deserializer).map(Some)
}

/// Whether `text` fits `pattern`, in which `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(head) else {
        return false;
    };
    let mut pieces: Vec<_> = tail.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("*", "shop", true),
            ("shop", "shop", true),
            ("shop", "shops", false),
            ("legacy-*", "legacy-a", true),
            ("legacy-*", "legacy", false),
            ("*-test", "a-test", true),
            ("*-test", "test", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn an_exemption_ends_when_it_says() {
        let exemption = Exemption {
            namespaces: Some(vec!["legacy-*".to_owned()]),
            canaries: None,
            from: Some(vec![ExemptionScope::Enforcement]),
            until: "2027-01-31T00:00:00Z".parse().ok(),
            reason: "migration".to_owned(),
        };
        let at = |time: &str| time.parse::<Timestamp>().expect("a time");
        assert!(exemption.covers(
            ("legacy-a", "web"),
            ExemptionScope::Enforcement,
            at("2027-01-30T23:59:59Z")
        ));
        assert!(!exemption.covers(
            ("legacy-a", "web"),
            ExemptionScope::Enforcement,
            at("2027-01-31T00:00:00Z")
        ));
        assert!(!exemption.covers(
            ("legacy-a", "web"),
            ExemptionScope::Admission,
            at("2026-11-23T00:00:00Z")
        ));
        assert!(!exemption.covers(("shop", "web"), ExemptionScope::Enforcement, at("2026-11-23T00:00:00Z")));
    }
}
