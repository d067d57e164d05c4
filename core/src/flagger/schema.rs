//! What the Go types behind a Canary's `spec` can hold, field by field: `CanarySpec` of Flagger and the types of
//! Istio and the Gateway API that it uses. Generated from Flagger's own code by reflection; do not edit.
//!
//! To follow a new Flagger: raise its version in `core/tests/oracle/go.mod`, then run in that folder
//! `go run . schema > ../../src/flagger/schema.rs`. `core/tests/flagger_codec` fails when the two differ.

use super::shape::{Record, Shape};

#[rustfmt::skip]
static COMMON_V1ALPHA1_STRING_MATCH: Record = Record(&[
    ("exact", Shape::Text),
    ("prefix", Shape::Text),
    ("suffix", Shape::Text),
    ("regex", Shape::Text),
]);

#[rustfmt::skip]
static FLAGGER_V1BETA1_AUTOSCALER_REFERENCE: Record = Record(&[
    ("apiVersion", Shape::Text),
    ("kind", Shape::Text),
    ("name", Shape::Text),
    ("primaryScalerQueries", Shape::Map(&Shape::Text)),
    ("primaryScalerReplicas", Shape::Record(&FLAGGER_V1BETA1_SCALER_REPLICAS)),
]);

#[rustfmt::skip]
static FLAGGER_V1BETA1_CANARY_ALERT: Record = Record(&[
    ("name", Shape::Text),
    ("severity", Shape::Text),
    ("providerRef", Shape::Record(&FLAGGER_V1BETA1_CROSS_NAMESPACE_OBJECT_REFERENCE)),
]);

#[rustfmt::skip]
static FLAGGER_V1BETA1_CANARY_ANALYSIS: Record = Record(&[
    ("interval", Shape::Text),
    ("iterations", Shape::Int64),
    ("mirror", Shape::Bool),
    ("mirrorWeight", Shape::Int64),
    ("maxWeight", Shape::Int64),
    ("stepWeight", Shape::Int64),
    ("stepWeights", Shape::List(&Shape::Int64)),
    ("stepWeightPromotion", Shape::Int64),
    ("threshold", Shape::Int64),
    ("primaryReadyThreshold", Shape::Int64),
    ("canaryReadyThreshold", Shape::Int64),
    ("alerts", Shape::List(&Shape::Record(&FLAGGER_V1BETA1_CANARY_ALERT))),
    ("metrics", Shape::List(&Shape::Record(&FLAGGER_V1BETA1_CANARY_METRIC))),
    ("webhooks", Shape::List(&Shape::Record(&FLAGGER_V1BETA1_CANARY_WEBHOOK))),
    ("match", Shape::List(&Shape::Record(&ISTIO_V1BETA1_HTTP_MATCH_REQUEST))),
    ("sessionAffinity", Shape::Record(&FLAGGER_V1BETA1_SESSION_AFFINITY)),
]);

#[rustfmt::skip]
static FLAGGER_V1BETA1_CANARY_METRIC: Record = Record(&[
    ("name", Shape::Text),
    ("interval", Shape::Text),
    ("threshold", Shape::Float),
    ("thresholdRange", Shape::Record(&FLAGGER_V1BETA1_CANARY_THRESHOLD_RANGE)),
    ("query", Shape::Text),
    ("templateRef", Shape::Record(&FLAGGER_V1BETA1_CROSS_NAMESPACE_OBJECT_REFERENCE)),
    ("templateVariables", Shape::Map(&Shape::Text)),
]);

#[rustfmt::skip]
static FLAGGER_V1BETA1_CANARY_SERVICE: Record = Record(&[
    ("name", Shape::Text),
    ("port", Shape::Int32),
    ("portName", Shape::Text),
    ("targetPort", Shape::IntOrText),
    ("appProtocol", Shape::Text),
    ("trafficDistribution", Shape::Text),
    ("portDiscovery", Shape::Bool),
    ("headless", Shape::Bool),
    ("timeout", Shape::Text),
    ("backendTimeout", Shape::Text),
    ("gateways", Shape::List(&Shape::Text)),
    ("gatewayRefs", Shape::List(&Shape::Record(&GATEWAYAPI_V1BETA1_PARENT_REFERENCE))),
    ("hosts", Shape::List(&Shape::Text)),
    ("delegation", Shape::Bool),
    ("trafficPolicy", Shape::Record(&ISTIO_V1BETA1_TRAFFIC_POLICY)),
    ("match", Shape::List(&Shape::Record(&ISTIO_V1BETA1_HTTP_MATCH_REQUEST))),
    ("rewrite", Shape::Record(&FLAGGER_V1BETA1_HTTP_REWRITE)),
    ("retries", Shape::Record(&ISTIO_V1BETA1_HTTP_RETRY)),
    ("headers", Shape::Record(&ISTIO_V1BETA1_HEADERS)),
    ("mirror", Shape::List(&Shape::Record(&GATEWAYAPI_V1BETA1_HTTP_REQUEST_MIRROR_FILTER))),
    ("corsPolicy", Shape::Record(&ISTIO_V1BETA1_CORS_POLICY)),
    ("meshName", Shape::Text),
    ("backends", Shape::List(&Shape::Text)),
    ("apex", Shape::Record(&FLAGGER_V1BETA1_CUSTOM_METADATA)),
    ("primary", Shape::Record(&FLAGGER_V1BETA1_CUSTOM_METADATA)),
    ("canary", Shape::Record(&FLAGGER_V1BETA1_CUSTOM_METADATA)),
    ("unmanagedMetadata", Shape::Record(&FLAGGER_V1BETA1_UNMANAGED_METADATA)),
]);

#[rustfmt::skip]
pub(super) static FLAGGER_V1BETA1_CANARY_SPEC: Record = Record(&[
    ("provider", Shape::Text),
    ("metricsServer", Shape::Text),
    ("targetRef", Shape::Record(&FLAGGER_V1BETA1_LOCAL_OBJECT_REFERENCE)),
    ("autoscalerRef", Shape::Record(&FLAGGER_V1BETA1_AUTOSCALER_REFERENCE)),
    ("ingressRef", Shape::Record(&FLAGGER_V1BETA1_LOCAL_OBJECT_REFERENCE)),
    ("routeRef", Shape::Record(&FLAGGER_V1BETA1_LOCAL_OBJECT_REFERENCE)),
    ("upstreamRef", Shape::Record(&FLAGGER_V1BETA1_CROSS_NAMESPACE_OBJECT_REFERENCE)),
    ("service", Shape::Record(&FLAGGER_V1BETA1_CANARY_SERVICE)),
    ("analysis", Shape::Record(&FLAGGER_V1BETA1_CANARY_ANALYSIS)),
    ("canaryAnalysis", Shape::Record(&FLAGGER_V1BETA1_CANARY_ANALYSIS)),
    ("progressDeadlineSeconds", Shape::Int32),
    ("skipAnalysis", Shape::Bool),
    ("revertOnDeletion", Shape::Bool),
    ("suspend", Shape::Bool),
]);

#[rustfmt::skip]
static FLAGGER_V1BETA1_CANARY_THRESHOLD_RANGE: Record = Record(&[
    ("min", Shape::Float),
    ("max", Shape::Float),
]);

#[rustfmt::skip]
static FLAGGER_V1BETA1_CANARY_WEBHOOK: Record = Record(&[
    ("type", Shape::Text),
    ("name", Shape::Text),
    ("url", Shape::Text),
    ("muteAlert", Shape::Bool),
    ("timeout", Shape::Text),
    ("metadata", Shape::Map(&Shape::Text)),
    ("retries", Shape::Int64),
    ("disableTLS", Shape::Bool),
]);

#[rustfmt::skip]
static FLAGGER_V1BETA1_CROSS_NAMESPACE_OBJECT_REFERENCE: Record = Record(&[
    ("apiVersion", Shape::Text),
    ("kind", Shape::Text),
    ("name", Shape::Text),
    ("namespace", Shape::Text),
]);

#[rustfmt::skip]
static FLAGGER_V1BETA1_CUSTOM_METADATA: Record = Record(&[
    ("labels", Shape::Map(&Shape::Text)),
    ("annotations", Shape::Map(&Shape::Text)),
]);

#[rustfmt::skip]
static FLAGGER_V1BETA1_HTTP_REWRITE: Record = Record(&[
    ("uri", Shape::Text),
    ("authority", Shape::Text),
    ("type", Shape::Text),
]);

#[rustfmt::skip]
static FLAGGER_V1BETA1_LOCAL_OBJECT_REFERENCE: Record = Record(&[
    ("apiVersion", Shape::Text),
    ("kind", Shape::Text),
    ("name", Shape::Text),
]);

#[rustfmt::skip]
static FLAGGER_V1BETA1_SCALER_REPLICAS: Record = Record(&[
    ("minReplicas", Shape::Int32),
    ("maxReplicas", Shape::Int32),
]);

#[rustfmt::skip]
static FLAGGER_V1BETA1_SESSION_AFFINITY: Record = Record(&[
    ("cookieName", Shape::Text),
    ("domain", Shape::Text),
    ("httpOnly", Shape::Bool),
    ("maxAge", Shape::Int64),
    ("partitioned", Shape::Bool),
    ("path", Shape::Text),
    ("sameSite", Shape::Text),
    ("secure", Shape::Bool),
    ("primaryCookieName", Shape::Text),
]);

#[rustfmt::skip]
static FLAGGER_V1BETA1_UNMANAGED_METADATA: Record = Record(&[
    ("annotations", Shape::List(&Shape::Text)),
    ("labels", Shape::List(&Shape::Text)),
]);

#[rustfmt::skip]
static GATEWAYAPI_V1BETA1_BACKEND_OBJECT_REFERENCE: Record = Record(&[
    ("group", Shape::Text),
    ("kind", Shape::Text),
    ("name", Shape::Text),
    ("namespace", Shape::Text),
    ("port", Shape::Int32),
]);

#[rustfmt::skip]
static GATEWAYAPI_V1BETA1_HTTP_REQUEST_MIRROR_FILTER: Record = Record(&[
    ("backendRef", Shape::Record(&GATEWAYAPI_V1BETA1_BACKEND_OBJECT_REFERENCE)),
]);

#[rustfmt::skip]
static GATEWAYAPI_V1BETA1_PARENT_REFERENCE: Record = Record(&[
    ("group", Shape::Text),
    ("kind", Shape::Text),
    ("namespace", Shape::Text),
    ("name", Shape::Text),
    ("sectionName", Shape::Text),
    ("port", Shape::Int32),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_CONNECTION_POOL_SETTINGS: Record = Record(&[
    ("tcp", Shape::Record(&ISTIO_V1BETA1_TCP_SETTINGS)),
    ("http", Shape::Record(&ISTIO_V1BETA1_HTTP_SETTINGS)),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_CONSISTENT_HASH_LB: Record = Record(&[
    ("httpHeaderName", Shape::Text),
    ("httpCookie", Shape::Record(&ISTIO_V1BETA1_HTTP_COOKIE)),
    ("useSourceIp", Shape::Bool),
    ("minimumRingSize", Shape::Uint64),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_CORS_POLICY: Record = Record(&[
    ("allowOrigin", Shape::List(&Shape::Text)),
    ("allowOrigins", Shape::List(&Shape::Record(&COMMON_V1ALPHA1_STRING_MATCH))),
    ("allowMethods", Shape::List(&Shape::Text)),
    ("allowHeaders", Shape::List(&Shape::Text)),
    ("exposeHeaders", Shape::List(&Shape::Text)),
    ("maxAge", Shape::Text),
    ("allowCredentials", Shape::Bool),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_DISTRIBUTE: Record = Record(&[
    ("from", Shape::Text),
    ("to", Shape::Map(&Shape::Uint32)),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_FAILOVER: Record = Record(&[
    ("from", Shape::Text),
    ("to", Shape::Text),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_HTTP_COOKIE: Record = Record(&[
    ("name", Shape::Text),
    ("path", Shape::Text),
    ("ttl", Shape::Text),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_HTTP_MATCH_REQUEST: Record = Record(&[
    ("name", Shape::Text),
    ("uri", Shape::Record(&COMMON_V1ALPHA1_STRING_MATCH)),
    ("scheme", Shape::Record(&COMMON_V1ALPHA1_STRING_MATCH)),
    ("method", Shape::Record(&COMMON_V1ALPHA1_STRING_MATCH)),
    ("authority", Shape::Record(&COMMON_V1ALPHA1_STRING_MATCH)),
    ("headers", Shape::Map(&Shape::Record(&COMMON_V1ALPHA1_STRING_MATCH))),
    ("port", Shape::Uint32),
    ("sourceLabels", Shape::Map(&Shape::Text)),
    ("gateways", Shape::List(&Shape::Text)),
    ("queryParams", Shape::Map(&Shape::Record(&COMMON_V1ALPHA1_STRING_MATCH))),
    ("ignoreUriCase", Shape::Bool),
    ("withoutHeaders", Shape::Map(&Shape::Record(&COMMON_V1ALPHA1_STRING_MATCH))),
    ("sourceNamespace", Shape::Text),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_HTTP_RETRY: Record = Record(&[
    ("attempts", Shape::Int64),
    ("perTryTimeout", Shape::Text),
    ("retryOn", Shape::Text),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_HTTP_SETTINGS: Record = Record(&[
    ("h2UpgradePolicy", Shape::Text),
    ("http1MaxPendingRequests", Shape::Int32),
    ("http2MaxRequests", Shape::Int32),
    ("maxRequestsPerConnection", Shape::Int32),
    ("maxRetries", Shape::Int32),
    ("idleTimeout", Shape::Text),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_HEADER_OPERATIONS: Record = Record(&[
    ("set", Shape::Map(&Shape::Text)),
    ("add", Shape::Map(&Shape::Text)),
    ("remove", Shape::List(&Shape::Text)),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_HEADERS: Record = Record(&[
    ("request", Shape::Record(&ISTIO_V1BETA1_HEADER_OPERATIONS)),
    ("response", Shape::Record(&ISTIO_V1BETA1_HEADER_OPERATIONS)),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_LOAD_BALANCER_SETTINGS: Record = Record(&[
    ("simple", Shape::Text),
    ("consistentHash", Shape::Record(&ISTIO_V1BETA1_CONSISTENT_HASH_LB)),
    ("localityLbSetting", Shape::Record(&ISTIO_V1BETA1_LOCALITY_LB_SETTING)),
    ("warmupDurationSecs", Shape::Text),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_LOCALITY_LB_SETTING: Record = Record(&[
    ("distribute", Shape::List(&Shape::Record(&ISTIO_V1BETA1_DISTRIBUTE))),
    ("failover", Shape::List(&Shape::Record(&ISTIO_V1BETA1_FAILOVER))),
    ("failover_priority", Shape::List(&Shape::Text)),
    ("enabled", Shape::Bool),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_OUTLIER_DETECTION: Record = Record(&[
    ("consecutiveErrors", Shape::Int32),
    ("consecutiveGatewayErrors", Shape::Uint32),
    ("consecutive5xxErrors", Shape::Uint32),
    ("splitExternalLocalOriginErrors", Shape::Bool),
    ("consecutiveLocalOriginFailures", Shape::Uint32),
    ("interval", Shape::Text),
    ("baseEjectionTime", Shape::Text),
    ("maxEjectionPercent", Shape::Int32),
    ("minHealthPercent", Shape::Int32),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_PORT_SELECTOR: Record = Record(&[
    ("number", Shape::Uint32),
    ("name", Shape::Text),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_PORT_TRAFFIC_POLICY: Record = Record(&[
    ("port", Shape::Record(&ISTIO_V1BETA1_PORT_SELECTOR)),
    ("loadBalancer", Shape::Record(&ISTIO_V1BETA1_LOAD_BALANCER_SETTINGS)),
    ("connectionPool", Shape::Record(&ISTIO_V1BETA1_CONNECTION_POOL_SETTINGS)),
    ("outlierDetection", Shape::Record(&ISTIO_V1BETA1_OUTLIER_DETECTION)),
    ("tls", Shape::Record(&ISTIO_V1BETA1_TLS_SETTINGS)),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_TCP_SETTINGS: Record = Record(&[
    ("maxConnections", Shape::Int32),
    ("connectTimeout", Shape::Text),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_TLS_SETTINGS: Record = Record(&[
    ("mode", Shape::Text),
    ("clientCertificate", Shape::Text),
    ("privateKey", Shape::Text),
    ("caCertificates", Shape::Text),
    ("subjectAltNames", Shape::List(&Shape::Text)),
    ("sni", Shape::Text),
]);

#[rustfmt::skip]
static ISTIO_V1BETA1_TRAFFIC_POLICY: Record = Record(&[
    ("loadBalancer", Shape::Record(&ISTIO_V1BETA1_LOAD_BALANCER_SETTINGS)),
    ("connectionPool", Shape::Record(&ISTIO_V1BETA1_CONNECTION_POOL_SETTINGS)),
    ("outlierDetection", Shape::Record(&ISTIO_V1BETA1_OUTLIER_DETECTION)),
    ("tls", Shape::Record(&ISTIO_V1BETA1_TLS_SETTINGS)),
    ("portLevelSettings", Shape::List(&Shape::Record(&ISTIO_V1BETA1_PORT_TRAFFIC_POLICY))),
]);
