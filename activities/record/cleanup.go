package record

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
)

// quarantineDir holds quarantined rows below the staging directory; see task.Specs.
const quarantineDir = "quarantine"

// CleanUp removes the staged data of executions that ended long enough ago and that no other uses, quarantined
// rows likewise, directories that no execution answers for, plans nobody waits for, and expired idempotency keys.
func (a *Maintenance) CleanUp(ctx context.Context) (contract.CleanUpResult, error) {
	var result contract.CleanUpResult
	now := time.Now()
	keys, err := a.Store.PurgeExpired(ctx, now)
	if err != nil {
		return result, err
	}
	result.IdempotencyKeys = keys
	if result.Plans, err = a.removePlans(ctx, now.Add(-planKept)); err != nil {
		return result, err
	}
	quarantine := max(a.QuarantineRetention, a.StagingRetention)
	for _, step := range []struct {
		count   *int
		base    string
		expired func(context.Context, time.Time, int) ([]store.Retained, error)
		removed func(context.Context, []store.Retained) error
		before  time.Time
	}{
		{&result.Staging, a.StagingDir, a.Store.ClaimStaged, a.Store.StagedRemoved, now.Add(-a.StagingRetention)},
		{&result.Quarantine, filepath.Join(a.StagingDir, quarantineDir), a.Store.QuarantineExpired, a.Store.QuarantineRemoved, now.Add(-quarantine)},
	} {
		for {
			expired, err := step.expired(ctx, step.before, sweepPage)
			if err != nil {
				return result, err
			}
			if err := a.remove(ctx, step.base, expired, step.removed, step.count); err != nil {
				return result, err
			}
			if len(expired) < sweepPage {
				break
			}
		}
		orphans, err := a.removeOrphans(ctx, step.base, step.before)
		result.Orphans += orphans
		if err != nil {
			return result, err
		}
	}
	return result, nil
}

// remove removes the directories of executions below base and says so. The count is of those that were there.
func (a *Maintenance) remove(ctx context.Context, base string, expired []store.Retained,
	removed func(context.Context, []store.Retained) error, count *int) error {
	for _, e := range expired {
		dir := filepath.Join(base, string(e.TenantID), e.ExecutionID)
		if _, err := os.Lstat(dir); err == nil {
			*count++
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		activity.RecordHeartbeat(ctx, e.ExecutionID)
	}
	return removed(ctx, expired)
}

// removeOrphans removes the directories below base that have not changed since a time and that no execution
// answers for: whose rows are gone, or say that nothing is kept.
func (a *Maintenance) removeOrphans(ctx context.Context, base string, before time.Time) (int, error) {
	tenants, err := os.ReadDir(base)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, entry := range tenants {
		tenant, err := models.ParseTenantID(entry.Name())
		if err != nil || string(tenant) != entry.Name() {
			continue // not a tenant's directory
		}
		old, err := oldDirs(filepath.Join(base, entry.Name()), models.PrefixExecution, before)
		if err != nil {
			return removed, err
		}
		for ids := range slices.Chunk(old, sweepPage) {
			kept, err := a.Store.ForTenant(tenant).Retained(ctx, ids)
			if err != nil {
				return removed, err
			}
			for _, id := range ids {
				staged, known := kept[id]
				if known && (staged || base != a.StagingDir) {
					continue
				}
				if err := os.RemoveAll(filepath.Join(base, entry.Name(), id)); err != nil {
					return removed, err
				}
				removed++
			}
			activity.RecordHeartbeat(ctx, removed)
		}
	}
	return removed, nil
}

// oldDirs lists the directories in dir whose names are ids of a prefix and that have not changed since a time.
func oldDirs(dir, prefix string, before time.Time) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var old []string
	for _, entry := range entries {
		if !models.IsID(prefix, entry.Name()) {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // another worker was first
		}
		if err != nil {
			return nil, err
		}
		if info.ModTime().Before(before) {
			old = append(old, entry.Name())
		}
	}
	return old, nil
}
