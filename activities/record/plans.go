package record

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/matih/pipeline-service/models"
)

// planKept is how long a plan may be there. Whoever asked for it had an answer, or gave up, within about a minute; what
// is left by then was not removed because a process died.
const planKept = time.Hour

// removePlans removes the plans that were made before a time, and what they staged, and returns how many rows and
// directories there were.
func (a *Maintenance) removePlans(ctx context.Context, before time.Time) (int, error) {
	removed := 0
	for {
		n, err := a.Store.PurgePlans(ctx, before, sweepPage)
		removed += n
		if err != nil {
			return removed, err
		}
		activity.RecordHeartbeat(ctx, removed)
		if n < sweepPage {
			break
		}
	}
	tenants, err := os.ReadDir(a.StagingDir)
	if errors.Is(err, os.ErrNotExist) {
		return removed, nil
	}
	if err != nil {
		return removed, err
	}
	for _, entry := range tenants {
		if tenant, err := models.ParseTenantID(entry.Name()); err != nil || string(tenant) != entry.Name() {
			continue // not a tenant's directory
		}
		dir := filepath.Join(a.StagingDir, entry.Name())
		old, err := oldDirs(dir, models.PrefixPlan, before)
		if err != nil {
			return removed, err
		}
		for _, name := range old {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return removed, err
			}
			removed++
			activity.RecordHeartbeat(ctx, name)
		}
	}
	return removed, nil
}
