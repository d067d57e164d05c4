// Oracle says what Flagger itself makes of a Canary, so that Curfew's own idea of it can be compared with the original.
//
//	oracle decode     Canary documents (JSON, one per line) in, one JSON line each out: Flagger's codec and getters
//	oracle duration   texts (JSON strings, one per line) in, one JSON line each out: Go's time.ParseDuration
//	oracle shape      the Go type of CanarySpec as JSON: what the tests generate specs from
//	oracle schema     the same as a Rust table: core/src/flagger/schema.rs
//
// core/tests/flagger_codec builds and drives it. A new Flagger is one command, run in this folder after the version in
// go.mod was raised:
//
//	go run . schema > ../../src/flagger/schema.rs
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(2)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("one of decode, duration, shape, schema is wanted")
	}
	w := bufio.NewWriter(out)
	var err error
	switch args[0] {
	case "decode":
		var codec *codec
		if codec, err = newCodec(); err == nil {
			err = eachLine(in, w, func(line []byte) any { return codec.judge(line) })
		}
	case "duration":
		err = eachLine(in, w, parseDuration)
	case "shape":
		err = printShape(w)
	case "schema":
		err = printSchema(w)
	default:
		err = fmt.Errorf("no such mode: %q", args[0])
	}
	return errors.Join(err, w.Flush())
}

// eachLine answers every line, in order. Whoever asks may write all questions before reading the first answer only if
// it reads in another thread: pipes are small.
func eachLine(in io.Reader, out io.Writer, answer func([]byte) any) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for lines.Scan() {
		if err := encoder.Encode(answer(lines.Bytes())); err != nil {
			return err
		}
	}
	return lines.Err()
}
