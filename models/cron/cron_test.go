package cron_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models/cron"
)

func TestMistakesNameTheField(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "must have five fields (minute, hour, day of month, month, day of week), not 0",
		"* * * * * *":        "must have five fields (minute, hour, day of month, month, day of week), not 6",
		"60 * * * *":         "minute: 60 is not in 0 to 59",
		"* 24 * * *":         "hour: 24 is not in 0 to 23",
		"* * 0 * *":          "day of month: 0 is not in 1 to 31",
		"* * * 13 *":         "month: 13 is not in 1 to 12",
		"* * * FOO *":        `month: "FOO" is not a number or a name such as JAN`,
		"* * * * 8":          "day of week: 8 is not in 0 to 7",
		"*/0 * * * *":        `minute: the step "0" is not a positive number`,
		"5-1 * * * *":        "minute: the range 5-1 ends before it begins",
		"1, * * * *":         `minute: "" is not a number`,
		"-1 * * * *":         `minute: "" is not a number`,
		"+1 * * * *":         `minute: "+1" is not a number`,
		"x 99 * * *":         `minute: "x" is not a number; hour: 99 is not in 0 to 23`,
		"* * L * *":          `day of month: "L" is not a number`,
		"0 0 30 2 *":         "day of month: no month of month 2 has a day 30",
		"0 0 31 4,6,9,11 *":  "day of month: no month of month 4,6,9,11 has a day 31",
		"@every 5s":          `"@every 5s" is not known; use @hourly, @daily, @weekly, @monthly, @yearly or five fields`,
		"TZ=UTC * * * * *":   "name the time zone in timezone, not in the expression",
		"CRON_TZ=X 0 0 * * ": "name the time zone in timezone, not in the expression",
	} {
		_, err := cron.Parse(text)
		assert.EqualError(t, err, want, text)
	}
}

// due lists the first n due times after a time, in the zone's own words.
func due(t *testing.T, expression, zone, after string, n int, skip ...string) []string {
	t.Helper()
	times, err := cron.NewTimes(expression, zone, skip)
	require.NoError(t, err)
	location, err := time.LoadLocation(zone)
	require.NoError(t, err)
	at, err := time.ParseInLocation(time.DateTime, after, location)
	require.NoError(t, err)
	var all []string
	for range n {
		if at = times.Next(at); at.IsZero() {
			return append(all, "never")
		}
		assert.Equal(t, time.UTC, at.Location())
		all = append(all, at.In(location).Format("2006-01-02 15:04 MST"))
	}
	return all
}

func TestNext(t *testing.T) {
	const newYork = "America/New_York"
	for name, c := range map[string]struct {
		expression, zone, after string
		skip, want              []string
	}{
		"every minute":       {"* * * * *", "UTC", "2026-02-12 10:30:15", nil, []string{"2026-02-12 10:31 UTC", "2026-02-12 10:32 UTC"}},
		"strictly after":     {"30 10 * * *", "UTC", "2026-02-12 10:30:00", nil, []string{"2026-02-13 10:30 UTC"}},
		"steps and lists":    {"5/20,59 8-9/1 * * *", "UTC", "2026-02-12 08:26:00", nil, []string{"2026-02-12 08:45 UTC", "2026-02-12 08:59 UTC", "2026-02-12 09:05 UTC"}},
		"names":              {"0 6 * jan,Feb mon-FRI", "UTC", "2026-02-27 07:00:00", nil, []string{"2027-01-01 06:00 UTC", "2027-01-04 06:00 UTC"}},
		"through Sunday":     {"0 6 * * FRI-SUN", "UTC", "2026-02-27 07:00:00", nil, []string{"2026-02-28 06:00 UTC", "2026-03-01 06:00 UTC", "2026-03-06 06:00 UTC"}},
		"seven is Sunday":    {"0 6 * * 7", "UTC", "2026-02-27 07:00:00", nil, []string{"2026-03-01 06:00 UTC"}},
		"either day field":   {"0 0 13 * FRI", "UTC", "2026-03-01 00:00:00", nil, []string{"2026-03-06 00:00 UTC", "2026-03-13 00:00 UTC", "2026-03-20 00:00 UTC", "2026-03-27 00:00 UTC", "2026-04-03 00:00 UTC", "2026-04-10 00:00 UTC", "2026-04-13 00:00 UTC"}},
		"both with a star":   {"0 0 */10 * FRI", "UTC", "2026-03-01 00:00:00", nil, []string{"2026-05-01 00:00 UTC", "2026-07-31 00:00 UTC"}},
		"31st":               {"0 0 31 * *", "UTC", "2026-01-31 00:00:00", nil, []string{"2026-03-31 00:00 UTC", "2026-05-31 00:00 UTC"}},
		"29 February":        {"0 12 29 2 *", "UTC", "2026-01-01 00:00:00", nil, []string{"2028-02-29 12:00 UTC", "2032-02-29 12:00 UTC"}},
		"over 2100":          {"0 12 29 2 *", "UTC", "2096-03-01 00:00:00", nil, []string{"2104-02-29 12:00 UTC"}},
		"macro":              {"@Monthly", "UTC", "2026-01-31 00:00:00", nil, []string{"2026-02-01 00:00 UTC"}},
		"clocks forward":     {"30 2 * * *", newYork, "2026-03-07 00:00:00", nil, []string{"2026-03-07 02:30 EST", "2026-03-09 02:30 EDT"}},
		"clocks back":        {"30 1 * * *", newYork, "2026-10-31 12:00:00", nil, []string{"2026-11-01 01:30 EDT", "2026-11-01 01:30 EST", "2026-11-02 01:30 EST"}},
		"hourly, forward":    {"0 * * * *", newYork, "2026-03-08 00:30:00", nil, []string{"2026-03-08 01:00 EST", "2026-03-08 03:00 EDT"}},
		"hourly, back":       {"0 * * * *", newYork, "2026-11-01 00:30:00", nil, []string{"2026-11-01 01:00 EDT", "2026-11-01 01:00 EST", "2026-11-01 02:00 EST"}},
		"no midnight":        {"0 0 * * *", "America/Asuncion", "2023-09-30 12:00:00", nil, []string{"2023-10-02 00:00 -03"}},
		"month of no start":  {"15 0 1 10 *", "America/Asuncion", "2023-09-30 12:00:00", nil, []string{"2024-10-01 00:15 -04"}},
		"half an hour":       {"45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00:00", nil, []string{"2026-04-05 01:45 +1030", "2026-04-06 01:45 +1030"}},
		"back in the east":   {"30 2 * * *", "Europe/Berlin", "2026-10-24 12:00:00", nil, []string{"2026-10-25 02:30 CET", "2026-10-26 02:30 CET"}},
		"skipped dates":      {"0 6 * * *", newYork, "2026-12-24 12:00:00", []string{"2026-12-25", "2026-12-26"}, []string{"2026-12-27 06:00 EST"}},
		"skips are local":    {"30 23 * * *", newYork, "2026-12-24 12:00:00", []string{"2026-12-25"}, []string{"2026-12-24 23:30 EST", "2026-12-26 23:30 EST"}},
		"weekday, star step": {"0 0 29 2 */7", "UTC", "2026-01-01 00:00:00", nil, []string{"2032-02-29 00:00 UTC", "2060-02-29 00:00 UTC"}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, due(t, c.expression, c.zone, c.after, len(c.want), c.skip...))
		})
	}
}

func TestBetween(t *testing.T) {
	times, err := cron.NewTimes("0 6 * * *", "UTC", nil)
	require.NoError(t, err)
	from, to := time.Date(2026, 2, 1, 6, 0, 0, 0, time.UTC), time.Date(2026, 2, 4, 6, 0, 0, 0, time.UTC)
	got := times.Between(from, to, 100)
	require.Len(t, got, 3, "from is in it, to is not")
	assert.Equal(t, from, got[0])
	assert.Equal(t, got[:2], times.Between(from, to, 2))
	assert.Equal(t, 3, times.Count(from, to, 100))
	assert.Equal(t, 2, times.Count(from, to, 2))
	assert.Zero(t, times.Count(to, from, 100))
}

func TestZones(t *testing.T) {
	for _, zone := range []string{"Local", "local", "Mars/Olympus", "../etc/passwd", "EST5EDT4"} {
		_, err := cron.Zone(zone)
		assert.ErrorContains(t, err, "is not an IANA time zone", zone)
	}
	for _, zone := range []string{"", "UTC", "Europe/Berlin", "Asia/Kathmandu"} {
		_, err := cron.Zone(zone)
		assert.NoError(t, err, zone)
	}
	assert.NoError(t, cron.CheckDate("2028-02-29"))
	for _, date := range []string{"", "2026-02-29", "2026-2-1", "25.12.2026"} {
		assert.Error(t, cron.CheckDate(date), date)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"0 6 * * *", "*/5 1-3,7 1,15 JAN-MAR MON", "@daily", "0 0 29 2 */7", "5/20 * * * 7"} {
		f.Add(text, int64(1_770_000_000))
	}
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		e, err := cron.Parse(text)
		if err != nil || seconds < 0 || seconds > 4e9 {
			return
		}
		after := time.Unix(seconds, 0)
		next := e.Next(after, zone)
		if next.IsZero() {
			return
		}
		assert.True(t, next.After(after))
		assert.Zero(t, next.Second())
	})
}
