package main

import (
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode"

	flagger "github.com/fluxcd/flagger/pkg/apis/flagger/v1beta1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// shape is what a Go type accepts when JSON is decoded into it. Pointers are not told apart: the decoder takes null
// for every type.
type shape struct {
	Kind string `json:"kind"`
	// Bits is the size of an int or uint.
	Bits int `json:"bits,omitempty"`
	// Of is the element of a list or map.
	Of *shape `json:"of,omitempty"`
	// Name is the record, one of the book's.
	Name string `json:"name,omitempty"`
}

// field of a record, in the order of the Go struct.
type field struct {
	Name  string `json:"name"`
	Shape shape  `json:"shape"`
}

// book holds every record that can be reached from Root.
type book struct {
	Root    string             `json:"root"`
	Records map[string][]field `json:"records"`
}

var (
	intOrString     = reflect.TypeFor[intstr.IntOrString]()
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func canarySpec() (*book, error) {
	b := &book{Records: map[string][]field{}}
	root, err := b.shapeOf(reflect.TypeFor[flagger.CanarySpec]())
	b.Root = root.Name
	return b, err
}

// shapeOf refuses whatever it does not know, so that a new Flagger with a new kind of field is noticed here.
func (b *book) shapeOf(t reflect.Type) (shape, error) {
	if t == intOrString {
		return shape{Kind: "intOrString"}, nil
	}
	if t.Kind() == reflect.Pointer {
		return b.shapeOf(t.Elem())
	}
	if p := reflect.PointerTo(t); p.Implements(unmarshaler) || p.Implements(textUnmarshaler) {
		return shape{}, fmt.Errorf("%v decodes itself: teach core/src/flagger/decode.rs how, then this function", t)
	}
	switch t.Kind() {
	case reflect.Bool:
		return shape{Kind: "bool"}, nil
	case reflect.String:
		return shape{Kind: "string"}, nil
	case reflect.Float64:
		return shape{Kind: "float"}, nil
	case reflect.Int32, reflect.Int64:
		return shape{Kind: "int", Bits: t.Bits()}, nil
	case reflect.Int:
		// Flagger is published for 64-bit machines and for arm/v7, where an int has 32 bits. The width of the machine
		// that generates the table does not matter: the wide one is the truth for almost everybody.
		return shape{Kind: "int", Bits: 64}, nil
	case reflect.Uint32, reflect.Uint64:
		return shape{Kind: "uint", Bits: t.Bits()}, nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return shape{}, fmt.Errorf("%v decodes base64", t)
		}
		of, err := b.shapeOf(t.Elem())
		return shape{Kind: "list", Of: &of}, err
	case reflect.Map:
		if t.Key().Kind() != reflect.String || reflect.PointerTo(t.Key()).Implements(textUnmarshaler) {
			return shape{}, fmt.Errorf("the keys of %v are not plain strings", t)
		}
		of, err := b.shapeOf(t.Elem())
		return shape{Kind: "map", Of: &of}, err
	case reflect.Struct:
		name := recordName(t)
		if _, known := b.Records[name]; known {
			return shape{Kind: "record", Name: name}, nil
		}
		b.Records[name] = nil // a type may hold itself
		fields, err := b.fieldsOf(t)
		b.Records[name] = fields
		return shape{Kind: "record", Name: name}, err
	default:
		return shape{}, fmt.Errorf("a field of the kind %v (%v) is new", t.Kind(), t)
	}
}

func (b *book) fieldsOf(t reflect.Type) ([]field, error) {
	var fields []field
	for member := range t.Fields() {
		tag := member.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-" || !member.IsExported():
			continue
		case slices.Contains(strings.Split(options, ","), "string"):
			return nil, fmt.Errorf("%v.%s is a number inside a string", t, member.Name)
		case member.Anonymous && name == "":
			return nil, fmt.Errorf("%v embeds %v", t, member.Type)
		case name == "":
			name = member.Name
		}
		if slices.ContainsFunc(fields, func(f field) bool { return f.Name == name }) {
			return nil, fmt.Errorf("%v has two fields named %s", t, name)
		}
		s, err := b.shapeOf(member.Type)
		if err != nil {
			return nil, fmt.Errorf("%v.%s: %w", t, member.Name, err)
		}
		fields = append(fields, field{Name: name, Shape: s})
	}
	return fields, nil
}

// recordName is the type with its API group in front: flagger_v1beta1_CanarySpec.
func recordName(t reflect.Type) string {
	path := strings.Split(t.PkgPath(), "/")
	return strings.Join(append(path[max(0, len(path)-2):], t.Name()), "_")
}

func printShape(out io.Writer) error {
	b, err := canarySpec()
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(b)
}

const head = `//! What the Go types behind a Canary's ` + "`spec`" + ` can hold, field by field: ` + "`CanarySpec`" + ` of Flagger and the types of
//! Istio and the Gateway API that it uses. Generated from Flagger's own code by reflection; do not edit.
//!
//! To follow a new Flagger: raise its version in ` + "`core/tests/oracle/go.mod`" + `, then run in that folder
//! ` + "`go run . schema > ../../src/flagger/schema.rs`" + `. ` + "`core/tests/flagger_codec`" + ` fails when the two differ.

use super::shape::{Record, Shape};
`

func printSchema(out io.Writer) error {
	b, err := canarySpec()
	if err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString(head)
	names := make([]string, 0, len(b.Records))
	for name := range b.Records {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		visibility := ""
		if name == b.Root {
			visibility = "pub(super) "
		}
		// rustfmt would join short records into one line: the table keeps a line for each field.
		fmt.Fprintf(&text, "\n#[rustfmt::skip]\n%sstatic %s: Record = Record(&[\n", visibility, constant(name))
		for _, f := range b.Records[name] {
			fmt.Fprintf(&text, "    (%q, %s),\n", f.Name, rust(f.Shape))
		}
		text.WriteString("]);\n")
	}
	_, err = io.WriteString(out, text.String())
	return err
}

func rust(s shape) string {
	switch s.Kind {
	case "bool":
		return "Shape::Bool"
	case "string":
		return "Shape::Text"
	case "float":
		return "Shape::Float"
	case "intOrString":
		return "Shape::IntOrText"
	case "int":
		return fmt.Sprintf("Shape::Int%d", s.Bits)
	case "uint":
		return fmt.Sprintf("Shape::Uint%d", s.Bits)
	case "list":
		return fmt.Sprintf("Shape::List(&%s)", rust(*s.Of))
	case "map":
		return fmt.Sprintf("Shape::Map(&%s)", rust(*s.Of))
	default:
		return fmt.Sprintf("Shape::Record(&%s)", constant(s.Name))
	}
}

// constant writes flagger_v1beta1_CanarySpec as FLAGGER_V1BETA1_CANARY_SPEC, HTTPHeader as HTTP_HEADER.
func constant(name string) string {
	runes := []rune(name)
	var text strings.Builder
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && runes[i-1] != '_' &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			text.WriteRune('_')
		}
		text.WriteRune(unicode.ToUpper(r))
	}
	return text.String()
}
