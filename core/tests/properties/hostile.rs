//! Canaries that somebody might send: sound ones, some of them with hostile values, missing parts and wrong shapes.

use fastrand::Rng;
use serde_json::{Value, json};

/// Where something may be wrong.
const SITES: [&str; 38] = [
    "/spec/progressDeadlineSeconds",
    "/spec/progressDeadlineSeconds",
    "/spec/progressDeadlineSeconds",
    "/spec/skipAnalysis",
    "/spec/suspend",
    "/spec/provider",
    "/spec/targetRef/kind",
    "/spec/targetRef",
    "/spec/service",
    "/spec/service/port",
    "/spec/service/port",
    "/spec/service/targetPort",
    "/spec/service/match",
    "/spec/service/retries",
    "/spec/service/trafficPolicy",
    "/spec/analysis",
    "/spec/analysis/interval",
    "/spec/analysis/interval",
    "/spec/analysis/threshold",
    "/spec/analysis/iterations",
    "/spec/analysis/stepWeight",
    "/spec/analysis/stepWeight",
    "/spec/analysis/stepWeights",
    "/spec/analysis/stepWeights",
    "/spec/analysis/stepWeightPromotion",
    "/spec/analysis/maxWeight",
    "/spec/analysis/mirror",
    "/spec/analysis/mirrorWeight",
    "/spec/analysis/primaryReadyThreshold",
    "/spec/analysis/canaryReadyThreshold",
    "/spec/analysis/sessionAffinity",
    "/spec/analysis/webhooks",
    "/spec/analysis/webhooks",
    "/spec/analysis/metrics",
    "/spec/autoscalerRef",
    "/metadata/annotations/curfew.dev~1rollout-deadline",
    "/metadata/annotations/curfew.dev~1rollout-deadline",
    "/spec/canaryAnalysis",
];

/// What fits nowhere, or nearly.
fn anything(random: &mut Rng) -> Value {
    let numbers = [
        0.0,
        -1.0,
        0.5,
        180.5,
        180.0,
        59.0,
        60.0,
        3600.0,
        3601.0,
        100.0,
        101.0,
        2_147_483_647.0,
        2_147_483_648.0,
        -2_147_483_649.0,
        4_294_967_296.0,
        9.223_372_036_854_776e18,
        1e20,
        1e21,
        1e300,
        -1e21,
        5e-324,
    ];
    let whole = [
        0,
        -1,
        1,
        10,
        59,
        60,
        100,
        101,
        3600,
        3601,
        65535,
        65536,
        2_147_483_648,
        i64::MAX,
        i64::MIN,
    ];
    let odd = ["", "0", "x", "180", "5m30", "1m\u{0}", "\u{1f6a8}", "null", "{}"];
    match random.u8(..12) {
        0..=3 => json!(random.choice(numbers)),
        4..=7 => json!(random.choice(whole)),
        8 => json!(random.choice(odd)),
        9 => Value::Null,
        10 => json!([random.i32(-5..200)]),
        _ => json!({"a": random.bool()}),
    }
}

/// What passes the CRD at this place, and may be wrong all the same.
fn fitting(site: &str, random: &mut Rng) -> Value {
    let number = |random: &mut Rng| loop {
        let value = anything(random);
        if value.is_number() {
            return value;
        }
    };
    let duration = |random: &mut Rng| {
        let texts = [
            "30s", "1m", "90s", "0s", "5m30", "1m 5s", "1h30m", "1m1d", "2s", "1m1.5s", "0m0s", "61m", "1m.s", "59.9s",
            "1m-1s",
        ];
        json!(random.choice(texts))
    };
    match site {
        "/spec/skipAnalysis" | "/spec/suspend" | "/spec/analysis/mirror" => json!(random.bool()),
        "/spec/provider" => json!(random.choice(["istio", "gatewayapi:v1", "kubernetes", "nginx", "knative"])),
        "/spec/targetRef/kind" => json!(random.choice(["Deployment", "DaemonSet", "Service"])),
        "/spec/targetRef" => json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "set"}),
        "/spec/service" => json!({"port": number(random)}),
        "/spec/service/targetPort" => {
            json!(random.choice([json!("http"), json!(8080), json!(-2_147_483_649_i64), json!(80.0)]))
        }
        "/spec/service/match" => json!([{"port": 80}, {"port": random.choice([-1, 443, 4_294_967_296_i64])}]),
        "/spec/service/retries" => json!({"attempts": random.choice([3, -1])}),
        "/spec/service/trafficPolicy" => {
            json!({"outlierDetection": {"consecutive5xxErrors": random.choice([5, -1, 4_294_967_296_i64])}})
        }
        "/spec/analysis/interval" => duration(random),
        "/spec/analysis/stepWeights" => json!((0..random.usize(0..4)).map(|_| random.i32(-5..110)).collect::<Vec<_>>()),
        "/spec/analysis/sessionAffinity" => json!({"cookieName": "web", "maxAge": number(random)}),
        "/spec/analysis/webhooks" => json!([
            {"name": "a", "url": "http://a/", "timeout": duration(random)},
            {"name": "b", "url": "http://b/", "type": "rollout", "retries": number(random)},
        ]),
        "/spec/analysis/metrics" => {
            json!([{"name": "load", "interval": duration(random), "thresholdRange": {"max": number(random)}}])
        }
        "/spec/autoscalerRef" => {
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web",
            "primaryScalerReplicas": {"minReplicas": random.choice([1, 2_147_483_648_i64]), "maxReplicas": 5}})
        }
        "/metadata/annotations/curfew.dev~1rollout-deadline" => {
            json!(random.choice([
                "2h", "24h", "24h1s", "1m", "-1h", "0", "0s", "", "soon", "9999999h", "1d"
            ]))
        }
        "/spec/canaryAnalysis" => json!({"interval": "no", "threshold": 0.5}),
        _ => number(random),
    }
}

/// A Canary of this name on a target of this name, with up to three things changed.
pub fn canary(name: &str, random: &mut Rng) -> Value {
    let mut analysis = json!({"interval": "30s", "threshold": 5});
    match random.u8(..3) {
        0 => analysis["iterations"] = json!(10),
        1 => {
            analysis["stepWeight"] = json!(10);
            analysis["maxWeight"] = json!(50);
        }
        _ => analysis["stepWeights"] = json!([5, 20, 50]),
    }
    let mut canary = json!({
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": name, "annotations": {"team": "shop"}},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "progressDeadlineSeconds": 180,
            "service": {"port": 80},
            "analysis": analysis,
        },
    });
    for _ in 0..random.u8(..4) {
        let site = random.choice(SITES).expect("a site");
        match random.u8(..8) {
            0 => remove(&mut canary, site),
            1 => set(&mut canary, site, anything(random)),
            _ => {
                let value = fitting(site, random);
                set(&mut canary, site, value);
            }
        }
    }
    if canary["spec"]["targetRef"]["name"] == "set" {
        canary["spec"]["targetRef"]["name"] = json!(name);
    }
    canary
}

/// What a change before has taken away stays away.
fn set(canary: &mut Value, site: &str, value: Value) {
    let (parent, field) = site.rsplit_once('/').expect("a pointer");
    if let Some(members) = canary.pointer_mut(parent).and_then(Value::as_object_mut) {
        members.insert(field.replace("~1", "/"), value);
    }
}

fn remove(canary: &mut Value, site: &str) {
    let (parent, field) = site.rsplit_once('/').expect("a pointer");
    if let Some(members) = canary.pointer_mut(parent).and_then(Value::as_object_mut) {
        members.remove(&field.replace("~1", "/"));
    }
}
