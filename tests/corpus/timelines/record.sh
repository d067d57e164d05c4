#!/bin/bash
# Makes the recordings anew: cargo xtask plane --no-curfew --record FILE -- tests/corpus/timelines/record.sh
# Each runs in a namespace of its own, all at once; cut.sh cuts FILE into one recording for each.
set -euo pipefail

# install NAMESPACE PODS OUTCOME SPEC: an application and its Canary, whose spec goes on with SPEC.
install() {
  kubectl create namespace "$1"
  deployment "$@"
  canary "$@"
  phase "$1" Initialized
}

deployment() {
  kubectl create -f - <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: $1}
spec:
  replicas: $2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {plane.curfew.dev/outcome: "$3"}}
    spec: {containers: [{name: log, image: "log:1"}, {name: app, image: "app:1"}]}
YAML
}

canary() {
  kubectl create -f - <<YAML
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web, namespace: $1}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
$4
YAML
}

# push NAMESPACE OUTCOME: a second version, whose pods do that.
push() {
  kubectl --namespace "$1" patch deployment web --patch "
spec:
  template:
    metadata: {annotations: {plane.curfew.dev/outcome: '$2'}}
    spec: {containers: [{name: app, image: 'app:2'}]}"
}

phase() {
  kubectl --namespace "$1" wait canary/web --for "jsonpath={.status.phase}=$2" --timeout 6m
}

# whole NAMESPACE: what is to be recorded has happened; cut.sh stops here.
whole() {
  kubectl label namespace "$1" recorded=whole
}

# goes_on NAMESPACE SECONDS: nothing ends the rollout for so long.
goes_on() {
  phase "$1" Progressing
  sleep "$2"
}

# One pod of four crash-loops.
f1() {
  install f1 4 ready '
  progressDeadlineSeconds: 30
  service: {port: 80}
  analysis: {interval: 10s, threshold: 3, iterations: 1}'
  push f1 crash-one
  goes_on f1 75
  whole f1
}

# The incident to the letter: the pods' last container runs 4 s and crashes, again and again.
f1b() {
  install f1b 2 ready '
  progressDeadlineSeconds: 180
  service: {port: 80}
  analysis: {interval: 10s, threshold: 3, iterations: 20}'
  push f1b crash-last:4
  goes_on f1b 370
  whole f1b
}

# A pod breaks while 20 % of the traffic go to the canary.
f3() {
  install f3 4 ready '
  provider: gatewayapi:v1
  progressDeadlineSeconds: 30
  service: {port: 80, gatewayRefs: [{name: gateway, namespace: default}]}
  analysis: {interval: 10s, threshold: 3, stepWeight: 20, maxWeight: 60}'
  push f3 ready
  kubectl --namespace f3 wait canary/web --for 'jsonpath={.status.canaryWeight}=20' --timeout 2m
  local pod
  pod=$(kubectl --namespace f3 get pods --selector app=web --output name | head -n 1)
  kubectl --namespace f3 annotate "$pod" plane.curfew.dev/outcome=crash --overwrite
  sleep 75
  whole f3
}

# Pods that are ready when Flagger looks and crash in between, in an analysis of twelve steps.
f4() {
  install f4 2 ready '
  progressDeadlineSeconds: 120
  service: {port: 80}
  analysis: {interval: 10s, threshold: 3, iterations: 12}'
  push f4 flap:20:8
  phase f4 Progressing
  phase f4 Succeeded
  whole f4
}

# Pods that flap: each time they are ready, Flagger counts anew.
f5() {
  install f5 2 ready '
  progressDeadlineSeconds: 25
  service: {port: 80}
  analysis: {interval: 20s, threshold: 3, iterations: 20}'
  push f5 flap:3:6
  goes_on f5 100
  whole f5
}

# The first initialization of a live workload, whose primary takes longer than the deadline.
f8() {
  kubectl create namespace f8
  local app=(f8 2 ready-after:50 '
  progressDeadlineSeconds: 30
  service: {port: 80}
  analysis: {interval: 10s, threshold: 3, iterations: 1}')
  deployment "${app[@]}"
  kubectl --namespace f8 wait deployment/web --for 'jsonpath={.status.availableReplicas}=2' --timeout 2m
  canary "${app[@]}"
  phase f8 Failed
  kubectl --namespace f8 wait deployment/web --for 'jsonpath={.spec.replicas}=0' --timeout 1m
  whole f8
}

f1 & f1b & f3 & f4 & f5 & f8 &
for _ in 1 2 3 4 5 6; do wait -n; done
