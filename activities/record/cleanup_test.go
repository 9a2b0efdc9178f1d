package record_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"

	"github.com/matih/pipeline-service/activities/record"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
)

const tenant = models.TenantID("11111111-2222-4333-8444-555555555555")

// staging is a staging directory with the store that knows whose it is.
type staging struct {
	*testing.T
	dir      string
	store    *store.Store
	pipeline models.Pipeline
}

func newStaging(t *testing.T) *staging {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "pipeline.db"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	p, err := s.ForTenant(tenant).CreatePipeline(t.Context(), models.Pipeline{ID: models.NewID(models.PrefixPipeline), Name: "p", Definition: []byte(`{}`)})
	require.NoError(t, err)
	return &staging{T: t, dir: t.TempDir(), store: s, pipeline: p}
}

func (s *staging) submission() models.Execution {
	return models.Execution{ID: models.NewID(models.PrefixExecution), PipelineID: s.pipeline.ID, MaxActiveRuns: 10}
}

// execution has an execution stage and quarantine something and end a while ago; 0 is not yet.
func (s *staging) execution(ago time.Duration) models.Execution {
	s.Helper()
	own := s.store.ForTenant(tenant)
	e, err := own.SubmitExecution(s.Context(), s.submission())
	require.NoError(s, err)
	s.stage(e.ID, ago)
	if ago > 0 {
		e, err = own.FinishExecution(s.Context(), e.ID, store.ExecutionEnd{Status: models.ExecutionFailed, At: time.Now().Add(-ago)})
		require.NoError(s, err)
	}
	return e
}

// stage makes the directories of an execution, last changed a while ago.
func (s *staging) stage(id string, ago time.Duration) {
	s.Helper()
	for _, dir := range []string{s.staged(id), s.quarantined(id)} {
		require.NoError(s, os.MkdirAll(filepath.Join(dir, "raw", "1"), 0o700))
		require.NoError(s, os.Chtimes(dir, time.Time{}, time.Now().Add(-ago)))
	}
}

func (s *staging) staged(id string) string { return filepath.Join(s.dir, string(tenant), id) }
func (s *staging) quarantined(id string) string {
	return filepath.Join(s.dir, "quarantine", string(tenant), id)
}

// cleanUp keeps staged data for an hour and quarantined rows for a day.
func (s *staging) cleanUp() contract.CleanUpResult {
	s.Helper()
	a := &record.Maintenance{Store: s.store, Log: slog.New(slog.DiscardHandler), StagingDir: s.dir,
		StagingRetention: time.Hour, QuarantineRetention: 24 * time.Hour}
	env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
	env.RegisterActivityWithOptions(a.CleanUp, activity.RegisterOptions{Name: contract.CleanUpActivity})
	value, err := env.ExecuteActivity(contract.CleanUpActivity)
	require.NoError(s, err)
	var result contract.CleanUpResult
	require.NoError(s, value.Get(&result))
	return result
}

func TestCleanUpRemovesWhatNobodyNeeds(t *testing.T) {
	s := newStaging(t)
	open, fresh, old, ancient := s.execution(0), s.execution(time.Minute), s.execution(2*time.Hour), s.execution(48*time.Hour)
	reused := s.execution(3 * time.Hour)
	again := s.submission()
	again.RerunOf = reused.ID
	_, err := s.store.ForTenant(tenant).SubmitRerun(t.Context(), again, []models.TaskRun{
		{Name: "raw", Kind: models.TaskSource, State: models.TaskReused, Output: string(tenant) + "/" + reused.ID + "/raw/1"},
		{Name: "out", Kind: models.TaskSink, State: models.TaskPending},
	}, []string{"raw"})
	require.NoError(t, err)
	stray, recent := models.NewID(models.PrefixExecution), models.NewID(models.PrefixExecution)
	s.stage(stray, 48*time.Hour)
	s.stage(recent, time.Minute)
	foreign := filepath.Join(s.dir, ".scratch", stray)
	require.NoError(t, os.MkdirAll(foreign, 0o700))

	assert.Equal(t, contract.CleanUpResult{Staging: 2, Quarantine: 1, Orphans: 2}, s.cleanUp())
	for _, id := range []string{open.ID, fresh.ID, reused.ID, recent} {
		assert.DirExists(t, s.staged(id))
		assert.DirExists(t, s.quarantined(id))
	}
	assert.NoDirExists(t, s.staged(old.ID))
	assert.DirExists(t, s.quarantined(old.ID), "quarantined rows are kept for longer")
	for _, id := range []string{ancient.ID, stray} {
		assert.NoDirExists(t, s.staged(id))
		assert.NoDirExists(t, s.quarantined(id))
	}
	assert.DirExists(t, foreign, "what is not staged is somebody else's")
	assert.Equal(t, contract.CleanUpResult{}, s.cleanUp())

	_, err = s.store.ForTenant(tenant).FinishExecution(t.Context(), again.ID,
		store.ExecutionEnd{Status: models.ExecutionCompleted, At: time.Now().Add(-2 * time.Hour)})
	require.NoError(t, err)
	assert.Equal(t, contract.CleanUpResult{Staging: 1}, s.cleanUp(), "the re-run needs it no longer")
	assert.NoDirExists(t, s.staged(reused.ID))

	// A worker that left something behind when the row said that it was gone.
	s.stage(old.ID, 2*time.Hour)
	assert.Equal(t, contract.CleanUpResult{Orphans: 1}, s.cleanUp())
	assert.NoDirExists(t, s.staged(old.ID))
	assert.DirExists(t, s.quarantined(old.ID))
}

func TestCleanUpRemovesPlansNobodyWaitsFor(t *testing.T) {
	s := newStaging(t)
	own := s.store.ForTenant(tenant)
	plan := func(ago time.Duration) string {
		id := models.NewID(models.PrefixPlan)
		require.NoError(t, own.CreatePlan(t.Context(), models.Plan{ID: id, CreatedAt: time.Now().Add(-ago)}))
		require.NoError(t, os.MkdirAll(s.staged(id), 0o700))
		require.NoError(t, os.Chtimes(s.staged(id), time.Time{}, time.Now().Add(-ago)))
		return id
	}
	waited, forgotten := plan(time.Minute), plan(2*time.Hour)
	assert.Equal(t, contract.CleanUpResult{Plans: 2}, s.cleanUp(), "a row and a directory")
	assert.DirExists(t, s.staged(waited))
	assert.NoDirExists(t, s.staged(forgotten))
	_, err := own.Plan(t.Context(), waited)
	require.NoError(t, err)
	_, err = own.Plan(t.Context(), forgotten)
	assert.Equal(t, models.CodeNotFound, models.CodeOf(err))
	assert.Equal(t, contract.CleanUpResult{}, s.cleanUp())
}
