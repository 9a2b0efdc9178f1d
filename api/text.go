package api

import (
	"strings"
	"unicode"

	"github.com/matih/pipeline-service/models"
)

// checkLine finds what keeps a text from being a name: control and other characters that do not print
// (line breaks, NUL, escapes, text direction), and blanks at its ends. Length is the schema's business.
func checkLine(location, s string) []models.Mistake {
	var found []models.Mistake
	if strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) {
		found = append(found, models.Mistake{Location: location, Message: "must hold printable characters only"})
	}
	if strings.TrimSpace(s) != s {
		found = append(found, models.Mistake{Location: location, Message: "must not begin or end with a blank"})
	}
	return found
}

// checkText allows what checkLine allows, and line breaks and tabs.
func checkText(location, s string) []models.Mistake {
	bad := func(c rune) bool { return !unicode.IsPrint(c) && c != '\n' && c != '\r' && c != '\t' }
	if strings.ContainsFunc(s, bad) {
		return []models.Mistake{{Location: location, Message: "must hold printable characters, line breaks and tabs only"}}
	}
	return nil
}

// words joins values as in a sentence: a, b or c.
func words[T ~string](values []T) string {
	var text string
	for i, v := range values {
		switch {
		case i == 0:
		case i == len(values)-1:
			text += " or "
		default:
			text += ", "
		}
		text += string(v)
	}
	return text
}
