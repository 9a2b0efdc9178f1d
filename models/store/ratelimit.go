package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// rateLimitRow is a token bucket.
type rateLimitRow struct {
	bun.BaseModel `bun:"table:rate_limits,alias:rl"`

	TenantID models.TenantID
	Tokens   int64 // thousandths
	At       instant
}

// TakeRequests takes up to want requests from what a tenant may make, which grows by perSecond up to burst, and
// returns how many it got and how many are left.
func (t *Tenant) TakeRequests(ctx context.Context, want int, perSecond float64, burst int, now time.Time) (got, left int, err error) {
	err = t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		full := int64(burst) * 1000
		row := &rateLimitRow{TenantID: t.id, Tokens: full, At: at(now)}
		if _, err := tx.NewInsert().Model(row).On("CONFLICT DO NOTHING").Exec(ctx); err != nil {
			return err
		}
		if err := locking(tx, tx.NewSelect().Model(row).Where("tenant_id = ?", t.id)).Scan(ctx); err != nil {
			return err
		}
		if since := now.Sub(row.At.Time); since > 0 { // the clocks of replicas differ: time never runs back here
			row.Tokens = min(full, row.Tokens+int64(since.Seconds()*perSecond*1000))
			row.At = at(now)
		}
		got = min(want, int(row.Tokens/1000))
		row.Tokens -= int64(got) * 1000
		left = int(row.Tokens / 1000)
		_, err := tx.NewUpdate().Model(row).Column("tokens", "at").Where("tenant_id = ?", t.id).Exec(ctx)
		return err
	})
	return got, left, err
}
