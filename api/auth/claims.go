package auth

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/golang-jwt/jwt/v5"

	"github.com/matih/pipeline-service/models"
)

// maxSubject is the longest subject, in bytes, that is taken over into rows and logs.
const maxSubject = 255

// Principal is who a verified token speaks for.
type Principal struct {
	// Subject is the token's sub.
	Subject string
	// Tenants are those the token may act for.
	Tenants []models.TenantID
	// Roles are the token's roles as they stand in it, known or not.
	Roles []string
	// Scopes are what the roles and the scope claim grant together.
	Scopes []Scope
	// Groups are the token's groups; approvals may ask for one.
	Groups []string
	// Expires is when the token ends. Nothing that lasts may outlive it.
	Expires time.Time
}

// Allows reports whether the principal holds a scope.
func (p *Principal) Allows(scope Scope) bool { return slices.Contains(p.Scopes, scope) }

// Belongs reports whether the principal may act for a tenant.
func (p *Principal) Belongs(tenant models.TenantID) bool { return slices.Contains(p.Tenants, tenant) }

// claims are the parts of a token this service reads.
type claims struct {
	jwt.RegisteredClaims
	TenantID list `json:"tenant_id"`
	Roles    list `json:"roles"`
	Groups   list `json:"groups"`
	Scope    list `json:"scope"`
	SCP      list `json:"scp"` // the name some issuers give scope
}

// list is a claim that issuers write as one string or as a list of strings.
type list []string

// UnmarshalJSON accepts both forms.
func (l *list) UnmarshalJSON(raw []byte) error {
	var one string
	if err := json.Unmarshal(raw, &one); err == nil {
		*l = nil
		if one != "" {
			*l = list{one}
		}
		return nil
	}
	var many []string
	if err := json.Unmarshal(raw, &many); err != nil {
		return errors.New("a claim is neither a string nor a list of strings")
	}
	*l = many
	return nil
}

// principal reads a verified token's claims.
func (c *claims) principal() (*Principal, error) {
	if c.Subject == "" || len(c.Subject) > maxSubject || strings.ContainsFunc(c.Subject, unicode.IsControl) {
		return nil, errors.New("the subject is missing or not usable")
	}
	p := &Principal{Subject: c.Subject, Roles: c.Roles, Groups: c.Groups, Expires: c.ExpiresAt.Time}
	for _, s := range c.TenantID {
		if id, err := models.ParseTenantID(s); err == nil {
			p.Tenants = append(p.Tenants, id)
		}
	}
	for _, role := range c.Roles {
		p.grant(Roles[Role(role)]...)
	}
	for _, words := range slices.Concat(c.Scope, c.SCP) {
		for word := range strings.FieldsSeq(words) {
			if slices.Contains(Scopes, Scope(word)) {
				p.grant(Scope(word))
			}
		}
	}
	return p, nil
}

// grant adds scopes that are not there yet.
func (p *Principal) grant(scopes ...Scope) {
	for _, s := range scopes {
		if !p.Allows(s) {
			p.Scopes = append(p.Scopes, s)
		}
	}
}
