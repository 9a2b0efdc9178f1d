package definition

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Values are the parameters of one execution and the built-ins, ready to be rendered.
type Values struct {
	byName map[string]value
}

// value is a parameter's value. Its type decides how it is written in SQL; the null value, which
// only an undeclared parameter can have, has none.
type value struct {
	typ  ParameterType
	text string    // as given
	time time.Time // of a timestamp
}

// newValue checks a JSON value against a type.
func newValue(typ ParameterType, k kind, text string) (value, error) {
	v := value{typ: typ, text: text}
	want := kindText
	switch typ {
	case ParameterInteger, ParameterNumber:
		want = kindNumber
	case ParameterBoolean:
		want = kindBoolean
	}
	if k != want {
		return value{}, fmt.Errorf("must be %v (%s), not %v", want, typ, k)
	}
	switch typ {
	case ParameterString:
		if strings.IndexByte(text, 0) >= 0 {
			return value{}, fmt.Errorf("holds a NUL character")
		}
	case ParameterInteger:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return value{}, fmt.Errorf("%s is not a whole number of 64 bits", quote(text))
		}
		v.text = strconv.FormatInt(n, 10)
	case ParameterNumber:
		if !finite(text) {
			return value{}, fmt.Errorf("%s is not a number", quote(text))
		}
	case ParameterDate:
		if day, err := time.Parse(time.DateOnly, text); err != nil || day.Year() < 1 {
			return value{}, fmt.Errorf("%s is not a date; write it as 2026-02-01", quote(text))
		}
	case ParameterTimestamp:
		var t time.Time
		if err := t.UnmarshalText([]byte(text)); err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
			return value{}, fmt.Errorf("%s is not a timestamp; write it as 2026-02-01T06:30:00Z", quote(text))
		}
		v.time = t
	}
	return v, nil
}

// undeclared gives a value the type its JSON form suggests.
func undeclared(n *node) (value, error) {
	switch n.kind {
	case kindText:
		return newValue(ParameterString, n.kind, n.text)
	case kindNumber:
		return newValue(ParameterNumber, n.kind, n.text)
	case kindBoolean:
		return newValue(ParameterBoolean, n.kind, n.text)
	case kindNull:
		return value{}, nil
	default:
		return value{}, fmt.Errorf("must be text, a number, true or false, or null; not %v", n.kind)
	}
}

func timestampValue(t time.Time) value {
	return value{typ: ParameterTimestamp, text: t.UTC().Format(time.RFC3339Nano), time: t}
}

// sql writes the value as a literal that PostgreSQL and DuckDB read alike. Negative numbers stand
// in parentheses: behind a minus sign they would begin a comment.
func (v value) sql() string {
	switch v.typ {
	case ParameterString:
		return sqlText(v.text)
	case ParameterInteger, ParameterNumber:
		if strings.HasPrefix(v.text, "-") {
			return "(" + v.text + ")"
		}
		return v.text
	case ParameterBoolean:
		return strings.ToUpper(v.text)
	case ParameterDate:
		return "DATE " + sqlText(v.text)
	case ParameterTimestamp:
		return "TIMESTAMPTZ " + sqlText(v.time.UTC().Format("2006-01-02 15:04:05.000000")+"+00")
	default:
		return "NULL"
	}
}

func sqlText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// json writes the value as JSON, for fields that hold text or numbers.
func (v value) json() []byte {
	n := node{kind: kindText, text: v.text}
	switch v.typ {
	case ParameterInteger, ParameterNumber:
		n.kind = kindNumber
	case ParameterBoolean:
		n.kind = kindBoolean
	}
	return n.json()
}
