package signer_test

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/cmd/standalone/internal/signer"
	"github.com/matih/pipeline-service/models"
)

const tenant = "11111111-2222-4333-8444-555555555555"

var grant = signer.Grant{
	Subject: "ada", Tenants: []string{tenant}, Roles: []string{"VIEWER"}, Groups: []string{"finance"},
	Audience: "pipeline-service", TTL: time.Hour,
}

func verify(t *testing.T, issuer auth.Issuer, token string) (*auth.Principal, error) {
	t.Helper()
	v, err := auth.NewVerifier(auth.Options{Issuers: []auth.Issuer{issuer}, Audiences: []string{"pipeline-service"}})
	require.NoError(t, err)
	return v.Verify(t.Context(), token)
}

func TestTokensHoldForTheirDirectoryOnly(t *testing.T) {
	dir := t.TempDir()
	_, err := signer.Open(dir)
	require.ErrorIs(t, err, signer.ErrNoKey)

	s, err := signer.OpenOrCreate(dir)
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(dir, "signing-key.pem"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	token, err := s.Sign(grant, time.Now())
	require.NoError(t, err)

	again, err := signer.Open(dir)
	require.NoError(t, err)
	p, err := verify(t, again.Issuer(), token)
	require.NoError(t, err)
	require.Equal(t, "ada", p.Subject)
	require.Equal(t, []models.TenantID{tenant}, p.Tenants)
	require.Equal(t, []auth.Scope{auth.ScopeRead}, p.Scopes)
	require.Equal(t, []string{"finance"}, p.Groups)

	other, err := signer.OpenOrCreate(t.TempDir())
	require.NoError(t, err)
	_, err = verify(t, other.Issuer(), token)
	require.Equal(t, models.CodeUnauthenticated, models.CodeOf(err))

	old, err := s.Sign(grant, time.Now().Add(-2*time.Hour))
	require.NoError(t, err)
	_, err = verify(t, again.Issuer(), old)
	require.ErrorContains(t, err, "expired")
}

func TestKeySetVerifiesTokensElsewhere(t *testing.T) {
	s, err := signer.OpenOrCreate(t.TempDir())
	require.NoError(t, err)
	server := httptest.NewServer(s)
	defer server.Close()
	remote, err := auth.RemoteIssuer(t.Context(), server.URL, []string{signer.Issuer}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	token, err := s.Sign(grant, time.Now())
	require.NoError(t, err)
	p, err := verify(t, remote, token)
	require.NoError(t, err)
	require.Equal(t, "ada", p.Subject)
}

func TestOpenRefusesWhatIsNoKey(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "text": "hello", "other PEM": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"broken": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "signing-key.pem"), []byte(content), 0o600))
			_, err := signer.OpenOrCreate(dir)
			require.ErrorContains(t, err, "signing key")
		})
	}
}
