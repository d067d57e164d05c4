//! How policies write durations, selectors, modes and moments: read strictly, written back as Go would, and described to
//! the API server so that it refuses what is refused here.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::sizes::MOST_EXPRESSIONS;

/// The longest text of a duration. The longest that Go prints has 24 characters; the API server wants a bound to know
/// what a rule about it may cost.
const LONGEST: usize = 32;

/// A span of time as Go writes it, zero or more.
pub(super) mod duration {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::{LONGEST, Schema, SchemaGenerator, json_schema};
    use crate::duration::{GoDuration, parse};

    /// What Go's parser reads and is not below zero; both ways to write the micro sign count.
    const PATTERN: &str = "^\\+?(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|\u{b5}s|\u{3bc}s|ms|s|m|h))+)$";

    pub(in crate::policy) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |why: &str| D::Error::custom(format!("{text:?}: {why}"));
        if text.chars().count() > LONGEST {
            return Err(wrong("longer than any duration that is meant, such as 1h30m"));
        }
        if text.starts_with('-') {
            return Err(wrong("a duration below zero; leave the minus out"));
        }
        let parsed = parse(&text).map_err(|error| wrong(&format!("{error}; write for example 30s, 1m30s or 2h")))?;
        Duration::try_from(parsed).map_err(|_| wrong("a duration below zero"))
    }

    pub(in crate::policy) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        serializer.collect_str(&GoDuration::from_nanos(nanos))
    }

    pub(in crate::policy) fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": LONGEST, "pattern": PATTERN})
    }
}

/// The same, where there may be none.
pub(super) mod optional_duration {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    use super::duration;

    pub(in crate::policy) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        duration::deserialize(deserializer).map(Some)
    }

    #[expect(clippy::ref_option, reason = "serde hands a reference to the field")]
    pub(in crate::policy) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => duration::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }
}

/// Kubernetes' label selector, of which a misspelt field would select everything.
pub(super) mod selector {
    use std::collections::BTreeMap;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    use super::{MOST_EXPRESSIONS, Schema, SchemaGenerator, json_schema};

    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
    struct Strict {
        match_labels: Option<BTreeMap<String, String>>,
        match_expressions: Option<Vec<Requirement>>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Requirement {
        key: String,
        operator: Operator,
        #[serde(default)]
        values: Option<Vec<String>>,
    }

    #[derive(Debug, Deserialize)]
    enum Operator {
        In,
        NotIn,
        Exists,
        DoesNotExist,
    }

    pub(in crate::policy) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<LabelSelector, D::Error> {
        let Strict {
            match_labels,
            match_expressions,
        } = Strict::deserialize(deserializer)?;
        let requirement = |Requirement { key, operator, values }| LabelSelectorRequirement {
            key,
            operator: format!("{operator:?}"),
            values,
        };
        Ok(LabelSelector {
            match_labels,
            match_expressions: match_expressions.map(|all| all.into_iter().map(requirement).collect()),
        })
    }

    pub(in crate::policy) fn serialize<S: Serializer>(
        selector: &LabelSelector,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        selector.serialize(serializer)
    }

    pub(in crate::policy) fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "matchLabels": {"type": "object", "additionalProperties": {"type": "string"}},
                "matchExpressions": {"type": "array", "maxItems": MOST_EXPRESSIONS, "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {"type": "string"},
                        "operator": {"type": "string", "maxLength": 12, "enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
                        "values": {"type": "array", "items": {"type": "string"}},
                    },
                }},
            },
        })
    }
}

/// A moment in whole seconds of UTC, where there may be none.
pub(super) mod moment {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::{Schema, SchemaGenerator, json_schema};

    const PATTERN: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$";

    pub(in crate::policy) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The one way to write it: others are read differently by Go and by us.
        let parsed = text.parse::<Timestamp>().ok();
        parsed.filter(|moment| moment.to_string() == text).map_or_else(
            || {
                let why = format!("{text:?} is no moment; write it in UTC, such as \"2027-01-31T00:00:00Z\"");
                Err(D::Error::custom(why))
            },
            |moment| Ok(Some(moment)),
        )
    }

    #[expect(clippy::ref_option, reason = "serde hands a reference to the field")]
    pub(in crate::policy) fn serialize<S: Serializer>(
        moment: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match moment {
            Some(moment) => serializer.collect_str(moment),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::policy) fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 20, "pattern": PATTERN})
    }
}
