package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

func messages(lines []StoredLine) []string {
	var out []string
	for _, l := range lines {
		out = append(out, l.Message)
	}
	return out
}

func TestLogs(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		e := newExecution(t, tenant, "a", "b")
		start := at(time.Now()).Time
		line := func(second int, task, message string) models.LogLine {
			return models.LogLine{Time: start.Add(time.Duration(second) * time.Second), Level: "INFO", Task: task, Message: message}
		}
		empty, err := tenant.Logs(ctx, e.ID, LogQuery{})
		require.NoError(t, err)
		assert.Empty(t, empty)
		require.NoError(t, tenant.AppendLogs(ctx, e.ID, nil))
		// Tasks hand in their lines in batches, so they are stored out of the order of their times.
		require.NoError(t, tenant.AppendLogs(ctx, e.ID, []models.LogLine{line(0, "", "begin"), line(1, "a", "a1"), line(3, "a", "a2")}))
		require.NoError(t, tenant.AppendLogs(ctx, e.ID, []models.LogLine{line(2, "b", "b1"), line(4, "b", "b2")}))

		for _, c := range []struct {
			query LogQuery
			want  []string
		}{
			{LogQuery{}, []string{"begin", "a1", "b1", "a2", "b2"}},
			{LogQuery{Last: 3}, []string{"b1", "a2", "b2"}},
			{LogQuery{Task: "a"}, []string{"a1", "a2"}},
			{LogQuery{Task: "b", Last: 1}, []string{"b2"}},
			{LogQuery{Task: "none"}, nil},
			{LogQuery{After: 1, Last: 2}, []string{"a1", "a2"}},
			{LogQuery{After: 3}, []string{"b1", "b2"}},
			{LogQuery{After: 2, Task: "b"}, []string{"b1", "b2"}},
			{LogQuery{After: 5}, nil},
		} {
			got, err := tenant.Logs(ctx, e.ID, c.query)
			require.NoError(t, err, "%+v", c.query)
			assert.Equal(t, c.want, messages(got), "%+v", c.query)
		}
		got, err := tenant.Logs(ctx, e.ID, LogQuery{Last: 1})
		require.NoError(t, err)
		assert.Equal(t, []StoredLine{{Seq: 5, LogLine: line(4, "b", "b2")}}, got)

		finish(t, tenant, e.ID, models.ExecutionCompleted)
		require.NoError(t, tenant.AppendLogs(ctx, e.ID, []models.LogLine{line(9, "b", "late")}), "lines that come late are kept")
		_, err = tenant.Logs(ctx, "exec-none", LogQuery{})
		assertCode(t, models.CodeNotFound, err)
		assertCode(t, models.CodeNotFound, tenant.AppendLogs(ctx, "exec-none", nil))
	})
}

func TestLogLinesOfForeignOrigin(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		e := newExecution(t, tenant, "a")
		require.NoError(t, tenant.AppendLogs(ctx, e.ID, []models.LogLine{
			{Message: "zero\x00byte"}, {Message: "bad \xff utf-8"}, {Message: `'); DROP TABLE executions; -- ? \' {{.Key}} 🦆`},
			{Message: strings.Repeat("ü", maxMessage)},
		}))
		got, err := tenant.Logs(ctx, e.ID, LogQuery{})
		require.NoError(t, err)
		require.Len(t, got, 4)
		assert.Equal(t, []string{"zero\uFFFDbyte", "bad \uFFFD utf-8", `'); DROP TABLE executions; -- ? \' {{.Key}} 🦆`}, messages(got[:3]))
		assert.LessOrEqual(t, len(got[3].Message), maxMessage)
		assert.True(t, strings.HasSuffix(got[3].Message, "üü"+cutMark), "cut between characters")

		for _, id := range []string{"exec-\x00", "exec-\xff", "' OR 1=1 --", strings.Repeat("x", 100_000)} {
			_, err := tenant.Execution(ctx, id)
			assertCode(t, models.CodeNotFound, err)
		}
	})
}

func TestFollowingALogMissesNothing(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		e := newExecution(t, tenant, "a")
		const writers, batches, size = 8, 10, 3
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				for b := range batches {
					var lines []models.LogLine
					for l := range size {
						lines = append(lines, models.LogLine{Time: time.Now(), Message: fmt.Sprintf("%d/%d/%d", w, b, l)})
					}
					assert.NoError(t, tenant.AppendLogs(ctx, e.ID, lines))
				}
			})
		}
		written := make(chan struct{})
		go func() { group.Wait(); close(written) }()

		// Whatever has been read, what comes after it was stored later.
		followed := 0
		for after, last := int64(0), false; !last; {
			select {
			case <-written:
				last = true
			default:
			}
			lines, err := tenant.Logs(ctx, e.ID, LogQuery{After: after, Last: maxLogLines})
			require.NoError(t, err)
			slices.SortFunc(lines, func(a, b StoredLine) int { return cmp.Compare(a.Seq, b.Seq) })
			for _, l := range lines {
				require.Equal(t, after+1, l.Seq)
				after = l.Seq
			}
			followed += len(lines)
		}
		assert.Equal(t, writers*batches*size, followed)
	})
}
