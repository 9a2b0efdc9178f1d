package task

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"github.com/matih/pipeline-service/models"
	protocol "github.com/matih/pipeline-service/models/task"
)

// died says why a process ended without a result, and what its task had used. last is what it told of that last, begun
// when the task did.
func (p *process) died(ctx context.Context, last models.Usage, begun time.Time) *protocol.Failure {
	p.close()
	f := p.cause(ctx)
	f.Usage = p.usage(last, begun)
	return f
}

// usage is what the task of a process that has ended used. The kernel knows the processor time; what the task held and
// moved since it last told of that is not known. The kernel's peak of memory says nothing: it begins with that of the worker.
func (p *process) usage(last models.Usage, begun time.Time) *models.Usage {
	if p.cmd.ProcessState != nil {
		cpu := p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
		last.CPUMicros = max(cpu.Microseconds()-p.accounted, last.CPUMicros)
	}
	last.WallMicros = time.Since(begun).Microseconds()
	return &last
}

func (p *process) cause(ctx context.Context) *protocol.Failure {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &protocol.Failure{Class: models.ClassTimeout, Retry: true,
			Message: "the task took longer than orchestration.task_timeout and was ended"}
	case ctx.Err() != nil:
		return &protocol.Failure{Class: models.ClassProcessDied, Message: "the task was cancelled"}
	}
	f := &protocol.Failure{Class: models.ClassProcessDied, Retry: true, Detail: p.stderr.String()}
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) {
		f.Message = "the task process ended without a result"
		return f
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		f.Message = fmt.Sprintf("the task process was ended by signal %q", status.Signal())
		if status.Signal() == syscall.SIGKILL {
			f.Message += "; if nobody did that on purpose, the machine was out of memory"
		}
		return f
	}
	f.Message = fmt.Sprintf("the task process ended with exit code %d", exit.ExitCode())
	return f
}

func internal(detail string) *protocol.Failure {
	return &protocol.Failure{Class: models.ClassInternal, Retry: true, Detail: detail,
		Message: "the service failed; its log has the details under this execution's id"}
}
