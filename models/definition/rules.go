package definition

import (
	"net/url"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// maxIdentifier is how many bytes PostgreSQL keeps of a name; MySQL keeps 64.
const maxIdentifier = 63

// maxPattern bounds regular expressions and globs, whose cost grows with their length.
const maxPattern = 4096

var (
	typeForm  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*( [A-Za-z][A-Za-z0-9_]*)*(\([0-9]{1,4}( ?, ?[0-9]{1,4})?\))?( [A-Za-z][A-Za-z0-9_]*)*(\[\])*$`)
	dagForm   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,250}$`)
	topicForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,249}$`)
)

// checkRule says what is wrong with a text that must follow a rule, "" where nothing is. Rules are
// checked when a text is final: in Parse, or in Bind where it holds parameters.
func checkRule(rule, s string) string {
	switch rule {
	case "": // any text will do
		return ""
	case "prefix", "published_prefix", "registry": // may be empty
		if s == "" {
			return ""
		}
	default:
		if s == "" {
			return "must not be empty"
		}
	}
	switch rule {
	case "table":
		return checkTable(s)
	case "prefix":
		return checkPrefix(s)
	case "published_prefix":
		return checkPublishedPrefix(s)
	case "glob":
		return checkGlob(s)
	case "regex":
		return checkRegex(s)
	case "type":
		if !typeForm.MatchString(s) {
			return quote(s) + " is not a type; write one of DuckDB's, such as VARCHAR, BIGINT, DECIMAL(18,2) or TIMESTAMP"
		}
	case "dag":
		if !dagForm.MatchString(s) {
			return quote(s) + " cannot be a DAG's id; it must be up to 250 letters, digits, dots, dashes or underscores"
		}
	case "topic":
		if !topicForm.MatchString(s) || s == "." || s == ".." {
			return quote(s) + " cannot be a topic; it must be up to 249 letters, digits, dots, dashes or underscores"
		}
	case "offset":
		return checkOffset(s)
	case "webhook", "registry":
		if u, err := url.Parse(s); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return "must be an http or https URL"
		}
	}
	return ""
}

func checkTable(s string) string {
	parts := strings.Split(s, ".")
	if len(parts) > 2 {
		return quote(s) + " must be a table or schema.table"
	}
	for _, part := range parts {
		switch {
		case strings.TrimSpace(part) == "":
			return quote(s) + " must be a table or schema.table"
		case len(part) > maxIdentifier:
			return quote(part) + " is longer than 63 bytes"
		}
	}
	return ""
}

// checkPrefix keeps paths inside what the connection leads to.
func checkPrefix(s string) string {
	if strings.HasPrefix(s, "/") {
		return "must not begin with /; it is relative to the connection's path or bucket"
	}
	for element := range strings.SplitSeq(s, "/") {
		if element == "." || element == ".." {
			return "must not hold the path elements . and .."
		}
	}
	return ""
}

// checkPublishedPrefix is for sinks: readers take files that begin with . or _ for unfinished.
func checkPublishedPrefix(s string) string {
	for element := range strings.SplitSeq(s, "/") {
		if element != "." && element != ".." && (strings.HasPrefix(element, ".") || strings.HasPrefix(element, "_")) {
			return quote(element) + " begins with " + element[:1] + ", which marks files that are not published"
		}
	}
	return checkPrefix(s)
}

func checkGlob(s string) string {
	if problem := checkPrefix(s); problem != "" {
		return problem
	}
	if len(s) > maxPattern || !doublestar.ValidatePattern(s) {
		return quote(s) + " is not a pattern; * matches in a name, ** matches directories, {a,b} one of several, [a-z] a character"
	}
	return ""
}

func checkRegex(s string) string {
	if len(s) > maxPattern {
		return "is longer than 4096 bytes"
	}
	if _, err := syntax.Parse(s, syntax.Perl); err != nil {
		return "is not a regular expression (RE2): " + err.Error()
	}
	return ""
}
