// Package cron reads cron expressions and tells when they are due.
//
// An expression has five fields: minute, hour, day of month, month, day of week; @hourly, @daily, @weekly, @monthly and
// @yearly stand for the usual ones. Where both day fields are restricted a day need match only one of them, as in
// crontab(5). Times are local to a zone and follow Temporal Schedules: a local time that a change of the clocks leaves out
// is not due; one that comes twice is due twice west of Greenwich, and east of it mostly the second time alone.
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

// Next returns the first due time after a time, or the zero time where none comes within 50 years.
func (e *Expression) Next(after time.Time, zone *time.Location) time.Time {
	var first time.Time
	for _, d := range e.days {
		if next := e.next(d, after.In(zone)); first.IsZero() || !next.IsZero() && next.Before(first) {
			first = next
		}
	}
	return first
}

// next is the first time after a time, in its zone, on certain days. It goes the way of Temporal's server, step by step
// (service/worker/scheduler/calendar.go), for what is due where the clocks go back follows from that way alone: whether
// an hour that comes twice is tried twice depends on whether the search comes past the one before, and on which of the
// two time.Date stands for.
func (e *Expression) next(on days, after time.Time) time.Time {
	zone := after.Location()
	year, month, day := after.Date()
	hour, minute := after.Hour(), after.Minute()+1
	last := year + farthest
	repeated := time.Duration(0) // an hour while in the second copy of one
	if after.Add(-time.Hour).Hour() == hour {
		repeated = time.Hour
	}
	for {
		if minute >= 60 {
			before := time.Date(year, month, day, hour, 0, 0, 0, zone)
			hour, minute = hour+1, 0
			if repeated == 0 && time.Date(year, month, day, hour, 0, 0, 0, zone).Sub(before) > time.Hour {
				hour--
				repeated = time.Hour
			} else {
				repeated = 0
			}
		}
		if hour >= 24 {
			day, hour = day+1, 0
		}
		if day > daysIn(year, month) {
			month, day = month+1, 1
		}
		if month > time.December {
			year, month = year+1, time.January
		}
		switch {
		case year > last:
			return time.Time{}
		case !e.month.has(int(month)):
			month, day, hour, minute, repeated = month+1, 1, 0, 0, 0
			continue
		case !on.month.has(day) || !on.week.has(int(time.Date(year, month, day, hour, minute, 0, 0, zone).Weekday())):
			day, hour, minute, repeated = day+1, 0, 0, 0
			continue
		}
		// The day is not looked at again from here on, as where its midnight is left out it seems to be the one before.
		for hour < 24 && !e.hour.has(hour) {
			hour, minute, repeated = hour+1, 0, 0
		}
		for hour < 24 && minute < 60 && !e.minute.has(minute) {
			minute++
		}
		if hour >= 24 || minute >= 60 {
			continue
		}
		due := time.Date(year, month, day, hour, minute, 0, 0, zone)
		if due.Hour() == hour {
			return due.Add(repeated).UTC()
		}
		hour, minute = hour+1, 0 // the clocks leave this one out
	}
}

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
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
