package definition

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSplit(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{"plain $ { } {{ x }}", "text:plain $ { } {{ x }}"},
		{"${a}", "${a}"},
		{"x ${a}-${B_1} y", "text:x  ${a} text:- ${B_1} text: y"},
		{"$${a} ${b}", "text:${a}  ${b}"},
		{"$$${a}", "text:$${a}"},
		{"$${${a}", "text:${ ${a}"},
		{"{{ input }}{{input}} {{\tinput\n}}", "{{ input }} {{ input }} text:  {{ input }}"},
		{"{{ inputs }} {{ input }", "text:{{ inputs }} {{ input }"},
	}
	for _, test := range tests {
		pieces, err := split(test.text, true)
		require.NoError(t, err, test.text)
		var got []string
		for _, p := range pieces {
			if p.kind == pieceText {
				got = append(got, "text:"+p.text)
			} else {
				got = append(got, p.String())
			}
		}
		assert.Equal(t, test.want, strings.Join(got, " "), test.text)
	}
	for _, text := range []string{"${", "${}", "${1}", "${a b}", "a ${a-b}", "${" + strings.Repeat("a", 64) + "}", "${${a}}"} {
		_, err := split(text, false)
		assert.ErrorContains(t, err, "begins no ${name}", text)
	}
	pieces, err := split("{{ input }}", false)
	require.NoError(t, err)
	assert.Equal(t, []piece{{pieceText, "{{ input }}"}}, pieces, "only SQL has an input")
}

func TestPlaceholdersInSQL(t *testing.T) {
	good := []string{
		"select ${a}", "x=${a}", "f(${a},${b})", "(${a})", "${a}::date", "-${a}", "a/${a}*2", "x ${a} y",
		"'it''s' || ${a}", "'a', ${a}", `"a""b" = ${a}`, "E'it\\'s', ${a}", "e'\\\\', ${a}", "nameE'\\', ${a}",
		"$$ ' $$, ${a}", "$t$ $$ ' $x$ $t$, ${a}", "a$$b, ${a}", "$1, ${a}", "$1 + ${a}",
		"-- it's\n${a}", "/* ' /* ' */ ' */ ${a}", "/*/ */ ${a}", "x -- y\r${a}", "1e5, ${a}",
		"select * from {{ input }} where x > ${a}", "{{ input }}.x", "-- {{ input }}\n", "'a' as x, {{ input }}",
		"select {{ other }}", "x & ${a}", "'$${a}'", "'a'\n, ${a}",
	}
	for _, sql := range good {
		assert.NoError(t, checkedSQL(sql), sql)
	}
	bad := map[string][]string{
		"stands inside quotes": {
			"'${a}'", "x = 'a ${a}", "'it''s ${a}'", `E'it\'s ${a}'`, `e'\\\' ${a}'`, "$$ ${a} $$", "$t$ $$ ${a} $t$",
			"N'${a}'", "x'${a}'", "U&'${a}'", "'{{ input }}'", "$é$ ' ${a} $é$", "1E'\\' ${a} '", "1e5E'\\' ${a} '",
			"E'a' -- '\n 'b\\' ${a} '", "E'a'\n'b'\n'\\' ${a} '", "\u00a0E'\\' || ${a} '",
		},
		"a quoted name":    {`"${a}"`, `"a""${a}"`, `"{{ input }}"`, `U&"${a}"`},
		"inside a comment": {"-- ${a}", "x --${a}\n", "/* ${a} */", "/* /* */ ${a} */", "/* ${a}", "@--${a}", "1 /*/ ${a}"},
		"must not touch": {
			"E${a}", "x${a}", "1${a}", "${a}1", "${a}x", "'a'${a}", "${a}'a'", `${a}"a"`, "${a}${b}", "é${a}",
			"u&${a}", "U&${a}", "$t${a}$t$", "x{{ input }}", "{{ input }}x", "${a}$$x$$", "{{ input }}{{ input }}",
		},
		"follows a string directly": {"'a' ${a}", "E'a'\n${a}", "E'a' -- x\n ${a}", "$$a$$ ${a}", "${a}\n${b}", "'a' /* */ ${a}"},
	}
	for want, list := range bad {
		for _, sql := range list {
			assert.ErrorContains(t, checkedSQL(sql), want, sql)
		}
	}
}

func checkedSQL(sql string) error {
	pieces, err := split(sql, true)
	if err != nil {
		return err
	}
	return checkSQL(pieces, 1)
}

func TestSQLLexer(t *testing.T) {
	sql := `select E'a\'' "x""y", $q$ '$$ $q$ $1 1.5e-3 /* /* */ */ -- end
'z' $no`
	var got []string
	for l := (sqlLexer{sql: sql}); ; {
		token := l.next()
		if token.kind == sqlEnd {
			break
		}
		if token.kind != sqlSpace {
			got = append(got, fmt.Sprintf("%d:%s", token.kind, token.text(sql)))
		}
	}
	other, name, str, comment := int(sqlOther), int(sqlName), int(sqlString), int(sqlComment)
	want := []string{
		fmt.Sprintf("%d:select", other), fmt.Sprintf(`%d:E'a\''`, str), fmt.Sprintf(`%d:"x""y"`, name), fmt.Sprintf("%d:,", other),
		fmt.Sprintf("%d:$q$ '$$ $q$", str), fmt.Sprintf("%d:$", other), fmt.Sprintf("%d:1", other), fmt.Sprintf("%d:1.5e-3", other),
		fmt.Sprintf("%d:/* /* */ */", comment), fmt.Sprintf("%d:-- end", comment), fmt.Sprintf("%d:'z'", str),
		fmt.Sprintf("%d:$", other), fmt.Sprintf("%d:no", other),
	}
	assert.Equal(t, want, got)
}
