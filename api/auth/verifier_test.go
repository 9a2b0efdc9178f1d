package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
)

const (
	issuerName = "https://issuer.test"
	audience   = "pipeline-service"
	tenantA    = "11111111-2222-4333-8444-555555555555"
	tenantB    = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
)

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// jwks is an issuer whose keys can change and which can go away.
type jwks struct {
	*httptest.Server
	mu    sync.Mutex
	keys  map[string]crypto.PublicKey
	away  atomic.Bool
	asked atomic.Int32
}

func newJWKS(t *testing.T) *jwks {
	t.Helper()
	j := &jwks{keys: map[string]crypto.PublicKey{}}
	j.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		j.asked.Add(1)
		if j.away.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		storage := jwkset.NewMemoryStorage()
		for kid, key := range j.keys {
			jwk, err := jwkset.NewJWKFromKey(key, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: kid}})
			if !assert.NoError(t, err) || !assert.NoError(t, storage.KeyWrite(r.Context(), jwk)) {
				return
			}
		}
		doc, err := storage.JSONPublic(r.Context())
		assert.NoError(t, err)
		_, _ = w.Write(doc)
	}))
	t.Cleanup(j.Close)
	return j
}

func (j *jwks) publish(kid string, key crypto.PublicKey) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.keys[kid] = key
}

func verifier(t *testing.T, j *jwks) *auth.Verifier {
	t.Helper()
	issuer, err := auth.RemoteIssuer(t.Context(), j.URL, []string{issuerName}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	v, err := auth.NewVerifier(auth.Options{Issuers: []auth.Issuer{issuer}, Audiences: []string{audience}})
	require.NoError(t, err)
	return v
}

func goodClaims() jwt.MapClaims {
	return jwt.MapClaims{
		"iss": issuerName, "aud": audience, "sub": "engineer@acme.com", "exp": time.Now().Add(time.Hour).Unix(),
		"tenant_id": tenantA, "roles": []string{"DATA_ENGINEER"},
	}
}

func sign(t *testing.T, method jwt.SigningMethod, key any, header map[string]any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	for name, value := range header {
		token.Header[name] = value
	}
	signed, err := token.SignedString(key)
	require.NoError(t, err)
	return signed
}

func with(claims jwt.MapClaims, name string, value any) jwt.MapClaims {
	if value == nil {
		delete(claims, name)
	} else {
		claims[name] = value
	}
	return claims
}

func TestVerifyAcceptsEveryAllowedAlgorithm(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	edPublic, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	j := newJWKS(t)
	j.publish("rsa", rsaKey().Public())
	j.publish("ec", ec.Public())
	j.publish("ed", edPublic)
	v := verifier(t, j)
	for _, c := range []struct {
		method jwt.SigningMethod
		kid    string
		key    any
	}{
		{jwt.SigningMethodRS256, "rsa", rsaKey()},
		{jwt.SigningMethodPS256, "rsa", rsaKey()},
		{jwt.SigningMethodES256, "ec", ec},
		{jwt.SigningMethodEdDSA, "ed", ed},
	} {
		t.Run(c.method.Alg(), func(t *testing.T) {
			p, err := v.Verify(t.Context(), sign(t, c.method, c.key, map[string]any{"kid": c.kid}, goodClaims()))
			require.NoError(t, err)
			assert.Equal(t, "engineer@acme.com", p.Subject)
			assert.True(t, p.Belongs(tenantA))
			assert.True(t, p.Allows(auth.ScopeWrite))
			assert.False(t, p.Allows(auth.ScopeDecide))
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	j := newJWKS(t)
	j.publish("one", rsaKey().Public())
	v := verifier(t, j)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	strangerEC, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public := x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)
	kid := map[string]any{"kid": "one"}
	rs := jwt.SigningMethodRS256
	now := time.Now()
	jwk := map[string]any{"kty": "RSA", "n": "AQAB", "e": "AQAB"}

	for name, token := range map[string]string{
		"nothing":                "",
		"no JWT":                 "abc",
		"two parts":              "a.b",
		"algorithm none":         sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, goodClaims()),
		"public key as secret":   sign(t, jwt.SigningMethodHS256, public, kid, goodClaims()),
		"RS512":                  sign(t, jwt.SigningMethodRS512, rsaKey(), kid, goodClaims()),
		"ES256 under an RSA key": sign(t, jwt.SigningMethodES256, strangerEC, kid, goodClaims()),
		"unknown kid":            sign(t, rs, stranger, map[string]any{"kid": "other"}, goodClaims()),
		"stranger's key":         sign(t, rs, stranger, kid, goodClaims()),
		"stranger's key, no kid": sign(t, rs, stranger, nil, goodClaims()),
		"kid is a number":        sign(t, rs, rsaKey(), map[string]any{"kid": 1}, goodClaims()),
		"jku":                    sign(t, rs, stranger, map[string]any{"kid": "x", "jku": "https://evil.test/jwks"}, goodClaims()),
		"jwk":                    sign(t, rs, stranger, map[string]any{"jwk": jwk}, goodClaims()),
		"crit":                   sign(t, rs, rsaKey(), map[string]any{"kid": "one", "crit": []string{"x"}}, goodClaims()),
		"another typ":            sign(t, rs, rsaKey(), map[string]any{"kid": "one", "typ": "logout+jwt"}, goodClaims()),
		"wrong issuer":           sign(t, rs, rsaKey(), kid, with(goodClaims(), "iss", "https://evil.test")),
		"no issuer":              sign(t, rs, rsaKey(), kid, with(goodClaims(), "iss", nil)),
		"wrong audience":         sign(t, rs, rsaKey(), kid, with(goodClaims(), "aud", "other")),
		"no audience":            sign(t, rs, rsaKey(), kid, with(goodClaims(), "aud", nil)),
		"no subject":             sign(t, rs, rsaKey(), kid, with(goodClaims(), "sub", nil)),
		"subject with NUL":       sign(t, rs, rsaKey(), kid, with(goodClaims(), "sub", "a\x00b")),
		"endless subject":        sign(t, rs, rsaKey(), kid, with(goodClaims(), "sub", strings.Repeat("a", 256))),
		"no expiry":              sign(t, rs, rsaKey(), kid, with(goodClaims(), "exp", nil)),
		"expired":                sign(t, rs, rsaKey(), kid, with(goodClaims(), "exp", now.Add(-time.Minute).Unix())),
		"not yet valid":          sign(t, rs, rsaKey(), kid, with(goodClaims(), "nbf", now.Add(time.Minute).Unix())),
		"roles are a number":     sign(t, rs, rsaKey(), kid, with(goodClaims(), "roles", 7)),
		"too long":               sign(t, rs, rsaKey(), kid, with(goodClaims(), "padding", strings.Repeat("x", 9000))),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.Verify(t.Context(), token)
			assert.Equal(t, models.CodeUnauthenticated, models.CodeOf(err), "%v", err)
		})
	}
}

func TestVerifyAllowsForClocksThatDiffer(t *testing.T) {
	j := newJWKS(t)
	j.publish("one", rsaKey().Public())
	v := verifier(t, j)
	for _, claims := range []jwt.MapClaims{
		with(goodClaims(), "exp", time.Now().Add(-20*time.Second).Unix()),
		with(goodClaims(), "nbf", time.Now().Add(20*time.Second).Unix()),
	} {
		_, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodRS256, rsaKey(), map[string]any{"kid": "one"}, claims))
		assert.NoError(t, err)
	}
}

func TestClaimsInEveryForm(t *testing.T) {
	j := newJWKS(t)
	j.publish("one", rsaKey().Public())
	v := verifier(t, j)
	for name, c := range map[string]struct {
		claim   string
		value   any
		tenants []models.TenantID
		scopes  []auth.Scope
	}{
		"one tenant":         {"tenant_id", tenantB, []models.TenantID{tenantB}, nil},
		"upper case":         {"tenant_id", strings.ToUpper(tenantB), []models.TenantID{tenantB}, nil},
		"several tenants":    {"tenant_id", []string{tenantA, tenantB}, []models.TenantID{tenantA, tenantB}, nil},
		"no tenant":          {"tenant_id", nil, nil, nil},
		"nonsense":           {"tenant_id", []string{"*", "", tenantA}, []models.TenantID{tenantA}, nil},
		"scope words":        {"scope", "openid pipelines:read  approvals:decide", nil, []auth.Scope{auth.ScopeRead, auth.ScopeDecide}},
		"scope list":         {"scope", []string{"pipelines:execute"}, nil, []auth.Scope{auth.ScopeExecute}},
		"scp":                {"scp", []string{"alerts:write"}, nil, []auth.Scope{auth.ScopeAlerts}},
		"public is no scope": {"scope", "public", nil, nil},
		"unknown role":       {"roles", []string{"ROOT", "viewer"}, nil, nil},
		"one role":           {"roles", "VIEWER", nil, []auth.Scope{auth.ScopeRead}},
	} {
		t.Run(name, func(t *testing.T) {
			claims := with(with(with(goodClaims(), "roles", nil), "tenant_id", nil), c.claim, c.value)
			p, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodRS256, rsaKey(), map[string]any{"kid": "one"}, claims))
			require.NoError(t, err)
			assert.Equal(t, c.tenants, p.Tenants)
			assert.Equal(t, c.scopes, p.Scopes)
		})
	}
}

func TestKeysRotate(t *testing.T) {
	j := newJWKS(t)
	j.publish("old", rsaKey().Public())
	v := verifier(t, j)
	fresh, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	j.publish("new", fresh.Public())
	_, err = v.Verify(t.Context(), sign(t, jwt.SigningMethodRS256, fresh, map[string]any{"kid": "new"}, goodClaims()))
	require.NoError(t, err, "an unknown key is looked up at once")
}

func TestUnknownKeysDoNotFloodTheIssuer(t *testing.T) {
	j := newJWKS(t)
	j.publish("one", rsaKey().Public())
	v := verifier(t, j)
	token := sign(t, jwt.SigningMethodRS256, rsaKey(), map[string]any{"kid": "other"}, goodClaims())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for range 50 {
		_, err := v.Verify(ctx, token)
		require.Equal(t, models.CodeUnauthenticated, models.CodeOf(err))
	}
	assert.LessOrEqual(t, j.asked.Load(), int32(2), "the first fetch and one for the unknown key")
}

func TestIssuerAway(t *testing.T) {
	token := func(t *testing.T) string {
		return sign(t, jwt.SigningMethodRS256, rsaKey(), map[string]any{"kid": "one"}, goodClaims())
	}
	t.Run("known keys go on serving", func(t *testing.T) {
		j := newJWKS(t)
		j.publish("one", rsaKey().Public())
		v := verifier(t, j)
		j.away.Store(true)
		_, err := v.Verify(t.Context(), token(t))
		assert.NoError(t, err)
	})
	t.Run("away at the start", func(t *testing.T) {
		j := newJWKS(t)
		j.publish("one", rsaKey().Public())
		j.away.Store(true)
		issuer, err := auth.RemoteIssuer(t.Context(), j.URL, []string{issuerName}, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		v, err := auth.NewVerifier(auth.Options{Issuers: []auth.Issuer{issuer}, Audiences: []string{audience}})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = v.Verify(ctx, token(t))
		assert.Equal(t, models.CodeUnavailable, models.CodeOf(err), "%v", err)
		j.away.Store(false)
		_, err = v.Verify(t.Context(), token(t))
		assert.NoError(t, err, "as soon as the issuer is back")
	})
}

func TestKeysCountForTheirIssuerOnly(t *testing.T) {
	mine := auth.StaticIssuer("mine", func(*jwt.Token) (any, error) { return rsaKey().Public(), nil })
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	theirs := auth.StaticIssuer("theirs", func(*jwt.Token) (any, error) { return other.Public(), nil })
	v, err := auth.NewVerifier(auth.Options{Issuers: []auth.Issuer{mine, theirs}, Audiences: []string{audience}})
	require.NoError(t, err)

	_, err = v.Verify(t.Context(), sign(t, jwt.SigningMethodRS256, other, nil, with(goodClaims(), "iss", "theirs")))
	assert.NoError(t, err)
	_, err = v.Verify(t.Context(), sign(t, jwt.SigningMethodRS256, other, nil, with(goodClaims(), "iss", "mine")))
	assert.Equal(t, models.CodeUnauthenticated, models.CodeOf(err))
}

func TestOptionsThatWouldAcceptAnything(t *testing.T) {
	issuer := auth.StaticIssuer("mine", nil)
	for name, o := range map[string]auth.Options{
		"no issuer":      {Audiences: []string{audience}},
		"no audience":    {Issuers: []auth.Issuer{issuer}},
		"empty audience": {Issuers: []auth.Issuer{issuer}, Audiences: []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := auth.NewVerifier(o)
			assert.Error(t, err)
		})
	}
}

// TestRoles holds the table of roles and scopes against the specification's.
func TestRoles(t *testing.T) {
	const table = `{
		"VIEWER": ["pipelines:read"],
		"DATA_ANALYST": ["pipelines:read", "pipelines:execute"],
		"DATA_ENGINEER": ["pipelines:read", "pipelines:execute", "pipelines:write", "connections:write", "alerts:write"],
		"DATA_STEWARD": ["pipelines:read", "approvals:decide"],
		"OPERATOR": ["pipelines:read", "pipelines:execute", "workflows:operate", "airflow:operate", "alerts:write"],
		"ADMIN": ["pipelines:read", "pipelines:execute", "pipelines:write", "connections:write", "approvals:decide",
			"workflows:operate", "airflow:operate", "alerts:write", "audit:read"]
	}`
	var want map[auth.Role][]auth.Scope
	require.NoError(t, json.Unmarshal([]byte(table), &want))
	require.Len(t, auth.Roles, len(want))
	for role, scopes := range want {
		assert.ElementsMatch(t, scopes, auth.Roles[role], role)
	}
	assert.Equal(t, []string{"ADMIN", "DATA_STEWARD"}, auth.RolesWith(auth.ScopeDecide))
}
