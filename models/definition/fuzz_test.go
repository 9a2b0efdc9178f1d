package definition

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/matih/pipeline-service/models"
)

// FuzzParse: no document makes Parse panic; what it refuses it refuses with places; what it accepts
// means the same in its canonical form, has a graph and agrees with the published schema.
func FuzzParse(f *testing.F) {
	f.Add(chain(5))
	f.Add(wide(10))
	f.Add([]byte(`{"orchestration":{"engine":"airflow","dag_id":"x"}}`))
	f.Add([]byte(`{"sources":{"a":{"type":"jdbc","connection":"c","query":"select '${a}'","a":1,"a":2}}}`))
	example, err := os.ReadFile("testdata/example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(fromYAML(f, string(example)))
	for _, bad := range badDocuments {
		f.Add(fromYAML(f, bad.yaml))
	}
	schema := compiledSchema(f)
	f.Fuzz(func(t *testing.T, doc []byte) {
		d, err := Parse(doc, "body.definition")
		if err != nil {
			var e *models.Error
			if !errors.As(err, &e) || e.Code != models.CodeInvalidDefinition || len(e.Mistakes) == 0 {
				t.Fatalf("not the promised error: %v", err)
			}
			for _, m := range e.Mistakes {
				if !strings.HasPrefix(m.Location, "body.definition") || m.Message == "" || !utf8.ValidString(m.Message) {
					t.Fatalf("a mistake without a place or a message: %+v", m)
				}
			}
			return
		}
		canonical, err := Canonical(doc)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(canonical, "")
		if err != nil {
			t.Fatalf("%s: %v", canonical, err)
		}
		if one, two := asJSON(t, d), asJSON(t, again); one != two {
			t.Fatalf("%s\n%s", one, two)
		}
		if err := validate(t, schema, doc); err != nil {
			t.Fatalf("the schema refuses what Parse accepts: %v", err)
		}
		tasks := len(d.Sources) + len(d.Transformations) + len(d.QualityChecks) + len(d.Sinks)
		if len(d.Graph()) != tasks {
			t.Fatal("tasks are missing in the graph")
		}
	})
}

// FuzzFromYAML: no document makes FromYAML panic or hang; what it gives is JSON that CheckJSON and
// itself accept, JSON being YAML.
func FuzzFromYAML(f *testing.F) {
	for _, seed := range []string{
		"a: &x [1, .5, 0x1F, ~, yes, 2026-02-01]\nb: *x", "? a\n: |\n  x\n", "{a: 'b', \"c\": !!str d}", "a: &a [*a]", "<<: {a: 1}", "--- 1\n--- 2", "%YAML 1.2\n---\na: \"\\x41\\u00e9\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := FromYAML(doc)
		if err != nil {
			if models.CodeOf(err) != models.CodeInvalidRequest {
				t.Fatalf("not the promised error: %v", err)
			}
			return
		}
		if !json.Valid(got) {
			t.Fatalf("not JSON: %s", got)
		}
		if err := CheckJSON(got, "body"); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
	})
}

// FuzzRender: a text parameter becomes exactly one SQL string, wherever Parse lets it stand, and
// changes nothing around it.
func FuzzRender(f *testing.F) {
	f.Add("x = ${p} and y = 'a'", "it's")
	f.Add("x = E'\\'' || ${p} -- c", "\\' or 1=1 --")
	f.Add("$$ ' $$ , ${p}, \"${\"", "${p} {{ input }}")
	f.Add("- ${p} /* ' */ {{ input }} $${p}", "'''")
	f.Fuzz(func(t *testing.T, sql, text string) {
		if strings.Contains(sql, mark) || strings.Contains(text, mark) || !utf8.ValidString(sql+text) {
			return // no document and no parameter holds them
		}
		pieces, err := split(sql, true)
		if err != nil || checkSQL(pieces, 1) != nil {
			return
		}
		given, err := newValue(ParameterString, kindText, text)
		if err != nil {
			t.Fatal(err)
		}
		values, harmless := map[string]value{}, map[string]value{}
		for _, p := range pieces {
			if p.kind == pieceParameter {
				values[p.text] = given
				harmless[p.text] = value{typ: ParameterString, text: "v"}
			}
		}
		rendered, err := renderSQL(pieces, values, []string{"raw"})
		if err != nil {
			t.Fatal(err)
		}
		// With a harmless value the SQL has the same tokens, but for the value.
		other, err := renderSQL(pieces, harmless, []string{"raw"})
		if err != nil {
			t.Fatal(err)
		}
		got, want := tokens(rendered, given.sql()), tokens(other, "'v'")
		// A string of the SQL itself may look like one of the values.
		if got != want && !strings.Contains(sql, given.sql()) && !strings.Contains(sql, "'v'") {
			t.Fatalf("%q: the value changes the SQL around it:\n%s\n%s", sql, got, want)
		}
		if len(values) > 0 && !strings.Contains(got, "VALUE ") {
			t.Fatalf("%q: the value is no string of its own: %s", sql, rendered)
		}
	})
}

// tokens writes SQL as its tokens, with VALUE for the strings that are the given literal.
func tokens(sql, literal string) string {
	var b strings.Builder
	for l := (sqlLexer{sql: sql}); ; {
		token := l.next()
		switch {
		case token.kind == sqlEnd:
			return b.String()
		case token.kind == sqlString && token.text(sql) == literal:
			b.WriteString("VALUE ")
		default:
			b.WriteString(token.text(sql) + "\x01")
		}
	}
}

func asJSON(t *testing.T, v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
