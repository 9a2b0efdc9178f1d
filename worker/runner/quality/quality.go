// Package quality looks at the rows of a step, counts those that fail a check, and splits them off
// where the check says so.
package quality

import (
	"context"
	"fmt"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// Engine runs the queries of a check.
type Engine interface {
	CheckSelect(ctx context.Context, text string) error
	Describe(ctx context.Context, name string) ([]task.Column, error)
	CreateView(ctx context.Context, name, query string) error
	CreateTable(ctx context.Context, name, query string) error
	QueryRow(ctx context.Context, query string, into ...any) error
	QueryEach(ctx context.Context, query string, each func(scan func(...any) error) error) error
}

var _ Engine = (*duckdb.Engine)(nil)

// Names of the relations a check makes, which no step can have: steps begin with a letter.
const (
	PassingView = "_passing" // the rows that go on
	FailingView = "_failing" // the rows set aside, with CheckColumn and ReasonColumn

	CheckColumn  = "_check"
	ReasonColumn = "_reason"

	failingRows = "_failing_rows" // what custom_sql returned, kept
	flaggedRows = "_flagged_rows" // the input with a flag, kept
	flagColumn  = "_fails"
)

// sampleRows bounds the evidence.
const sampleRows = 10

// plan is a check as SQL.
type plan struct {
	// count returns rows and failing rows, both BIGINT.
	count string
	// failing and passing select whole rows of the input; empty where the data set fails as a whole.
	failing, passing string
	// kept is a query to be kept as the table keptAs before failing and passing are asked, because asked
	// twice it might answer differently.
	kept, keptAs string
	// words says what a failing row is, as in "12 of 3000 rows …".
	words string
	// whole is the finding about the data set as a whole; it replaces count.
	whole func(ctx context.Context, rows int64) (failed bool, message string, err error)
}

// Run looks at the check's input, which the engine has bound with everything else it reads.
func Run(ctx context.Context, e Engine, c *definition.QualityCheck, now time.Time) (*task.CheckResult, error) {
	p, err := build(ctx, e, c, now)
	if err != nil {
		return nil, err
	}
	if p.whole != nil {
		return runWhole(ctx, e, c, p)
	}
	if p.kept != "" {
		if err := e.CreateTable(ctx, p.keptAs, p.kept); err != nil {
			return nil, err
		}
	}
	res := &task.CheckResult{}
	if err := e.QueryRow(ctx, p.count, &res.Rows, &res.Failing); err != nil {
		return nil, err
	}
	if res.Rows > 0 {
		res.Share = min(float64(res.Failing)/float64(res.Rows), 1)
	} else if res.Failing > 0 {
		res.Share = 1
	}
	res.Passed = res.Failing == 0 || res.Share <= c.Threshold
	res.Message = fmt.Sprintf("%d of %d rows (%s) %s; %s may", res.Failing, res.Rows, percent(res.Share), p.words, percent(c.Threshold))
	if res.Failing == 0 {
		res.Message = fmt.Sprintf("none of %d rows %s", res.Rows, p.words)
	}
	if res.Failing > 0 {
		if res.Sample, err = sample(ctx, e, p.failing); err != nil {
			return nil, err
		}
	}
	if c.OnFailure == definition.OnFailureQuarantine && !res.Passed {
		return res, split(ctx, e, c, p)
	}
	return res, nil
}

// Splits reports whether the check names the rows that fail, so that they can be set aside.
func Splits(c *definition.QualityCheck) bool {
	return c.Type != definition.CheckRowCount && c.Type != definition.CheckFreshness
}

// runWhole makes a finding about the data set as a whole: it is one finding, so its share is 0 or 1.
func runWhole(ctx context.Context, e Engine, c *definition.QualityCheck, p plan) (*task.CheckResult, error) {
	res := &task.CheckResult{Passed: true}
	if err := e.QueryRow(ctx, "SELECT count(*) FROM "+duckdb.Ident(c.Input), &res.Rows); err != nil {
		return nil, err
	}
	failed, message, err := p.whole(ctx, res.Rows)
	if err != nil {
		return nil, err
	}
	res.Message = message
	if failed {
		res.Passed, res.Failing, res.Share = false, 1, 1
	}
	return res, nil
}

// split makes PassingView and FailingView, which hold every row of the input exactly once.
func split(ctx context.Context, e Engine, c *definition.QualityCheck, p plan) error {
	if err := e.CreateView(ctx, PassingView, p.passing); err != nil {
		return err
	}
	return e.CreateView(ctx, FailingView, fmt.Sprintf("SELECT *, %s AS %s, %s AS %s FROM (%s)",
		duckdb.Literal(c.Name), CheckColumn, duckdb.Literal(p.words), ReasonColumn, p.failing))
}

func sample(ctx context.Context, e Engine, failing string) ([]map[string]*string, error) {
	if err := e.CreateView(ctx, "_sample", failing); err != nil {
		return nil, err
	}
	return duckdb.Sample(ctx, e, "_sample", sampleRows)
}

// percent writes a share so that small ones stay visible.
func percent(share float64) string { return fmt.Sprintf("%.4g %%", share*100) }

// mistake is an error of the check's definition.
func mistake(c *definition.QualityCheck, format string, args ...any) error {
	return fault.Errorf(models.ClassInvalidDefinition, "the check %s: %s", c.Name, fmt.Sprintf(format, args...))
}
