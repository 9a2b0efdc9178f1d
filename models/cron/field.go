package cron

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// field is what stands at one place of an expression.
type field struct {
	name     string
	min, max int
	// names may stand for numbers: the first for min, and so on.
	names []string
}

var (
	monthNames = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	dayNames   = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
)

// fields in their order. Both 0 and 7 are Sunday.
var fields = []field{
	{name: "minute", max: 59},
	{name: "hour", max: 23},
	{name: "day of month", min: 1, max: 31},
	{name: "month", min: 1, max: 12, names: monthNames},
	{name: "day of week", max: 7, names: dayNames},
}

// set holds the values that a field matches, as bits.
type set uint64

func (s set) has(v int) bool { return s>>v&1 == 1 }

// values in ascending order.
func (s set) values() []int {
	values := make([]int, 0, bits.OnesCount64(uint64(s)))
	for v := range 64 {
		if s.has(v) {
			values = append(values, v)
		}
	}
	return values
}

// parse reads a list of *, a, a-b, each with a /step or without; a/step goes up to the field's end. any says that it
// begins with *, which makes a day field no restriction of its own.
func (f field) parse(text string) (matched set, any bool, err error) {
	for part := range strings.SplitSeq(text, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
				return 0, false, f.errorf("the step %q is not a positive number", stepText)
			}
		}
		from, to, err := f.span(span, stepped)
		if err != nil {
			return 0, false, err
		}
		for v := from; v <= to; v += step {
			matched |= 1 << v
		}
	}
	return matched, strings.HasPrefix(text, "*"), nil
}

func (f field) span(text string, stepped bool) (from, to int, err error) {
	if text == "*" {
		return f.min, f.max, nil
	}
	first, last, isRange := strings.Cut(text, "-")
	if from, err = f.value(first); err != nil {
		return 0, 0, err
	}
	switch {
	case isRange:
		if to, err = f.value(last); err != nil {
			return 0, 0, err
		}
		if to == 0 && f.max == 7 { // FRI-SUN
			to = 7
		}
		if from > to {
			return 0, 0, f.errorf("the range %s ends before it begins", text)
		}
		return from, to, nil
	case stepped:
		return from, f.max, nil
	default:
		return from, from, nil
	}
}

func (f field) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.min + i, nil
		}
	}
	v, err := strconv.Atoi(text)
	if err != nil || strings.HasPrefix(text, "+") {
		return 0, f.errorf("%q is not a number%s", text, f.orName())
	}
	if v < f.min || v > f.max {
		return 0, f.errorf("%d is not in %d to %d", v, f.min, f.max)
	}
	return v, nil
}

func (f field) orName() string {
	if f.names == nil {
		return ""
	}
	return " or a name such as " + f.names[0]
}

func (f field) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %s", f.name, fmt.Sprintf(format, args...))
}
