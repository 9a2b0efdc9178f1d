package duckdb

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"

	driver "github.com/duckdb/duckdb-go/v2"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// CheckSelect makes sure that the text is exactly one statement that only returns rows. DuckDB's own
// parser decides, so that no comment or quoting can hide a second statement.
func (e *Engine) CheckSelect(ctx context.Context, text string) error {
	raw, err := e.ParseTree(ctx, text)
	if err != nil {
		return err
	}
	var parsed struct {
		Error      bool              `json:"error"`
		Type       string            `json:"error_type"`
		Message    string            `json:"error_message"`
		Statements []json.RawMessage `json:"statements"`
	}
	if err := json.Unmarshal(raw, &parsed); err != nil {
		return fault.Internal("read the parsed statement", err)
	}
	switch {
	case parsed.Error && parsed.Type == "not implemented":
		return fault.Errorf(models.ClassSQL, "the SQL must be one SELECT: other statements are not allowed (a PIVOT needs its values listed with IN)")
	case parsed.Error:
		return fault.Errorf(models.ClassSQL, "%s", e.words("Parser Error: "+parsed.Message))
	case len(parsed.Statements) == 0:
		return fault.Errorf(models.ClassSQL, "the SQL is empty")
	case len(parsed.Statements) > 1:
		return fault.Errorf(models.ClassSQL, "the SQL must be one SELECT, but it holds %d statements", len(parsed.Statements))
	}
	return e.prepare(ctx, text)
}

// ParseTree returns DuckDB's parse tree of a statement as JSON, without what has its default value. That of the latest statement
// is kept: a transformation checks its own and then asks for its lineage.
func (e *Engine) ParseTree(ctx context.Context, text string) ([]byte, error) {
	if e.parsed.tree != nil && e.parsed.text == text {
		return e.parsed.tree, nil
	}
	var raw string
	err := e.conn.QueryRowContext(ctx, "SELECT CAST(json_serialize_sql(CAST(? AS VARCHAR), skip_default := true, "+
		"skip_empty := true, skip_null := true) AS VARCHAR)", text).Scan(&raw)
	if err != nil {
		return nil, e.failure(ctx, err)
	}
	e.parsed.text, e.parsed.tree = text, []byte(raw)
	return e.parsed.tree, nil
}

// prepare binds a statement without running it, so that what is wrong with it is said in terms of
// the user's own text.
func (e *Engine) prepare(ctx context.Context, text string) error {
	statement, err := e.conn.PrepareContext(ctx, text)
	if err != nil {
		failure := e.failure(ctx, err)
		var duck *driver.Error
		if f := (*task.Failure)(nil); errors.As(failure, &f) && errors.As(err, &duck) && f.Class == models.ClassSQL {
			f.Message = e.plain(duck.Msg)
		}
		return failure
	}
	return statement.Close()
}

// inputMark is the one template expression of SQL; every other {{ }} stays as it is.
var inputMark = regexp.MustCompile(`\{\{\s*input\s*\}\}`)

// NameInput puts the name of the single input in place of {{ input }}.
func NameInput(text, name string) string {
	return inputMark.ReplaceAllLiteralString(text, Ident(name))
}
