package api

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store"
)

const (
	// rememberedTenants bounds the memory of the rate limits.
	rememberedTenants = 10_000
	// portionTime is how much of what a tenant may make is taken from the database at once, and for how long it may be
	// used: replicas together never let more through than a portion each too much.
	portionTime = 250 * time.Millisecond
)

// limiter bounds how many requests a second each tenant makes of all replicas together.
type limiter struct {
	perSecond float64
	burst     int
	portion   int
	tenants   *lru.Cache[models.TenantID, *portion]
	now       func() time.Time
}

// portion is what this replica has taken for a tenant and not used yet.
type portion struct {
	mu     sync.Mutex
	tokens int
	until  time.Time
	left   int // in the database, when it was taken
}

// newLimiter allows perSecond requests, in bursts of twice as many; 0 allows any number.
func newLimiter(perSecond float64, now func() time.Time) (*limiter, error) {
	tenants, err := lru.New[models.TenantID, *portion](rememberedTenants)
	if err != nil {
		return nil, err
	}
	return &limiter{
		perSecond: perSecond, burst: max(1, int(math.Ceil(2*perSecond))),
		portion: max(1, int(perSecond*portionTime.Seconds())), tenants: tenants, now: now,
	}, nil
}

// take counts one request of a tenant and says in the headers of the answer what is left. The error
// has CodeRateLimited.
func (l *limiter) take(ctx context.Context, tenant models.TenantID, t *store.Tenant, header http.Header) error {
	if l.perSecond <= 0 {
		return nil
	}
	p, ok := l.tenants.Get(tenant)
	if !ok {
		fresh := &portion{}
		if p, ok, _ = l.tenants.PeekOrAdd(tenant, fresh); !ok {
			p = fresh
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := l.now()
	if p.tokens == 0 || now.After(p.until) {
		var err error
		if p.tokens, p.left, err = t.TakeRequests(ctx, l.portion, l.perSecond, l.burst, now); err != nil {
			return err
		}
		p.until = now.Add(portionTime)
	}
	allowed := p.tokens > 0
	if allowed {
		p.tokens--
	}
	left := p.tokens + p.left
	header.Set("RateLimit-Limit", strconv.Itoa(l.burst))
	header.Set("RateLimit-Remaining", strconv.Itoa(left))
	header.Set("RateLimit-Reset", strconv.Itoa(int(math.Ceil(float64(l.burst-left)/l.perSecond))))
	if allowed {
		return nil
	}
	err := models.Errorf(models.CodeRateLimited, "the tenant sends more than %g requests a second", l.perSecond)
	err.RetryAfter = time.Duration(float64(time.Second) / l.perSecond)
	return err
}
