package main

import (
	"encoding/json"
	"time"
)

type durationAnswer struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	Nanos int64  `json:"nanos"`
	// Text is how Go writes the duration.
	Text string `json:"text"`
}

func parseDuration(line []byte) any {
	var text string
	if err := json.Unmarshal(line, &text); err != nil {
		return durationAnswer{Error: "not a JSON string: " + err.Error()}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return durationAnswer{Error: err.Error()}
	}
	return durationAnswer{OK: true, Nanos: int64(d), Text: d.String()}
}
