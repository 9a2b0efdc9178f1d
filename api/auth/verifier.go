// Package auth turns a bearer token into a Principal: which subject it speaks for, in which
// tenants, with which scopes.
package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/matih/pipeline-service/models"
)

const (
	// maxToken bounds the work an unverified token can cause, in bytes.
	maxToken = 8 << 10
	// leeway is how far the issuer's clock may differ from ours.
	leeway = 30 * time.Second
)

// algorithms are the signatures a token may carry. Symmetric ones are left out, so a public key
// never serves as a shared secret.
var algorithms = []string{"RS256", "PS256", "ES256", "EdDSA"}

// tokenTypes are the values of a token's typ header that can stand for an access token.
var tokenTypes = []string{"", "jwt", "at+jwt", "application/at+jwt"}

// Options says which tokens a Verifier accepts.
type Options struct {
	// Issuers are trusted to sign tokens; at least one.
	Issuers []Issuer
	// Audiences are the names of this service, of which a token must hold one.
	Audiences []string
	// Now tells the time; time.Now unless given.
	Now func() time.Time
}

// Verifier checks bearer tokens after RFC 8725. It is safe for concurrent use.
type Verifier struct {
	issuers []Issuer
	parser  *jwt.Parser
}

// NewVerifier makes a Verifier.
func NewVerifier(o Options) (*Verifier, error) {
	if len(o.Issuers) == 0 {
		return nil, errors.New("auth: no issuer is trusted")
	}
	if len(o.Audiences) == 0 || slices.Contains(o.Audiences, "") {
		return nil, errors.New("auth: no audience is set")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Verifier{
		issuers: o.Issuers,
		parser: jwt.NewParser(
			jwt.WithValidMethods(algorithms),
			jwt.WithAudience(o.Audiences...),
			jwt.WithExpirationRequired(),
			jwt.WithLeeway(leeway),
			jwt.WithTimeFunc(o.Now),
			jwt.WithStrictDecoding(),
		),
	}, nil
}

// Verify checks a token and says whom it speaks for. The error has CodeUnauthenticated, or
// CodeUnavailable where no key of the token's issuer could be fetched yet.
func (v *Verifier) Verify(ctx context.Context, token string) (*Principal, error) {
	if len(token) > maxToken {
		return nil, refuse("the token is too long", nil)
	}
	var c claims
	if _, err := v.parser.ParseWithClaims(token, &c, v.keys(ctx)); err != nil {
		return nil, explain(err)
	}
	p, err := c.principal()
	if err != nil {
		return nil, refuse("the token's claims are not usable", err)
	}
	return p, nil
}

// keys finds the keys of the token's issuer. Where a token says that its keys are (jku, x5u, jwk)
// is never looked at.
func (v *Verifier) keys(ctx context.Context) jwt.Keyfunc {
	return func(token *jwt.Token) (any, error) {
		typ, _ := token.Header["typ"].(string)
		if !slices.Contains(tokenTypes, strings.ToLower(typ)) {
			return nil, fmt.Errorf("type %q is no access token", typ)
		}
		if _, ok := token.Header["crit"]; ok {
			return nil, errors.New("critical headers are not understood")
		}
		iss, err := token.Claims.GetIssuer()
		if err != nil || iss == "" {
			return nil, jwt.ErrTokenInvalidIssuer
		}
		var (
			set  jwt.VerificationKeySet
			errs = []error{jwt.ErrTokenInvalidIssuer}
		)
		for _, issuer := range v.issuers {
			if !issuer.signs(iss) {
				continue
			}
			found, err := issuer.Keys(ctx, token)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			set.Keys = append(set.Keys, found...)
		}
		if len(set.Keys) == 0 {
			return nil, errors.Join(errs...)
		}
		return set, nil
	}
}

// explain says what is wrong with a token, as far as that helps its holder and nobody else.
func explain(err error) error {
	var unavailable *models.Error
	switch {
	case errors.As(err, &unavailable):
		return unavailable
	case errors.Is(err, jwt.ErrTokenMalformed):
		return refuse("the token is malformed", err)
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse("the token has expired", err)
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return refuse("the token is not valid yet", err)
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return refuse("the token is for another audience", err)
	default:
		return refuse("the token is not valid", err)
	}
}

func refuse(message string, cause error) *models.Error {
	return &models.Error{Code: models.CodeUnauthenticated, Message: message, Cause: cause}
}
