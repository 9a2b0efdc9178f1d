// Package fault makes the failures a task process reports: a class that says who can help, words a
// person can act on, and whether another attempt may succeed.
package fault

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
)

// Errorf makes a failure that another attempt would meet again. class is a models.Class….
func Errorf(class, format string, args ...any) *task.Failure {
	return &task.Failure{Class: class, Message: fmt.Sprintf(format, args...)}
}

// Transientf makes a failure that another attempt may not meet.
func Transientf(class, format string, args ...any) *task.Failure {
	f := Errorf(class, format, args...)
	f.Retry = true
	return f
}

// Because keeps err as the failure's detail, which is for the service's log, and returns the failure.
func Because(f *task.Failure, err error) *task.Failure {
	if err != nil {
		f.Detail = err.Error()
	}
	return f
}

// Internal is a fault of this service: doing names what it tried.
func Internal(doing string, err error) error {
	if f := known(err); f != nil {
		return f
	}
	return Because(Transientf(models.ClassInternal, "the task process could not %s", doing), err)
}

// Of turns any error into a failure.
func Of(err error) *task.Failure {
	if f := known(err); f != nil {
		return f
	}
	return Because(Transientf(models.ClassInternal, "the task process met an unexpected fault"), err)
}

// known finds the failure in err's chain, or makes one of the system's errors whose meaning does not
// depend on where they happen.
func known(err error) *task.Failure {
	var f *task.Failure
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.DeadlineExceeded):
		return Because(Errorf(models.ClassTimeout, "the task took longer than it may"), err)
	case errors.Is(err, context.Canceled):
		return Because(Transientf(models.ClassTimeout, "the task was stopped before it was done"), err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return Because(Transientf(models.ClassResources, "no space is left on the disk the task writes to"), err)
	case errors.Is(err, syscall.EROFS):
		return Because(Transientf(models.ClassResources, "the disk the task writes to is read-only"), err)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return Because(Transientf(models.ClassResources, "too many files are open"), err)
	}
	return nil
}
