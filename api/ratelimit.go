package api

import (
	"math"
	"net/http"
	"strconv"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/matih/pipeline-service/models"
)

// rememberedTenants bounds the memory of the rate limits. A tenant that is forgotten starts with a full burst.
const rememberedTenants = 10_000

// limiter bounds how many requests a second each tenant makes.
type limiter struct {
	rate    rate.Limit
	burst   int
	tenants *lru.Cache[models.TenantID, *rate.Limiter]
	now     func() time.Time
}

// newLimiter allows perSecond requests, in bursts of twice as many; 0 allows any number.
func newLimiter(perSecond float64, now func() time.Time) (*limiter, error) {
	tenants, err := lru.New[models.TenantID, *rate.Limiter](rememberedTenants)
	if err != nil {
		return nil, err
	}
	return &limiter{
		rate: rate.Limit(perSecond), burst: max(1, int(math.Ceil(2*perSecond))), tenants: tenants, now: now,
	}, nil
}

// take counts one request of a tenant and says in the headers of the answer what is left. The error
// has CodeRateLimited.
func (l *limiter) take(tenant models.TenantID, header http.Header) error {
	if l.rate <= 0 {
		return nil
	}
	bucket, ok := l.tenants.Get(tenant)
	if !ok {
		fresh := rate.NewLimiter(l.rate, l.burst)
		if bucket, ok, _ = l.tenants.PeekOrAdd(tenant, fresh); !ok {
			bucket = fresh
		}
	}
	now := l.now()
	allowed := bucket.AllowN(now, 1)
	left := max(0, bucket.TokensAt(now))
	header.Set("RateLimit-Limit", strconv.Itoa(l.burst))
	header.Set("RateLimit-Remaining", strconv.Itoa(int(left)))
	header.Set("RateLimit-Reset", strconv.Itoa(int(math.Ceil((float64(l.burst)-left)/float64(l.rate)))))
	if allowed {
		return nil
	}
	err := models.Errorf(models.CodeRateLimited, "the tenant sends more than %g requests a second", float64(l.rate))
	err.RetryAfter = time.Duration((1 - left) / float64(l.rate) * float64(time.Second))
	return err
}
