package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

// waiting opens an approval of an execution.
func waiting(tb testing.TB, t *Tenant, e models.Execution, gate string, edit ...func(*models.Approval)) models.Approval {
	tb.Helper()
	evidence, hash, err := models.Evidence{Check: gate, Rows: 10, Failing: 1, Share: 0.1}.Canonical()
	require.NoError(tb, err)
	now := at(time.Now()).Time
	a := models.Approval{
		ID: "approval-" + e.ID + "-" + gate, Tenant: t.id, ExecutionID: e.ID, PipelineID: e.PipelineID, Gate: gate, Status: models.ApprovalPending,
		Required: 2, Groups: []string{"finance"}, SubmittedBy: "ada", RequestedAt: now, Deadline: now.Add(time.Hour),
		Evidence: evidence, EvidenceHash: hash,
	}
	for _, change := range edit {
		change(&a)
	}
	require.NoError(tb, t.OpenApproval(tb.Context(), a))
	return a
}

func approved(a models.Approval, by string, status models.ApprovalStatus) ApprovalStep {
	return ApprovalStep{ID: a.ID, Action: models.ActionApproved, By: by, Reason: "fine", At: time.Now(), Status: status, Closing: "approved by " + by}
}

func statusOf(tb testing.TB, t *Tenant, id string) models.ExecutionStatus {
	tb.Helper()
	e, err := t.Execution(tb.Context(), id)
	require.NoError(tb, err)
	return e.Status
}

func TestApprovalsHoldTheirExecution(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		e := submit(t, tenant, newPipeline(t, tenant))
		plan(t, tenant, e.ID, "raw", "clean")
		require.NoError(t, tenant.StartTask(ctx, e.ID, models.TaskRun{Name: "raw", Attempts: 1}))

		first := waiting(t, tenant, e, "first")
		got, err := tenant.Approval(ctx, first.ID)
		require.NoError(t, err)
		assert.Equal(t, first, got)
		assert.Equal(t, models.ExecutionAwaitingApproval, statusOf(t, tenant, e.ID))
		require.NoError(t, tenant.OpenApproval(ctx, first), "again changes nothing")
		second := waiting(t, tenant, e, "second")
		require.NoError(t, tenant.StartTask(ctx, e.ID, models.TaskRun{Name: "clean", Attempts: 1}), "other tasks go on")
		assert.Equal(t, models.ExecutionAwaitingApproval, statusOf(t, tenant, e.ID))

		for range 2 { // the same decision twice is one
			require.NoError(t, tenant.StepApproval(ctx, approved(first, "sam", models.ApprovalPending)))
		}
		require.NoError(t, tenant.StepApproval(ctx, approved(first, "rob", models.ApprovalApproved)))
		got, err = tenant.Approval(ctx, first.ID)
		require.NoError(t, err)
		assert.Equal(t, models.ApprovalApproved, got.Status)
		assert.Equal(t, "approved by rob", got.Reason)
		assert.Equal(t, 2, got.Approvals)
		require.Len(t, got.Decisions, 2)
		assert.Equal(t, "sam", got.Decisions[0].By)
		assert.Equal(t, first.EvidenceHash, got.Decisions[0].EvidenceHash)
		assert.Equal(t, models.ExecutionAwaitingApproval, statusOf(t, tenant, e.ID), "of the second")
		require.NoError(t, tenant.StepApproval(ctx, approved(first, "late", models.ApprovalPending)), "a closed one stays as it is")

		require.NoError(t, tenant.StepApproval(ctx, ApprovalStep{ID: second.ID, Action: models.ActionReminded, Status: models.ApprovalPending}))
		require.NoError(t, tenant.StepApproval(ctx, ApprovalStep{ID: second.ID, Action: models.ActionExpired, Status: models.ApprovalRejected, Closing: "too late"}))
		assert.Equal(t, models.ExecutionRunning, statusOf(t, tenant, e.ID))
		trail, err := tenant.ApprovalTrail(ctx, second.ID)
		require.NoError(t, err)
		require.Len(t, trail, 2)
		assert.Equal(t, models.ActionReminded, trail[0].Action)
		assert.Equal(t, models.ActionExpired, trail[1].Action)
		got, err = tenant.Approval(ctx, second.ID)
		require.NoError(t, err)
		assert.Empty(t, got.Decisions, "nobody decided")
		assert.False(t, got.RemindedAt.IsZero())

		lines, err := tenant.Logs(ctx, e.ID, LogQuery{})
		require.NoError(t, err)
		var text []string
		for _, line := range lines {
			text = append(text, line.Message)
		}
		log := strings.Join(text, "\n")
		for _, part := range []string{"gate first waits for 2 approval(s)", "1 of 2 approvals, the last by sam: fine", "gate second still waits", "gate second is REJECTED: too late"} {
			assert.Contains(t, log, part)
		}

		_, err = tenant.Approval(ctx, "approval-none")
		assertCode(t, models.CodeNotFound, err)
		_, err = s.newTenant().Approval(ctx, first.ID)
		assertCode(t, models.CodeNotFound, err)
		assertCode(t, models.CodeNotFound, s.newTenant().StepApproval(ctx, approved(first, "eve", models.ApprovalApproved)))
		_, err = s.newTenant().ApprovalTrail(ctx, first.ID)
		assertCode(t, models.CodeNotFound, err)
		assertCode(t, models.CodeNotFound, s.newTenant().OpenApproval(ctx, first))
	})
}

func TestApprovalsOfExecutionsThatEnd(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		e := submit(t, tenant, newPipeline(t, tenant))
		a := waiting(t, tenant, e, "gate")
		_, err := tenant.RequestCancel(ctx, e.ID)
		require.NoError(t, err)
		b := waiting(t, tenant, e, "another")
		assert.Equal(t, models.ExecutionCancelling, statusOf(t, tenant, e.ID))
		require.NoError(t, tenant.StepApproval(ctx, approved(a, "sam", models.ApprovalApproved)))
		assert.Equal(t, models.ExecutionCancelling, statusOf(t, tenant, e.ID), "a decision does not take a cancellation back")
		finish(t, tenant, e.ID, models.ExecutionCancelled)
		closed, err := tenant.Approval(ctx, b.ID)
		require.NoError(t, err)
		assert.Equal(t, models.ApprovalCancelled, closed.Status)
		assert.NotEmpty(t, closed.Reason)
		require.NoError(t, tenant.StepApproval(ctx, approved(b, "sam", models.ApprovalApproved)), "too late is no error")
		assertCode(t, models.CodeExecutionClosed, tenant.OpenApproval(ctx, models.Approval{ID: "approval-x", ExecutionID: e.ID}))
		trail, err := tenant.ApprovalTrail(ctx, b.ID)
		require.NoError(t, err)
		require.Len(t, trail, 1)
		assert.Equal(t, models.ActionCancelled, trail[0].Action)
	})
}

func TestSimultaneousDecisionsCountOnceEach(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		e := submit(t, tenant, newPipeline(t, tenant))
		a := waiting(t, tenant, e, "gate")
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				assert.NoError(t, tenant.StepApproval(t.Context(), approved(a, fmt.Sprint("steward", i%5), models.ApprovalPending)))
			})
		}
		group.Wait()
		got, err := tenant.Approval(t.Context(), a.ID)
		require.NoError(t, err)
		assert.Equal(t, 5, got.Approvals)
		assert.Len(t, got.Decisions, 5)
	})
}

func TestListApprovals(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant)
		one, two := submit(t, tenant, p), submit(t, tenant, p)
		var ids []string
		for i := range 5 {
			e := one
			if i == 4 {
				e = two
			}
			a := waiting(t, tenant, e, fmt.Sprint("gate", i), func(a *models.Approval) { a.RequestedAt = a.RequestedAt.Add(time.Duration(i) * time.Second) })
			ids = append([]string{a.ID}, ids...)
		}
		require.NoError(t, tenant.StepApproval(ctx, ApprovalStep{ID: ids[2], Action: models.ActionRejected, By: "sam", Status: models.ApprovalRejected, Closing: "no"}))
		other := s.newTenant()
		waiting(t, other, submit(t, other, newPipeline(t, other)), "foreign")

		for _, c := range []struct {
			filter ApprovalFilter
			page   models.Page
			want   []string
			total  int64
		}{
			{ApprovalFilter{}, models.Page{}, ids, 5},
			{ApprovalFilter{}, models.Page{Number: 1, Size: 2}, ids[2:4], 5},
			{ApprovalFilter{Status: models.ApprovalPending}, models.Page{Size: 2}, []string{ids[0], ids[1]}, 4},
			{ApprovalFilter{Status: models.ApprovalRejected}, models.Page{}, ids[2:3], 1},
			{ApprovalFilter{Status: models.ApprovalApproved}, models.Page{}, nil, 0},
			{ApprovalFilter{ExecutionID: two.ID}, models.Page{}, ids[:1], 1},
			{ApprovalFilter{ExecutionID: one.ID, Status: models.ApprovalPending}, models.Page{}, []string{ids[1], ids[3], ids[4]}, 3},
		} {
			found, err := tenant.Approvals(ctx, c.filter, c.page)
			require.NoError(t, err)
			var got []string
			for _, a := range found.Items {
				got = append(got, a.ID)
				assert.Len(t, a.Decisions, map[bool]int{true: 1}[a.ID == ids[2]])
			}
			assert.Equal(t, c.want, got, "%+v", c.filter)
			assert.Equal(t, c.total, found.Total, "%+v", c.filter)
		}
		_, err := other.Approvals(ctx, ApprovalFilter{ExecutionID: one.ID}, models.Page{})
		assertCode(t, models.CodeNotFound, err)
	})
}

func TestEvidenceIsCanonicalAndBounded(t *testing.T) {
	value := "<b>&"
	row := map[string]*string{"z": &value, "a": nil}
	doc, hash, err := models.Evidence{Check: "c", Rows: 3, Failing: 1, Share: 1. / 3, Sample: []map[string]*string{row}}.Canonical()
	require.NoError(t, err)
	assert.Equal(t, `{"check":"c","failing":1,"rows":3,"sample":[{"a":null,"z":"<b>&"}],"share":0.3333333333333333}`, string(doc))
	sum := sha256.Sum256(doc)
	assert.Equal(t, hex.EncodeToString(sum[:]), hash)

	wide := map[string]*string{}
	long := strings.Repeat("x", 200)
	for i := range 100 {
		wide[fmt.Sprint("column", i)] = &long
	}
	large := models.Evidence{Check: "c"}
	for range 10 {
		large.Sample = append(large.Sample, wide)
	}
	doc, _, err = large.Canonical()
	require.NoError(t, err)
	assert.LessOrEqual(t, len(doc), 64<<10)
	assert.Contains(t, string(doc), "column7")
	assert.Len(t, large.Sample, 10, "the caller's evidence is left alone")
}
