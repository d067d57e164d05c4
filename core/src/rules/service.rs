//! `service-port`: the Services that Flagger makes need a port.

use serde_json::Value;

use super::{Finding, rule_def::RuleDef};
use crate::{
    flagger::canary::whole_number,
    policy::{Mode, Rule},
};

impl Rule {
    /// No port for the Services that Flagger makes.
    pub const SERVICE_PORT: Self = Self::named("service-port");
}

pub(super) const SERVICE_PORT: RuleDef = RuleDef {
    rule: Rule::SERVICE_PORT,
    looks_around: false,
    modes: &[(Mode::Enforce, "")],
    finds: "No `service.port`, or one that is no port. A target that is a Service itself needs none.",
    why: "Flagger cannot make the Services and never gets further ([F18](flagger.md#f18)).",
    fix: "Write the port that clients use, 1 to 65535.",
    check: |input| find(input.canary).into_iter().collect(),
};

/// Finds a Canary whose Services cannot be made (`docs/flagger.md#f18`).
fn find(canary: &Value) -> Option<Finding> {
    let spec = &canary["spec"];
    // Of a target that is a Service itself Flagger makes none.
    if spec["targetRef"]["kind"] == "Service" {
        return None;
    }
    let written = &spec["service"]["port"];
    let (value, message) = if written.is_null() {
        let missing = "there is no port, so that Flagger cannot make the Services and never gets further";
        (String::new(), missing.to_owned())
    } else {
        // What Flagger's int32 cannot hold is `undecodable`.
        let port = whole_number(written).filter(|port| i32::try_from(*port).is_ok() && !(1..=65535).contains(port))?;
        (
            port.to_string(),
            format!("{port} is no port, so that Flagger cannot make the Services and never gets further"),
        )
    };
    Some(Finding {
        rule: Rule::SERVICE_PORT,
        severity: Mode::Enforce,
        at_most: Mode::Enforce,
        field: "spec.service.port".to_owned(),
        value,
        message,
        fix: "write the port that clients use, 1 to 65535".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(spec: &Value) -> Option<String> {
        find(&json!({"spec": spec})).map(|finding| finding.message)
    }

    #[test]
    fn a_port_is_fine_and_a_service_that_is_the_target_needs_none() {
        for spec in [
            json!({"service": {"port": 80}}),
            json!({"service": {"port": 65535}}),
            json!({"service": {"port": 1}}),
            json!({"targetRef": {"kind": "Service", "name": "web"}}),
            // `undecodable` says enough.
            json!({"service": {"port": 80.5}}),
            json!({"service": {"port": "80"}}),
        ] {
            assert_eq!(found(&spec), None, "{spec}");
        }
    }

    #[test]
    fn without_a_port_there_is_no_service() {
        for spec in [json!({}), json!({"service": {}}), json!({"service": {"port": null}})] {
            assert!(
                found(&spec).is_some_and(|said| said.starts_with("there is no port")),
                "{spec}"
            );
        }
        for port in [0, -1, 65536] {
            let said = found(&json!({"service": {"port": port}}));
            assert!(
                said.is_some_and(|said| said.starts_with(&format!("{port} is no port"))),
                "{port}"
            );
        }
    }
}
