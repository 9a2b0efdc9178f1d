package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

const (
	// keyLifetime is how long an answer is replayed.
	keyLifetime = 24 * time.Hour
	// claimLifetime is how long a claim without an answer is taken to be at work; after that its
	// request has died.
	claimLifetime = 60 * time.Second
)

// Claim is what a request with an idempotency key gets: an id for the resource it shall make, or the
// answer the key's first request got.
type Claim struct {
	ID     string
	Answer *Answer // nil unless there is one to replay
}

// Answer is an HTTP answer kept for replaying.
type Answer struct {
	Status int
	Header map[string]string
	Body   []byte
}

type keyRow struct {
	bun.BaseModel `bun:"table:idempotency_keys,alias:k"`

	TenantID    models.TenantID
	KeyHash     string
	Fingerprint string
	ResourceID  string
	ClaimedAt   instant
	Status      int
	Header      string
	Body        []byte
}

// ClaimKey claims an idempotency key for a request with a fingerprint. The claim carries the id of the
// resource to make: newID, or, where an earlier request with the key died before it answered, that
// one's, so that what it may have made is found and not made twice.
//
// Errors: CodeIdempotencyKeyReused for another fingerprint, CodeIdempotencyInProgress where the first
// request is at work.
func (t *Tenant) ClaimKey(ctx context.Context, key, fingerprint, newID string, now time.Time) (Claim, error) {
	fresh := &keyRow{TenantID: t.id, KeyHash: hash(key), Fingerprint: fingerprint, ResourceID: newID, ClaimedAt: at(now)}
	var claim Claim
	err := t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		held, err := t.insertKey(ctx, tx, fresh)
		if err != nil {
			return err
		}
		if held == nil {
			claim = Claim{ID: newID}
			return nil
		}
		expired := now.Sub(held.ClaimedAt.Time) >= keyLifetime
		switch {
		case expired:
			claim = Claim{ID: newID}
			return t.replaceKey(ctx, tx, fresh)
		case held.Fingerprint != fingerprint:
			return models.Errorf(models.CodeIdempotencyKeyReused, "the idempotency key was used for another request")
		case held.Status != 0:
			claim.Answer, err = held.answer()
			claim.ID = held.ResourceID
			return err
		case now.Sub(held.ClaimedAt.Time) < claimLifetime:
			e := models.Errorf(models.CodeIdempotencyInProgress, "a request with this idempotency key is at work")
			e.RetryAfter = time.Second
			return e
		default:
			claim = Claim{ID: held.ResourceID}
			held.ClaimedAt = fresh.ClaimedAt
			return t.replaceKey(ctx, tx, held)
		}
	})
	return claim, err
}

// insertKey inserts row, or returns the row that holds its key, locked.
func (t *Tenant) insertKey(ctx context.Context, tx bun.Tx, row *keyRow) (held *keyRow, err error) {
	for {
		inserted, err := affected(tx.NewInsert().Model(row).On("CONFLICT DO NOTHING").Exec(ctx))
		if err != nil || inserted == 1 {
			return nil, err
		}
		held = new(keyRow)
		q := tx.NewSelect().Model(held).Where("tenant_id = ? AND key_hash = ?", t.id, row.KeyHash)
		err = locking(tx, q).Scan(ctx)
		if !errors.Is(err, sql.ErrNoRows) {
			return held, err
		}
		// It has been released in between.
	}
}

func (t *Tenant) replaceKey(ctx context.Context, tx bun.Tx, row *keyRow) error {
	_, err := tx.NewUpdate().Model(row).
		Column("fingerprint", "resource_id", "claimed_at", "status", "header", "body").
		Where("tenant_id = ? AND key_hash = ?", t.id, row.KeyHash).Exec(ctx)
	return err
}

// AnswerKey keeps the answer of the request that claimed a key. The first answer stays.
func (t *Tenant) AnswerKey(ctx context.Context, key string, a Answer) error {
	header, err := json.Marshal(a.Header)
	if err != nil {
		return fmt.Errorf("store: an answer's header: %w", err)
	}
	row := &keyRow{Status: a.Status, Header: string(header), Body: a.Body}
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model(row).Column("status", "header", "body").
			Where("tenant_id = ? AND key_hash = ? AND status = 0", t.id, hash(key)).Exec(ctx)
		return err
	})
}

// ReleaseKey gives a key back whose request failed without an effect worth replaying. An answer
// that is kept already stays.
func (t *Tenant) ReleaseKey(ctx context.Context, key string) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewDelete().Model((*keyRow)(nil)).
			Where("tenant_id = ? AND key_hash = ? AND status = 0", t.id, hash(key)).Exec(ctx)
		return err
	})
}

// PurgeExpired removes the idempotency keys of all tenants that were claimed 24 hours before now or earlier,
// and returns how many.
func (s *Store) PurgeExpired(ctx context.Context, now time.Time) (int64, error) {
	var purged int64
	err := s.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		var err error
		purged, err = affected(tx.NewDelete().Model((*keyRow)(nil)).
			Where("claimed_at <= ?", at(now.Add(-keyLifetime))).Exec(ctx))
		return err
	})
	return purged, err
}

func (r *keyRow) answer() (*Answer, error) {
	a := &Answer{Status: r.Status, Body: r.Body}
	if err := json.Unmarshal([]byte(r.Header), &a.Header); err != nil {
		return nil, fmt.Errorf("store: the header of a kept answer: %w", err)
	}
	return a, nil
}

// hash makes one size of keys, which are whatever clients send.
func hash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}
