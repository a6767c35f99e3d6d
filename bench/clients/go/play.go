// What the Go clients share: reading the script, values as JSON, the play itself.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	long   = 2000      // bytes; longer values are shown by length and digest
	many   = 200       // more rows than these are shown by number and digest
	ownOid = 16384     // from here on oids are the installation's own
	line   = 1_000_000 // bytes of the script's longest line
)

type param struct {
	T      string          `json:"t"`
	V      json.RawMessage `json:"v"`
	Repeat []any           `json:"repeat"`
}

type step struct {
	Name, Op, SQL, End, Data   string
	Channel, Payload, Password string
	Database, Options          string
	Batch, Batches             int
	Params                     json.RawMessage
	Steps, Queries             []step
}

type outcome = map[string]any

// player is a driver: do plays one step of a kind it knows, or answers false.
type player interface {
	do(s step) (outcome, error, bool)
	failure(err error) any
	takeNotices() []any
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func playStep(p player, s step) outcome {
	found, err, known := p.do(s)
	switch {
	case !known:
		return outcome{"skipped": "not in this client"}
	case err != nil:
		return outcome{"error": p.failure(err)}
	}
	return found
}

func play(p player, script string) {
	file, err := os.Open(script)
	check(err)
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, line), line)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var s step
		check(json.Unmarshal(lines.Bytes(), &s))
		found := playStep(p, s)
		if notices := p.takeNotices(); len(notices) > 0 {
			found["notices"] = notices
		}
		check(out.Encode(outcome{"step": s.Name, "outcome": found}))
	}
	check(lines.Err())
}

func (s step) params() []param {
	var found []param
	if len(s.Params) > 0 {
		check(json.Unmarshal(s.Params, &found))
	}
	return found
}

func (s step) sets() [][]param {
	var found [][]param
	check(json.Unmarshal(s.Params, &found))
	return found
}

func into[T any](raw json.RawMessage) T {
	var value T
	check(json.Unmarshal(raw, &value))
	return value
}

// native is a parameter in the types that people pass to a driver; arrays are left to the driver.
func native(p param) any {
	if p.Repeat != nil {
		return strings.Repeat(p.Repeat[0].(string), int(p.Repeat[1].(float64)))
	}
	if string(p.V) == "null" {
		return nil
	}
	switch p.T {
	case "int2", "int4":
		return into[int64](p.V)
	case "int8":
		number, err := strconv.ParseInt(into[string](p.V), 10, 64)
		check(err)
		return number
	case "float8":
		return into[float64](p.V)
	case "bool":
		return into[bool](p.V)
	case "jsonb":
		return string(p.V)
	case "bytea":
		bytes, err := hex.DecodeString(into[string](p.V))
		check(err)
		return bytes
	case "timestamptz":
		when, err := time.Parse(time.RFC3339Nano, into[string](p.V))
		check(err)
		return when
	case "int4[]":
		return into[[]int32](p.V)
	case "text[]":
		return into[[]string](p.V)
	}
	return into[string](p.V)
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func shown(value any) any {
	text := ""
	switch v := value.(type) {
	case nil, bool, int64, int32, int16, int:
		return v
	case string:
		text = v
	case []byte:
		text = "bytes " + hex.EncodeToString(v)
	case time.Time:
		text = "time " + v.UTC().Format(time.RFC3339Nano)
	default:
		text = fmt.Sprintf("%T %v", v, v)
	}
	if len(text) > long {
		return fmt.Sprintf("%d bytes, %s", len(text), digest(text))
	}
	return text
}

func few(rows []any) any {
	if len(rows) <= many {
		return rows
	}
	text, err := json.Marshal(rows)
	check(err)
	return outcome{"rows": len(rows), "digest": digest(string(text))}
}
