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

func TestIdempotencyKeys(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant, other := t.Context(), s.newTenant(), s.newTenant()
		now := time.Now()
		const key, body = "key \x00 with anything", "fingerprint"

		claim, err := tenant.ClaimKey(ctx, key, body, "first", now)
		require.NoError(t, err)
		assert.Equal(t, Claim{ID: "first"}, claim)

		_, err = tenant.ClaimKey(ctx, key, body, "second", now.Add(59*time.Second))
		assertCode(t, models.CodeIdempotencyInProgress, err)
		_, err = tenant.ClaimKey(ctx, key, "another body", "second", now)
		assertCode(t, models.CodeIdempotencyKeyReused, err)
		claim, err = other.ClaimKey(ctx, key, "another body", "theirs", now)
		require.NoError(t, err)
		assert.Equal(t, Claim{ID: "theirs"}, claim, "another tenant's key is another key")

		claim, err = tenant.ClaimKey(ctx, key, body, "second", now.Add(61*time.Second))
		require.NoError(t, err)
		assert.Equal(t, Claim{ID: "first"}, claim, "an abandoned claim is taken over with its id")
		_, err = tenant.ClaimKey(ctx, key, body, "third", now.Add(62*time.Second))
		assertCode(t, models.CodeIdempotencyInProgress, err, "by one")

		answer := Answer{Status: 201, Header: map[string]string{"Location": "/v1/x"}, Body: []byte("{\"bytes\":\"\x00\xff\"}")}
		require.NoError(t, tenant.AnswerKey(ctx, key, answer))
		require.NoError(t, tenant.AnswerKey(ctx, key, Answer{Status: 500}), "the first answer stays")
		require.NoError(t, tenant.ReleaseKey(ctx, key), "and is not given back")
		claim, err = tenant.ClaimKey(ctx, key, body, "fourth", now.Add(23*time.Hour))
		require.NoError(t, err)
		assert.Equal(t, Claim{ID: "first", Answer: &answer}, claim)
		_, err = tenant.ClaimKey(ctx, key, "another body", "fourth", now.Add(23*time.Hour))
		assertCode(t, models.CodeIdempotencyKeyReused, err)

		claim, err = tenant.ClaimKey(ctx, key, "another body", "fifth", now.Add(25*time.Hour))
		require.NoError(t, err)
		assert.Equal(t, Claim{ID: "fifth"}, claim, "after a day the key is free")
		require.NoError(t, tenant.ReleaseKey(ctx, key))
		claim, err = tenant.ClaimKey(ctx, key, body, "sixth", now.Add(25*time.Hour))
		require.NoError(t, err)
		assert.Equal(t, Claim{ID: "sixth"}, claim, "so it is once released")

		purged, err := s.PurgeExpired(ctx, now.Add(26*time.Hour))
		require.NoError(t, err)
		assert.EqualValues(t, 1, purged, "the other tenant's")
		assert.Equal(t, 1, rowsOf(t, tenant, "idempotency_keys"))
	})
}

func TestIdempotencyKeyHasOneHolder(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant, now := t.Context(), s.newTenant(), time.Now()
		race := func(at time.Time) (winners []string) {
			var mu sync.Mutex
			var group sync.WaitGroup
			for i := range 20 {
				group.Go(func() {
					claim, err := tenant.ClaimKey(ctx, "key", "body", fmt.Sprint(i), at)
					if err != nil {
						assertCode(t, models.CodeIdempotencyInProgress, err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					winners = append(winners, claim.ID)
				})
			}
			group.Wait()
			return winners
		}
		first := race(now)
		require.Len(t, first, 1)
		assert.Equal(t, first, race(now.Add(2*claimLifetime)), "an abandoned claim has one heir, with the same id")
	})
}

func TestClaimsAndReleasesRace(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				for range 10 {
					_, err := tenant.ClaimKey(ctx, "key", "body", "id", time.Now())
					if err != nil {
						assertCode(t, models.CodeIdempotencyInProgress, err)
						continue
					}
					assert.NoError(t, tenant.ReleaseKey(ctx, "key"))
				}
			})
		}
		group.Wait()
		assert.Zero(t, rowsOf(t, tenant, "idempotency_keys"))
	})
}
