package main

import (
	"encoding/json"
	"fmt"

	flagger "github.com/fluxcd/flagger/pkg/apis/flagger/v1beta1"
	"github.com/fluxcd/flagger/pkg/client/clientset/versioned/scheme"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
)

// codec is the decoder that Flagger's generated clientset gives to its REST client, and so to its informers.
type codec struct {
	decoder runtime.Decoder
}

func newCodec() (*codec, error) {
	serializer := rest.CodecFactoryForGeneratedClient(scheme.Scheme, scheme.Codecs).WithoutConversion()
	decoder, err := runtime.NewClientNegotiator(serializer, flagger.SchemeGroupVersion).
		Decoder(runtime.ContentTypeJSON, nil)
	if err != nil {
		return nil, err
	}
	return &codec{decoder: decoder}, nil
}

// verdict is what Flagger makes of one document. A getter that panics is null.
type verdict struct {
	OK bool `json:"ok"`
	// Refused means that the API server itself cannot read the document: it never reaches Flagger.
	Refused bool   `json:"refused,omitempty"`
	Error   string `json:"error,omitempty"`
	// Panic is the first panic of a getter.
	Panic string `json:"panic,omitempty"`
	// Stored is the document as the API server hands it out.
	Stored json.RawMessage `json:"stored,omitempty"`

	Deadline              *int    `json:"deadline"`
	IntervalNanos         *int64  `json:"intervalNanos"`
	Threshold             *int    `json:"threshold"`
	PrimaryReadyThreshold *int    `json:"primaryReadyThreshold"`
	CanaryReadyThreshold  *int    `json:"canaryReadyThreshold"`
	SkipAnalysis          *bool   `json:"skipAnalysis"`
	Strategy              *string `json:"strategy"`
	ApexName              *string `json:"apexName"`
	PrimaryName           *string `json:"primaryName"`
	CanaryName            *string `json:"canaryName"`

	Iterations          *int  `json:"iterations"`
	Mirror              *bool `json:"mirror"`
	MaxWeight           *int  `json:"maxWeight"`
	StepWeight          *int  `json:"stepWeight"`
	StepWeights         []int `json:"stepWeights"`
	StepWeightPromotion *int  `json:"stepWeightPromotion"`
	Suspend             *bool `json:"suspend"`
}

func (c *codec) judge(document []byte) verdict {
	document, err := stored(document)
	if err != nil {
		return verdict{Refused: true, Error: err.Error()}
	}
	v := verdict{Stored: document}

	canary, errGet := c.get(document)
	// Informers start with a list: it must come to the same.
	if errList := c.list(document); (errGet == nil) != (errList == nil) {
		v.Error = fmt.Sprintf("get and list disagree: %v / %v", errGet, errList)
		v.Panic = v.Error
		return v
	}
	if errGet != nil {
		v.Error = errGet.Error()
		return v
	}

	v.OK = true
	v.Deadline = ask(&v, canary.GetProgressDeadlineSeconds)
	v.IntervalNanos = ask(&v, func() int64 { return int64(canary.GetAnalysisInterval()) })
	v.Threshold = ask(&v, canary.GetAnalysisThreshold)
	v.PrimaryReadyThreshold = ask(&v, canary.GetAnalysisPrimaryReadyThreshold)
	v.CanaryReadyThreshold = ask(&v, canary.GetAnalysisCanaryReadyThreshold)
	v.SkipAnalysis = ask(&v, canary.SkipAnalysis)
	v.Strategy = ask(&v, canary.DeploymentStrategy)
	apex, primary, other := canary.GetServiceNames()
	v.ApexName, v.PrimaryName, v.CanaryName = &apex, &primary, &other
	v.Suspend = &canary.Spec.Suspend
	if analysis := canary.GetAnalysis(); analysis != nil {
		v.Iterations = &analysis.Iterations
		v.Mirror = &analysis.Mirror
		v.MaxWeight = &analysis.MaxWeight
		v.StepWeight = &analysis.StepWeight
		v.StepWeights = analysis.StepWeights
		v.StepWeightPromotion = &analysis.StepWeightPromotion
	}
	return v
}

func (c *codec) get(document []byte) (*flagger.Canary, error) {
	canary := &flagger.Canary{}
	if _, _, err := c.decoder.Decode(document, nil, canary); err != nil {
		return nil, err
	}
	return canary, nil
}

func (c *codec) list(document []byte) error {
	list := fmt.Appendf(nil, `{"apiVersion":%q,"kind":"CanaryList","metadata":{},"items":[%s]}`,
		flagger.SchemeGroupVersion.String(), document)
	_, _, err := c.decoder.Decode(list, nil, &flagger.CanaryList{})
	return err
}

// stored is what the API server makes of a custom resource before anybody can watch it: decoded into untyped values
// and written to etcd, then read from there and decoded again. Numbers change on the way: 180.0 and 1.8e2 become 180.
func stored(document []byte) ([]byte, error) {
	for range 2 {
		object, _, err := unstructured.UnstructuredJSONScheme.Decode(document, nil, nil)
		if err != nil {
			return nil, err
		}
		if document, err = runtime.Encode(unstructured.UnstructuredJSONScheme, object); err != nil {
			return nil, err
		}
	}
	return document, nil
}

// ask calls a getter; a Canary without an analysis makes some of them panic.
func ask[T any](v *verdict, getter func() T) (answer *T) {
	defer func() {
		if reason := recover(); reason != nil && v.Panic == "" {
			v.Panic = fmt.Sprint(reason)
		}
	}()
	value := getter()
	return &value
}
