package auth

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"

	"github.com/matih/pipeline-service/models"
)

const (
	// fetchTimeout bounds one fetch of a key set, and so how long an unknown key can hold up a request.
	fetchTimeout = 5 * time.Second
	// refreshEvery is how old the cached keys may become while the issuer answers; a revoked key
	// is accepted for at most that long.
	refreshEvery = 10 * time.Minute
	// unknownKeyEvery bounds how often tokens with unknown keys make us ask the issuer. It is below
	// fetchTimeout, which bounds the wait for its turn and the fetch together.
	unknownKeyEvery = 2 * time.Second
	// maxKeySet is the largest key set that is read, in bytes.
	maxKeySet = 1 << 20
)

// Issuer signs tokens. A key counts only for the names of its own issuer.
type Issuer struct {
	// Names are the values of iss its tokens carry; with none, any is accepted.
	Names []string
	// Keys finds the keys that may have signed a token.
	Keys func(context.Context, *jwt.Token) ([]jwt.VerificationKey, error)
}

// StaticIssuer is an issuer whose keys are in this process.
func StaticIssuer(name string, keys jwt.Keyfunc) Issuer {
	return Issuer{
		Names: []string{name},
		Keys: func(_ context.Context, token *jwt.Token) ([]jwt.VerificationKey, error) {
			return asKeys(keys(token))
		},
	}
}

// RemoteIssuer is an issuer whose keys are at a JWKS URL. They are fetched now, every ten minutes
// and when a token names an unknown one; while the issuer does not answer the last ones serve, and
// an issuer that is away now is asked again with the first token. Fetching ends with ctx.
func RemoteIssuer(ctx context.Context, jwksURL string, names []string, log *slog.Logger) (Issuer, error) {
	again := true
	kf, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{jwksURL}, keyfunc.Override{
		Client:                    &http.Client{Timeout: fetchTimeout, Transport: limited{http.DefaultTransport}},
		HTTPTimeout:               fetchTimeout,
		NoErrorReturnFirstHTTPReq: &again,
		RateLimitWaitMax:          fetchTimeout,
		RefreshInterval:           refreshEvery,
		RefreshUnknownKID:         rate.NewLimiter(rate.Every(unknownKeyEvery), 1),
		RefreshErrorHandlerFunc: func(u string) func(context.Context, error) {
			return func(ctx context.Context, err error) {
				log.WarnContext(ctx, "the token issuer's keys could not be fetched", "url", u, "error", err)
			}
		},
	})
	if err != nil {
		return Issuer{}, fmt.Errorf("auth: key set %s: %w", jwksURL, err)
	}
	keys := func(ctx context.Context, token *jwt.Token) ([]jwt.VerificationKey, error) {
		found, err := asKeys(kf.KeyfuncCtx(ctx)(token))
		if err == nil {
			return found, nil
		}
		if all, readErr := kf.Storage().KeyReadAll(ctx); readErr == nil && len(all) == 0 {
			return nil, &models.Error{
				Code: models.CodeUnavailable, Message: "the token's issuer cannot be reached to check the token",
				RetryAfter: unknownKeyEvery, Cause: err,
			}
		}
		return nil, err
	}
	return Issuer{Names: names, Keys: keys}, nil
}

func (i Issuer) signs(iss string) bool { return len(i.Names) == 0 || slices.Contains(i.Names, iss) }

// asKeys brings the two shapes a jwt.Keyfunc may answer in into one.
func asKeys(found any, err error) ([]jwt.VerificationKey, error) {
	if err != nil {
		return nil, err
	}
	if set, ok := found.(jwt.VerificationKeySet); ok {
		return set.Keys, nil
	}
	return []jwt.VerificationKey{found}, nil
}

// limited is a transport whose answers end at maxKeySet, so an issuer cannot fill our memory.
type limited struct{ next http.RoundTripper }

// RoundTrip sends the request and limits the answer.
func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err == nil {
		resp.Body = limitedBody{Reader: io.LimitReader(resp.Body, maxKeySet), Closer: resp.Body}
	}
	return resp, err
}

type limitedBody struct {
	io.Reader
	io.Closer
}
