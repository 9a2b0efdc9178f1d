package cron

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// dateForm is how dates are written.
const dateForm = time.DateOnly

// Times are the due times of an expression in a time zone, without those on some dates.
type Times struct {
	expression *Expression
	zone       *time.Location
	skip       []string
}

// NewTimes makes the due times of an expression in an IANA time zone ("" is UTC) without those on dates such as
// 2026-12-25, which are days of that zone.
func NewTimes(expression, zone string, skip []string) (*Times, error) {
	e, err := Parse(expression)
	if err != nil {
		return nil, err
	}
	location, err := Zone(zone)
	if err != nil {
		return nil, err
	}
	return &Times{expression: e, zone: location, skip: skip}, nil
}

// Zone finds an IANA time zone such as America/New_York; "" is UTC.
func Zone(name string) (*time.Location, error) {
	if strings.EqualFold(name, "local") {
		name = "?" // Go's name for whatever the machine is set to
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%.60q is not an IANA time zone such as UTC or America/New_York", name)
	}
	return zone, nil
}

// CheckDate says what is wrong with a date.
func CheckDate(date string) error {
	if _, err := time.Parse(dateForm, date); err != nil {
		return fmt.Errorf("%.40q is not a date such as 2026-12-25", date)
	}
	return nil
}

// Next returns the first due time after a time; the zero time where none comes.
func (t *Times) Next(after time.Time) time.Time {
	for {
		due := t.expression.Next(after, t.zone)
		if due.IsZero() || !t.Skips(due) {
			return due
		}
		after = due
	}
}

// Skips reports whether a time is on a date that is left out.
func (t *Times) Skips(due time.Time) bool {
	return len(t.skip) > 0 && slices.Contains(t.skip, due.In(t.zone).Format(dateForm))
}

// Between returns the first due times from a time on and before another, at most limit.
func (t *Times) Between(from, to time.Time, limit int) []time.Time {
	var due []time.Time
	for next := t.Next(from.Add(-time.Nanosecond)); len(due) < limit && !next.IsZero() && next.Before(to); next = t.Next(next) {
		due = append(due, next)
	}
	return due
}

// Count returns how many due times there are from a time on and before another; counting ends at limit.
func (t *Times) Count(from, to time.Time, limit int) int {
	n := 0
	for next := t.Next(from.Add(-time.Nanosecond)); n < limit && !next.IsZero() && next.Before(to); next = t.Next(next) {
		n++
	}
	return n
}
