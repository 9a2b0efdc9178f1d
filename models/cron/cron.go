// Package cron reads cron expressions and tells when they are due.
//
// An expression has five fields: minute, hour, day of month, month, day of week; @hourly, @daily, @weekly, @monthly and
// @yearly stand for the usual ones. Where both day fields are restricted a day need match only one of them, as in
// crontab(5). Times are local to a zone and follow the rule of Temporal Schedules: a local time that a
// change of the clocks leaves out is not due, and one that comes twice is due twice.
package cron

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// farthest is how many years ahead a due time is looked for: 29 February may meet a weekday only every 40.
const farthest = 50

var macros = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// Expression is a cron expression.
type Expression struct {
	minute, hour, month set
	days                []days
}

// days are the days that an expression matches: those whose number and weekday both fit.
type days struct{ month, week set }

// Parse reads an expression. The error names the field that is wrong, and refuses what never comes, such as
// 30 February.
func Parse(text string) (*Expression, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "TZ=") || strings.HasPrefix(text, "CRON_TZ=") {
		return nil, errors.New("name the time zone in timezone, not in the expression")
	}
	if strings.HasPrefix(text, "@") {
		known, ok := macros[strings.ToLower(text)]
		if !ok {
			return nil, fmt.Errorf("%.40q is not known; use @hourly, @daily, @weekly, @monthly, @yearly or five fields", text)
		}
		text = known
	}
	parts := strings.Fields(text)
	if len(parts) != len(fields) {
		return nil, fmt.Errorf("must have five fields (minute, hour, day of month, month, day of week), not %d", len(parts))
	}
	sets := make([]set, len(fields))
	unrestricted := make([]bool, len(fields))
	var wrong []string
	for i, f := range fields {
		var err error
		if sets[i], unrestricted[i], err = f.parse(parts[i]); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	if len(wrong) > 0 {
		return nil, errors.New(strings.Join(wrong, "; "))
	}
	if sets[4].has(7) {
		sets[4] |= 1
	}
	sets[4] &= 1<<7 - 1
	e := &Expression{minute: sets[0], hour: sets[1], month: sets[3], days: []days{{month: sets[2], week: sets[4]}}}
	if !unrestricted[2] && !unrestricted[4] {
		everyDay, _, _ := fields[2].parse("*")
		e.days = []days{{month: sets[2], week: 1<<7 - 1}, {month: everyDay, week: sets[4]}}
	}
	if !e.comes() {
		return nil, fmt.Errorf("day of month: no month of month %s has a day %s", parts[3], parts[2])
	}
	return e, nil
}

// comes reports whether any month has a day that the expression names.
func (e *Expression) comes() bool {
	for _, month := range e.month.values() {
		longest := time.Date(2000, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
		for _, d := range e.days {
			if d.month&(1<<(longest+1)-1) != 0 {
				return true
			}
		}
	}
	return false
}

func (e *Expression) matchesDay(t time.Time) bool {
	for _, d := range e.days {
		if d.month.has(t.Day()) && d.week.has(int(t.Weekday())) {
			return true
		}
	}
	return false
}

// Next returns the first due time after a time, or the zero time where none comes within 50 years.
func (e *Expression) Next(after time.Time, zone *time.Location) time.Time {
	end := after.AddDate(farthest, 0, 0)
	for t := after.In(zone).Truncate(time.Minute).Add(time.Minute); t.Before(end); {
		year, month, day := t.Date()
		switch {
		case !e.month.has(int(month)):
			t = later(t, time.Date(year, month+1, 1, 0, 0, 0, 0, zone))
		case !e.matchesDay(t):
			t = later(t, time.Date(year, month, day+1, 0, 0, 0, 0, zone))
		case !e.hour.has(t.Hour()):
			t = t.Add(time.Duration(60-t.Minute()) * time.Minute)
		case !e.minute.has(t.Minute()):
			t = t.Add(time.Minute)
		default:
			return t.UTC()
		}
	}
	return time.Time{}
}

// later is next, or an hour after t where the clocks leave out the midnight that next stands for, so that it
// is no later than t.
func later(t, next time.Time) time.Time {
	if !next.After(t) {
		return t.Add(time.Hour)
	}
	return next
}

// Calendar matches the times all of whose parts it lists, at second 0.
type Calendar struct {
	Minutes, Hours, DaysOfMonth, Months []int
	DaysOfWeek                          []int // 0 is Sunday
}

// Calendars say what the expression matches: the times that any of them does.
func (e *Expression) Calendars() []Calendar {
	all := make([]Calendar, len(e.days))
	for i, d := range e.days {
		all[i] = Calendar{
			Minutes: e.minute.values(), Hours: e.hour.values(), Months: e.month.values(),
			DaysOfMonth: d.month.values(), DaysOfWeek: d.week.values(),
		}
	}
	return all
}
