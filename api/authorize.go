package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
)

const tenantHeader = "X-Tenant-ID"

// realm names this service in WWW-Authenticate.
const realm = "pipeline-service"

// authorize lets a request through whose token is valid (else 401), whose tenant is well-formed (400) and
// one of the token's (403), whose scope suffices (403) and whose tenant has not asked too often (429).
func (s *service) authorize(op *operation, next http.Handler) http.Handler {
	if op.Scope == auth.Public {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := requestOf(r.Context())
		token, err := bearerToken(r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		state.hasToken = true
		if state.principal, err = s.Auth.Verify(r.Context(), token); err != nil {
			s.fail(w, r, err)
			return
		}
		tenant, err := tenantOf(r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if !state.principal.Belongs(tenant) {
			s.fail(w, r, models.Errorf(models.CodeForbidden, "the token is not for this tenant"))
			return
		}
		state.tenant, state.store = tenant, s.Store.ForTenant(tenant)
		if scopes := op.scopes(); !slices.ContainsFunc(scopes, state.principal.Allows) {
			w.Header().Set("WWW-Authenticate",
				fmt.Sprintf(`Bearer realm=%q, error="insufficient_scope", scope=%q`, realm, joined(scopes)))
			s.fail(w, r, insufficient(scopes[0]))
			return
		}
		if err := s.limits.take(r.Context(), tenant, state.store, w.Header()); err != nil {
			s.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// require fails with CodeForbidden where the caller does not hold a scope. It is for handlers of operations that ask
// for either of two.
func (r *request) require(scope auth.Scope) error {
	if r.principal.Allows(scope) {
		return nil
	}
	return insufficient(scope)
}

func insufficient(scope auth.Scope) error {
	return models.Errorf(models.CodeForbidden, "this needs the scope %s, which these roles hold: %s",
		scope, strings.Join(auth.RolesWith(scope), ", "))
}

// joined lists scopes as OAuth does.
func joined(scopes []auth.Scope) string {
	words := make([]string, len(scopes))
	for i, scope := range scopes {
		words[i] = string(scope)
	}
	return strings.Join(words, " ")
}

// bearerToken is the token of the one Authorization header.
func bearerToken(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", models.Errorf(models.CodeUnauthenticated, "send a token as Authorization: Bearer <token>")
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", models.Errorf(models.CodeUnauthenticated, "send one token as Authorization: Bearer <token>")
	}
	return token, nil
}

// tenantOf is the tenant of the one X-Tenant-ID header.
func tenantOf(r *http.Request) (models.TenantID, error) {
	values := r.Header.Values(tenantHeader)
	if len(values) != 1 {
		return "", models.Errorf(models.CodeInvalidTenant, "send the header %s once", tenantHeader)
	}
	return models.ParseTenantID(values[0])
}

// challenge is the WWW-Authenticate header of RFC 6750: where no token was sent, nothing is said about it.
func challenge(message string, hasToken bool) string {
	if !hasToken {
		return fmt.Sprintf(`Bearer realm=%q`, realm)
	}
	return fmt.Sprintf(`Bearer realm=%q, error="invalid_token", error_description=%q`, realm, message)
}
