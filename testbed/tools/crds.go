// Package tools pins what a plane is built from. This file keeps the module
// whose CRD manifests are installed, but of which nothing is compiled, in go.mod.
package tools

import _ "sigs.k8s.io/gateway-api/apis/v1"
