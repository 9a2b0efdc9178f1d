package definition

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

func TestCheckJSON(t *testing.T) {
	for _, doc := range []string{`{}`, `[]`, `null`, `"a"`, ` 1.5e10 `, `{"a":{"a":1},"b":[{"a":1},{"a":2}]}`, `"\ud83d\ude00 \\ud800 é"`, `"�"`, `"\uFFFD"`,
		strings.Repeat("[", 100) + strings.Repeat("]", 100)} {
		assert.NoError(t, CheckJSON([]byte(doc), "body"), doc)
	}
	tests := []struct {
		doc  string
		want []string
	}{
		{`{"a":1,"b":{"c":1,"c":2},"a":3}`, []string{"body.b.c: is given twice", "body.a: is given twice"}},
		{`{"a":1,"\u0061":2}`, []string{"body.a: is given twice"}},
		{`{"a":1} x`, []string{"body: is not JSON: line 1, column 9: invalid character 'x' after top-level value"}},
		{`{"a":[1e400,-1e999]}`, []string{`body.a[0]: "1e400" is beyond the range of numbers`, `body.a[1]: "-1e999" is beyond the range of numbers`}},
		{`{"a":NaN}`, []string{"body: is not JSON: line 1, column 6: invalid character 'N' looking for beginning of value"}},
		{`["\ud800","\udc00","\ud800\ud800","\ud800x","\\\ud800"]`, []string{
			"body[0]: holds half of a surrogate pair", "body[1]: holds half of a surrogate pair", "body[2]: holds half of a surrogate pair",
			"body[3]: holds half of a surrogate pair", "body[4]: holds half of a surrogate pair",
		}},
		{`{"\udfff":1}`, []string{"body[\"\uFFFD\"]: holds half of a surrogate pair"}},
		{`["\u0000"]`, []string{"body[0]: holds a NUL character"}},
		{"[\"\xc3\x28\"]", []string{"body: is not valid UTF-8"}},
		{``, []string{"body: is empty"}},
		{strings.Repeat("[", 102) + strings.Repeat("]", 102), []string{"body" + strings.Repeat("[0]", 101) + ": is nested deeper than 100 levels"}},
		{strings.Repeat("[", 100_000), []string{"body: is nested deeper than 100 levels"}},
	}
	for _, test := range tests {
		assert.Equal(t, test.want, lines(t, CheckJSON([]byte(test.doc), "body"), models.CodeInvalidRequest), test.doc[:min(len(test.doc), 60)])
	}
}

func TestCanonical(t *testing.T) {
	got, err := Canonical([]byte(" {\n \"b\" : [ 1.50 , true, null, \"<a> & \\u0062 \\u2028 \\\"\\n\" ],\n\"a\" : { } } "))
	require.NoError(t, err)
	assert.Equal(t, `{"b":[1.50,true,null,"<a> & b \u2028 \"\n"],"a":{}}`, string(got))
	_, err = Canonical([]byte(`{"a":1,"a":2}`))
	assert.Equal(t, []string{"definition.a: is given twice"}, lines(t, err, models.CodeInvalidRequest))
}
