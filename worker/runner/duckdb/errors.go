package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"regexp"
	"strings"

	driver "github.com/duckdb/duckdb-go/v2"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// maxMessage bounds what a user sees of an error.
const maxMessage = 600

// classes says whose fault each kind of DuckDB error is. What is not in it is the statement's.
var classes = map[driver.ErrorType]string{
	driver.ErrorTypeConversion:       models.ClassData,
	driver.ErrorTypeOutOfRange:       models.ClassData,
	driver.ErrorTypeDivideByZero:     models.ClassData,
	driver.ErrorTypeMismatchType:     models.ClassData,
	driver.ErrorTypeInvalidInput:     models.ClassData,
	driver.ErrorTypeObjectSize:       models.ClassData,
	driver.ErrorTypeConstraint:       models.ClassData,
	driver.ErrorTypeOutOfMemory:      models.ClassResources,
	driver.ErrorTypePermission:       models.ClassForbidden,
	driver.ErrorTypeMissingExtension: models.ClassForbidden,
	driver.ErrorTypeAutoLoad:         models.ClassForbidden,
	driver.ErrorTypeHTTP:             models.ClassForbidden,
	driver.ErrorTypeNetwork:          models.ClassForbidden,
	driver.ErrorTypeIO:               models.ClassResources,
	driver.ErrorTypeFatal:            models.ClassInternal,
	driver.ErrorTypeInternal:         models.ClassInternal,
}

// failure turns an error of the driver into a failure.
func (e *Engine) failure(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if ctx.Err() != nil {
		return fault.Of(ctx.Err())
	}
	var known *task.Failure
	if errors.As(err, &known) {
		return known
	}
	var duck *driver.Error
	if !errors.As(err, &duck) {
		return fault.Because(fault.Errorf(models.ClassSQL, "%s", e.words(err.Error())), err)
	}
	class, ok := classes[duck.Type]
	if !ok {
		class = models.ClassSQL
	}
	lower := strings.ToLower(duck.Msg)
	switch {
	case strings.Contains(lower, "no space left") || strings.Contains(lower, "max_temp_directory_size") ||
		strings.Contains(lower, "disk quota"):
		return fault.Because(fault.Errorf(models.ClassResources,
			"the task needs more temporary disk space than it may use; let it read or sort less at once"), err)
	case class == models.ClassResources && duck.Type == driver.ErrorTypeOutOfMemory:
		return fault.Because(fault.Errorf(models.ClassResources,
			"the task needs more memory than it may use (memory and spill limits are set by the operator); let it group or join less at once"), err)
	case strings.Contains(lower, "permission denied") && duck.Type == driver.ErrorTypeIO,
		strings.Contains(lower, "configuration has been locked"):
		class = models.ClassForbidden
	case duck.Type == driver.ErrorTypeIO:
		return fault.Because(fault.Transientf(models.ClassResources, "%s", e.words(duck.Msg)), err)
	}
	return fault.Because(fault.Errorf(class, "%s", e.words(duck.Msg)), err)
}

var (
	// An absolute path of at least two elements, as in an error of the file system.
	absolutePath = regexp.MustCompile(`(^|[\s"'(=\[,])(/[^\s"'():,\]]+){2,}/?`)
	// What DuckDB adds to help those who run it themselves.
	advice = regexp.MustCompile(`(?s)\n*(Possible fixes:|Possible solutions:|Possible Solution:|  file = |See https://).*$`)
	// Where in a statement the error lies; statements we put around the user's would only confuse.
	position = regexp.MustCompile(`(?s)\n+LINE \d+: .*$`)
)

// words makes DuckDB's message fit to be shown: short, without paths of this machine.
func (e *Engine) words(message string) string {
	return e.plain(position.ReplaceAllString(message, ""))
}

// plain is words with the position kept.
func (e *Engine) plain(message string) string {
	message = advice.ReplaceAllString(message, "")
	message = e.hide.Replace(message)
	message = absolutePath.ReplaceAllString(message, "$1<path>")
	message = strings.TrimSuffix(strings.Join(strings.Fields(message), " "), " ^")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + " …"
	}
	return message
}
