//! Where a provider's routes send the traffic, for the providers that can be read back.

use serde_json::Value;

use super::canary::Canary;

/// A provider whose routes can be read (`pkg/apis/flagger/v1beta1/provider.go` names all of Flagger's).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// `kubernetes`: the apex Service selects the primary's pods.
    Kubernetes,
    /// `gatewayapi:v1` and `gatewayapi:v1beta1`: the weights of an `HTTPRoute`.
    GatewayApi,
    /// `istio`: the weights of a `VirtualService`.
    Istio,
}

// === impl Provider ===

impl Provider {
    /// The provider of this name, if its routes can be read.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "kubernetes" => Some(Self::Kubernetes),
            "gatewayapi:v1" | "gatewayapi:v1beta1" => Some(Self::GatewayApi),
            "istio" => Some(Self::Istio),
            _ => None,
        }
    }
}

/// Whether an apex Service, `HTTPRoute` or `VirtualService` sends everything to the primary. What has another shape than
/// Flagger gives it does not, as far as anybody can tell.
#[must_use]
pub fn are_on_primary(provider: Provider, object: &Value, canary: &Canary) -> bool {
    match provider {
        Provider::Kubernetes => {
            let primary = canary.primary_name();
            let selector = object["spec"]["selector"].as_object();
            selector.is_some_and(|labels| labels.values().any(|value| *value == primary.as_str()))
        }
        Provider::GatewayApi => {
            let backends = each(&object["spec"]["rules"], "backendRefs");
            let mirrors = each(&object["spec"]["rules"], "filters");
            let mirrored = mirrors.iter().any(|filter| filter["type"] == "RequestMirror");
            !mirrored && weights_are_on_primary(&backends, canary, |backend| &backend["name"])
        }
        Provider::Istio => {
            let rules = &object["spec"]["http"];
            let mirrored = rules
                .as_array()
                .is_some_and(|rules| rules.iter().any(|rule| !rule["mirror"].is_null()));
            let routes = each(rules, "route");
            !mirrored && weights_are_on_primary(&routes, canary, |route| &route["destination"]["host"])
        }
    }
}

/// Everything in the lists of this name in each of several rules.
fn each<'a>(rules: &'a Value, list: &str) -> Vec<&'a Value> {
    let rules = rules.as_array().into_iter().flatten();
    rules.filter_map(|rule| rule[list].as_array()).flatten().collect()
}

fn weights_are_on_primary(routes: &[&Value], canary: &Canary, host: impl Fn(&Value) -> &Value) -> bool {
    let primary = format!("{}-primary", canary.apex_name());
    let goes_to_primary = |route: &Value| host(route).as_str().is_some_and(|host| host == primary);
    // Without a weight of its own a route gets everything.
    let weight = |route: &Value| route["weight"].as_i64().unwrap_or(100);
    let all_on_primary = routes.iter().all(|route| goes_to_primary(route) || weight(route) == 0);
    all_on_primary && routes.iter().any(|route| goes_to_primary(route) && weight(route) > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn on_primary(provider: Provider, object: &Value) -> bool {
        let canary = Canary::from_json(json!({"spec": {"targetRef": {"name": "web"}, "service": {"name": "shop"}}}));
        are_on_primary(provider, object, &canary)
    }

    #[test]
    fn an_apex_service_selects_the_primary_or_it_does_not() {
        let service = |selector: Value| json!({"spec": {"selector": selector}});
        assert!(on_primary(
            Provider::Kubernetes,
            &service(json!({"app": "web-primary"}))
        ));
        for other in [json!({"app": "web"}), json!({}), json!(null), json!("web-primary")] {
            assert!(!on_primary(Provider::Kubernetes, &service(other.clone())), "{other}");
        }
    }

    #[test]
    fn every_weight_of_a_route_counts() {
        let route = |primary: i64, canary: i64| {
            json!({"spec": {"rules": [{"backendRefs": [
                {"name": "shop-primary", "weight": primary}, {"name": "shop-canary", "weight": canary}]}]}})
        };
        assert!(on_primary(Provider::GatewayApi, &route(100, 0)));
        assert!(!on_primary(Provider::GatewayApi, &route(99, 1)));
        assert!(!on_primary(Provider::GatewayApi, &route(0, 0)));
        let mut second = route(100, 0);
        let rules = second["spec"]["rules"].as_array_mut().expect("rules");
        rules.push(json!({"backendRefs": [{"name": "shop-canary"}]}));
        assert!(!on_primary(Provider::GatewayApi, &second));
        let mut mirrored = route(100, 0);
        mirrored["spec"]["rules"][0]["filters"] = json!([{"type": "RequestMirror"}]);
        assert!(!on_primary(Provider::GatewayApi, &mirrored));
        for shapeless in [
            json!({}),
            json!({"spec": {"rules": 3}}),
            json!({"spec": {"rules": [{}]}}),
        ] {
            assert!(!on_primary(Provider::GatewayApi, &shapeless), "{shapeless}");
        }
    }

    #[test]
    fn a_virtual_service_has_weights_and_mirrors_too() {
        let service = |canary: i64, mirror: Value| {
            json!({"spec": {"http": [{"mirror": mirror, "route": [
                {"destination": {"host": "shop-primary"}, "weight": 100 - canary},
                {"destination": {"host": "shop-canary"}, "weight": canary}]}]}})
        };
        assert!(on_primary(Provider::Istio, &service(0, json!(null))));
        assert!(!on_primary(Provider::Istio, &service(5, json!(null))));
        assert!(!on_primary(
            Provider::Istio,
            &service(0, json!({"host": "shop-canary"}))
        ));
    }
}
