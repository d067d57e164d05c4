//! The conditions of a Deployment, as JSON: what is written back must hold what is not known here.

use serde_json::Value;

use crate::rollout::levers::OURS;

/// All of them.
pub(super) fn conditions(deployment: &Value) -> Vec<Value> {
    let conditions = deployment["status"]["conditions"].as_array();
    conditions.cloned().unwrap_or_default()
}

/// The `Progressing` condition, if there is one.
pub(super) fn progressing(deployment: &Value) -> Option<&Value> {
    let conditions = deployment["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Progressing")
}

/// All of them, with this one as `Progressing`.
pub(super) fn with_progressing(deployment: &Value, condition: Value) -> Vec<Value> {
    let mut conditions = conditions(deployment);
    match conditions
        .iter_mut()
        .find(|condition| condition["type"] == "Progressing")
    {
        Some(progressing) => *progressing = condition,
        None => conditions.push(condition),
    }
    conditions
}

/// Whether Curfew wrote a condition.
pub(super) fn is_ours(condition: &Value) -> bool {
    condition["message"]
        .as_str()
        .is_some_and(|message| message.starts_with(OURS))
}
