package definition

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

func TestFromYAML(t *testing.T) {
	tests := []struct{ name, yaml, want string }{
		{"key order", "b: 1\na: 2\nc: {z: 1, y: 2}", `{"b":1,"a":2,"c":{"z":1,"y":2}}`},
		{"text", "a: 2026-02-01\nb: 2026-02-01T10:00:00Z\nc: yes\nd: No\ne: on\nf: off\ng: y\nh: 12:30:45\ni: 1_000\nj: 0b11\nk: 1.2.3\nl: '5'\nm: \"true\"\nn: !!str 5",
			`{"a":"2026-02-01","b":"2026-02-01T10:00:00Z","c":"yes","d":"No","e":"on","f":"off","g":"y","h":"12:30:45","i":"1_000","j":"0b11","k":"1.2.3","l":"5","m":"true","n":"5"}`},
		{"numbers", "[0, -1, +2, 1.50, .5, -.5, 5., 1e3, 1.E+3, 12345678901234567890]", `[0,-1,2,1.50,0.5,-0.5,5,1e3,1e+3,12345678901234567890]`},
		{"true, false and null", "[true, False, TRUE, null, ~, NULL, ]", `[true,false,true,null,null,null]`},
		{"empty values", "a:\nb: []\nc: {}\nd: ''", `{"a":null,"b":[],"c":{},"d":""}`},
		{"blocks", "a: |\n  x < 1\n  y\nb: >-\n  x\n  y\nc: |\n  5\n", `{"a":"x < 1\ny\n","b":"x y","c":"5\n"}`},
		{"the key on is text", "on: [failed]", `{"on":["failed"]}`},
		{"aliases", "a: &x {k: [1, 2]}\nb: *x", `{"a":{"k":[1,2]},"b":{"k":[1,2]}}`},
		{"JSON", `{"a": [1, "\u00e9", null]}`, `{"a":[1,"é",null]}`},
		{"comments and a document's start", "# hi\n---\na: 1 # x\n...\n", `{"a":1}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := FromYAML([]byte(test.yaml))
			require.NoError(t, err)
			assert.Equal(t, test.want, string(got))
			assert.NoError(t, CheckJSON(got, ""))
		})
	}
}

func TestFromYAMLRefuses(t *testing.T) {
	tests := []struct {
		name, yaml string
		want       []string
	}{
		{"empty", "# nothing\n", []string{"body: is empty"}},
		{"syntax", "a: [1\nb: 2", []string{"body: is not YAML: line 1: did not find expected ',' or ']'"}},
		{"several documents", "a: 1\n---\nb: 2", []string{"body: must be a single document; line 2 begins another"}},
		{"a broken second document", "a: 1\n---\n[", []string{"body: is not YAML: line 3: did not find expected node content"}},
		{"duplicate keys", "a: {b: 1,\n c: 2, b: 3}\na: 1", []string{"body.a.b: line 2: is given twice, first on line 1", "body.a: line 3: is given twice, first on line 1"}},
		{"keys that are not text", "1: a\ntrue: b\n? [x]\n: c\n~: d", []string{"body: line 1: a key must be text; put it in quotes"}},
		{"merge keys", "a: &x {b: 1}\nc: {<<: *x}", []string{`body.c["<<"]: line 2: merge keys are not part of YAML 1.2`}},
		{"not numbers", "a: .nan\nb: -.inf", []string{`body.a: line 1: ".nan" has no place in JSON`, `body.b: line 2: "-.inf" has no place in JSON`}},
		{"what versions read differently", "a: 010\nb: 0x1F\nc: 0o17", []string{
			`body.a: line 1: "010" is read differently by YAML 1.1 and 1.2; write it in decimal, or in quotes if it is text`,
			`body.b: line 2: "0x1F" is read differently by YAML 1.1 and 1.2; write it in decimal, or in quotes if it is text`,
			`body.c: line 3: "0o17" is read differently by YAML 1.1 and 1.2; write it in decimal, or in quotes if it is text`,
		}},
		{"tags", "a: !!binary aGk=\nb: !x {c: 1}\nc: !!set {d}", []string{
			`body.a: line 1: the tag "!!binary" is not supported`, `body.b: line 2: the tag "!x" is not supported`, `body.c: line 3: the tag "!!set" is not supported`,
		}},
		{"depth", strings.Repeat("[", 150) + strings.Repeat("]", 150), []string{"body" + strings.Repeat("[0]", 101) + ": is nested deeper than 100 levels"}},
		{"an alias to itself", "a: &x [*x]", []string{"body.a" + strings.Repeat("[0]", 50) + ": is nested deeper than 100 levels"}},
		{"a NUL", `{a: "\0", "b\0": 1}`, []string{"body.a: line 1: holds a NUL character", `body["b\x00"]: line 1: holds a NUL character`}},
		{"numbers beyond range", "a: 1e400", []string{`body.a: line 1: "1e400" is beyond the range of numbers`}},
		{"invalid UTF-8", "a: \xff", []string{"body: is not YAML: invalid leading UTF-8 octet"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := FromYAML([]byte(test.yaml))
			assert.Equal(t, test.want, lines(t, err, models.CodeInvalidRequest))
		})
	}
}

func TestFromYAMLBombs(t *testing.T) {
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 30; i++ {
		ref := "*a" + string(rune('0'+(i-1)/10)) + string(rune('0'+(i-1)%10))
		if i == 1 {
			ref = "*a0"
		}
		name := "a" + string(rune('0'+i/10)) + string(rune('0'+i%10))
		laughs += name + ": &" + name + " [" + strings.TrimSuffix(strings.Repeat(ref+", ", 10), ", ") + "]\n"
	}
	for name, doc := range map[string]string{
		"aliases that grow": laughs,
		"deep lists":        strings.Repeat("[", 500_000),
		"deep maps":         strings.Repeat("{a: ", 200_000),
		"deep blocks":       strings.Repeat("- ", 400_000),
		"many keys":         strings.Join(numbered("k%d: v", 60_000), "\n"),
		"many comments":     strings.Repeat("# c\n", 200_000) + "a: 1",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, _ = FromYAML([]byte(doc))
			assert.Less(t, time.Since(start), 30*time.Second)
		})
	}
	_, err := FromYAML([]byte(laughs))
	assert.Error(t, err)
}
