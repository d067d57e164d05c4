#!/bin/bash
# cut.sh FILE: cuts a recording of record.sh into one for each namespace, beside this script, up to where that
# namespace is labelled as whole. Of pods, what a replay does not look at (spec, owners, addresses) is left out; everything else is as it was.
set -euo pipefail
for namespace in f1 f1b f3 f4 f5 f8; do
  jq --compact-output --arg namespace "$namespace" '
    select(.object.metadata.namespace == $namespace or .object.kind == "Namespace" and .object.metadata.name == $namespace)
    | if .object.kind == "Pod" then del(.object.spec, .object.metadata.ownerReferences, .object.status["hostIP", "hostIPs", "podIP", "podIPs"]) else . end
    | {at, type, object}' "$1" |
    awk '{ print } /"kind":"Namespace"/ && /"recorded":"whole"/ { exit }' >"$(dirname "$0")/$namespace.jsonl" || true
done
