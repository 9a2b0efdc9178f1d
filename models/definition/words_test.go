package definition

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSuggest(t *testing.T) {
	words := []string{"table", "query", "connection", "watermark_column"}
	for given, want := range map[string]string{
		"tabel": "table", "qeury": "query", "conection": "connection", "watermark_columns": "watermark_column",
		"topic": "", "": "", strings.Repeat("table", 20): "",
	} {
		got := suggest(given, words)
		if want == "" {
			assert.Empty(t, got, given)
		} else {
			assert.Equal(t, "; did you mean "+want+"?", got)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"ca", "abc", 3}, {"abcdef", "uvwxyz", 5}} {
		assert.Equal(t, test.want, distance(test.a, test.b, 5), test)
		assert.Equal(t, test.want, distance(test.b, test.a, 5), test)
	}
}
