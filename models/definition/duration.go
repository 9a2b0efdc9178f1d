package definition

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

const (
	day         = 24 * time.Hour
	maxDuration = 366 * day
)

const durationText = "a time span such as 10s, 5m, 1h30m or 7d"

// durationPattern is the form of a duration; each unit stands once, the greater before the lesser.
const durationPattern = `^(?:[0-9]+(?:\.[0-9]+)?d)?(?:[0-9]+(?:\.[0-9]+)?h)?(?:[0-9]+(?:\.[0-9]+)?m)?` +
	`(?:[0-9]+(?:\.[0-9]+)?s)?(?:[0-9]+(?:\.[0-9]+)?ms)?$`

var (
	durationForm = regexp.MustCompile(durationPattern)
	durationPart = regexp.MustCompile(`([0-9.]+)([a-z]+)`)
)

// ParseDuration reads text such as 10s, 5m, 1h30m, 250ms or 7d. It must be positive and at most a
// (leap) year.
func ParseDuration(text string) (Duration, error) {
	if text == "" || len(text) > 64 || !durationForm.MatchString(text) {
		return 0, fmt.Errorf("%s is not %s", quote(text), durationText)
	}
	var total float64
	for _, part := range durationPart.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseFloat(part[1], 64)
		if err != nil {
			return 0, fmt.Errorf("%s is not %s", quote(text), durationText)
		}
		total += n * float64(unit(part[2]))
	}
	switch {
	case total < float64(time.Millisecond):
		return 0, fmt.Errorf("%s is too short; at least 1ms", quote(text))
	case total > float64(maxDuration):
		return 0, fmt.Errorf("%s is too long; at most 366d", quote(text))
	}
	return Duration(time.Duration(total).Round(time.Microsecond)), nil
}

func unit(name string) time.Duration {
	switch name {
	case "d":
		return day
	case "h":
		return time.Hour
	case "m":
		return time.Minute
	case "s":
		return time.Second
	default:
		return time.Millisecond
	}
}

// String writes the duration as ParseDuration reads it, and zero as 0s.
func (d Duration) String() string {
	rest := time.Duration(d)
	if rest == 0 {
		return "0s"
	}
	var b strings.Builder
	for _, name := range []string{"d", "h", "m", "s"} {
		if n := rest / unit(name); n > 0 {
			fmt.Fprintf(&b, "%d%s", n, name)
			rest %= unit(name)
		}
	}
	if rest > 0 {
		b.WriteString(strconv.FormatFloat(float64(rest)/float64(time.Millisecond), 'f', -1, 64) + "ms")
	}
	return b.String()
}

// MarshalJSON writes the text of String.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("a duration must be text: %w", err)
	}
	if text == "0s" {
		*d = 0
		return nil
	}
	parsed, err := ParseDuration(text)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

func (d *Duration) decode(dec *decoder, n *node, at *path) {
	if !dec.is(n, kindText, at) {
		return
	}
	parsed, err := ParseDuration(n.text)
	if err != nil {
		dec.add(at, "%v", err)
		return
	}
	*d = parsed
}

// JSONSchema describes the text form.
func (Duration) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "string", Pattern: durationPattern, MinLength: new(uint64(1)),
		Description: durationText + "; at most a year",
		Examples:    []any{"10s", "5m", "1h30m", "7d"},
	}
}
