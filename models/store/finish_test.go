package store

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

func TestFinishExecution(t *testing.T) {
	why := &models.ExecutionError{Task: "bad", Class: models.ClassSQL, Message: `column "x" does not exist`}
	for _, c := range []struct {
		name string
		end  ExecutionEnd
		want map[string]models.TaskState
	}{
		{"failed", ExecutionEnd{Status: models.ExecutionFailed, Error: why}, map[string]models.TaskState{
			"done": models.TaskSucceeded, "bad": models.TaskFailed, "running": models.TaskCancelled, "waiting": models.TaskSkipped,
		}},
		{"cancelled", ExecutionEnd{Status: models.ExecutionCancelled, Reason: "rejected by eve"}, map[string]models.TaskState{
			"done": models.TaskSucceeded, "bad": models.TaskCancelled, "running": models.TaskCancelled, "waiting": models.TaskSkipped,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			forEachDatabase(t, func(t *testing.T, s *Store) {
				ctx, tenant := t.Context(), s.newTenant()
				e := newExecution(t, tenant, "done", "bad", "running", "waiting")
				for _, name := range []string{"done", "bad", "running"} {
					require.NoError(t, tenant.StartTask(ctx, e.ID, models.TaskRun{Name: name, Attempts: 1, StartedAt: time.Now()}))
				}
				require.NoError(t, tenant.FinishTask(ctx, e.ID, models.TaskRun{Name: "done", Attempts: 1, State: models.TaskSucceeded, RowsIn: 3}, nil))

				end := c.end
				end.At = at(time.Now().Add(time.Minute)).Time
				end.Lines = []models.LogLine{{Time: end.At, Level: "INFO", Message: "ended"}}
				got, err := tenant.FinishExecution(ctx, e.ID, end)
				require.NoError(t, err)
				assert.Equal(t, end.Status, got.Status)
				assert.Equal(t, end.Reason, got.StatusReason)
				assert.Equal(t, end.Error, got.Error)
				assert.Equal(t, end.At, got.EndedAt)
				assert.Equal(t, 1, got.CompletedTasks)
				assert.EqualValues(t, 3, got.RowsProcessed)
				read, err := tenant.Execution(ctx, e.ID)
				require.NoError(t, err)
				assert.Equal(t, got, read)
				for name, state := range c.want {
					run := task(t, tenant, e.ID, name)
					assert.Equal(t, state, run.State, name)
					if name == "running" {
						assert.Equal(t, end.At, run.EndedAt, name)
					}
					if state == models.TaskFailed {
						assert.Equal(t, why, run.Error, name)
					} else {
						assert.Nil(t, run.Error, name)
					}
				}

				again, err := tenant.FinishExecution(ctx, e.ID, ExecutionEnd{Status: models.ExecutionCompleted, Lines: end.Lines})
				require.NoError(t, err)
				assert.Equal(t, got, again, "a terminal state never changes")
				assert.Equal(t, 1, rowsOf(t, tenant, "execution_logs"))
				_, err = tenant.FinishExecution(ctx, e.ID, ExecutionEnd{Status: models.ExecutionRunning})
				require.Error(t, err, "that is no end")
			})
		})
	}
}

func TestFinishExecutionExactlyOnce(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		e := newExecution(t, tenant, "raw")
		ends := []models.ExecutionStatus{models.ExecutionCompleted, models.ExecutionFailed, models.ExecutionCancelled}
		answers := make([]models.Execution, 20)
		var group sync.WaitGroup
		for i := range answers {
			group.Go(func() {
				if i%5 == 4 { // and some who want to cancel
					_, err := tenant.RequestCancel(ctx, e.ID)
					if err != nil {
						assertCode(t, models.CodeExecutionClosed, err)
					}
				}
				var err error
				answers[i], err = tenant.FinishExecution(ctx, e.ID, ExecutionEnd{
					Status: ends[i%len(ends)], Reason: fmt.Sprint(i), Lines: []models.LogLine{{Message: fmt.Sprint(i)}},
				})
				assert.NoError(t, err)
			})
		}
		group.Wait()
		for _, answer := range answers {
			assert.Equal(t, answers[0], answer, "everybody is told the same end")
		}
		lines, err := tenant.Logs(ctx, e.ID, LogQuery{})
		require.NoError(t, err)
		require.Len(t, lines, 1)
		assert.Equal(t, answers[0].StatusReason, lines[0].Message)
	})
}
