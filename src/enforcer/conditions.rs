//! The conditions of a Deployment, as JSON.

use serde_json::Value;

use crate::deadline::levers::OURS;

/// The `Progressing` condition, if there is one.
pub(super) fn progressing(deployment: &Value) -> Option<&Value> {
    let conditions = deployment["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Progressing")
}

/// Whether Curfew wrote a condition.
pub(super) fn is_ours(condition: &Value) -> bool {
    condition["message"]
        .as_str()
        .is_some_and(|message| message.starts_with(OURS))
}
