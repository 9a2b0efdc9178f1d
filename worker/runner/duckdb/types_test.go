package duckdb

import (
	"strings"
	"testing"
)

func TestMapType(t *testing.T) {
	for from, want := range map[string]string{
		"HUGEINT":                               "DECIMAL(38,0)",
		"HUGEINT[]":                             "DECIMAL(38,0)[]",
		"HUGEINT[3][]":                          "DECIMAL(38,0)[3][]",
		"DECIMAL(38,10)":                        "DECIMAL(38,10)",
		"TIME WITH TIME ZONE":                   "VARCHAR",
		"TIMESTAMP WITH TIME ZONE":              "TIMESTAMP WITH TIME ZONE",
		"STRUCT(hugeint HUGEINT, b INTERVAL[])": "STRUCT(hugeint DECIMAL(38,0), b VARCHAR[])",
		`STRUCT("a ""(b)"", c" HUGEINT)`:        `STRUCT("a ""(b)"", c" DECIMAL(38,0))`,
		"MAP(VARCHAR, STRUCT(x UHUGEINT))":      "MAP(VARCHAR, STRUCT(x DECIMAL(38,0)))",
		"ENUM('HUGEINT', 'it''s (odd)')":        "ENUM('HUGEINT', 'it''s (odd)')",
		`UNION("name" VARCHAR, age BIGNUM)`:     `UNION("name" VARCHAR, age VARCHAR)`,
		"GEOMETRY('OGC:CRS84')":                 "GEOMETRY('OGC:CRS84')",
	} {
		if got := MapType(from, parquetTypes); got != want {
			t.Errorf("%s became %s, want %s", from, got, want)
		}
	}
}

// FuzzMapType: nothing makes the parser hang or panic, and without a mapping it changes nothing.
func FuzzMapType(f *testing.F) {
	for _, seed := range []string{"STRUCT(a INTEGER, b VARCHAR[])", "ENUM('a', 'b')", "MAP(VARCHAR, STRUCT(x DECIMAL(3,1)[2]))", "STRUCT(", `"`, "[", "MAP(,)"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		MapType(text, parquetTypes)
	})
}

// TestMapTypeKnowsEveryType: what DuckDB itself writes for its types is understood.
func TestMapTypeKnowsEveryType(t *testing.T) {
	ctx := t.Context()
	e, err := Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	columns, err := e.DescribeQuery(ctx, "SELECT * FROM test_all_types()")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range columns {
		if got := MapType(c.Type, nil); got != c.Type {
			t.Errorf("%s: %s became %s", c.Name, c.Type, got)
		}
	}
}

func TestNamesAreHidden(t *testing.T) {
	e := &Engine{hide: strings.NewReplacer("/data/staging/exec-1/rows", "rows")}
	for message, want := range map[string]string{
		"IO Error: cannot open /data/staging/exec-1/rows/part-0.parquet":     "IO Error: cannot open rows/part-0.parquet",
		`Cannot open file "/var/lib/x/y.parquet": No such file`:              `Cannot open file "<path>": No such file`,
		"Parser Error: syntax error\n\nLINE 1: COPY (SELECT\n             ^": "Parser Error: syntax error",
		"Out of Memory\n\nPossible solutions:\n* buy more":                   "Out of Memory",
		"a/b and 1/2 and 10 / 5 stay":                                        "a/b and 1/2 and 10 / 5 stay",
	} {
		if got := e.words(message); got != want {
			t.Errorf("%q became %q, want %q", message, got, want)
		}
	}
}

func TestSimilar(t *testing.T) {
	got := Similar("amuont", []string{"id", "amount", "Amounts", "day"})
	if len(got) != 1 || got[0] != "amount" {
		t.Errorf("got %v", got)
	}
}
