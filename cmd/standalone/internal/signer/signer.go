// Package signer is standalone's own token issuer: a key pair in the data directory, tokens signed with it and the key set
// that verifies them.
package signer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/matih/pipeline-service/api/auth"
)

const (
	// Issuer is the iss of every token signed here.
	Issuer = "pipeline-service-standalone"
	// KeySetPath is where the key set is served.
	KeySetPath = "/.well-known/jwks.json"

	keyFile = "signing-key.pem"
	pemType = "PRIVATE KEY"
)

// ErrNoKey says that a data directory holds no key: no standalone has been started on it yet.
var ErrNoKey = errors.New("there is no signing key")

// Signer signs tokens with ES256. It is safe for concurrent use.
type Signer struct {
	key *ecdsa.PrivateKey
	jwk jwkset.JWK
}

// Grant is what a token says about its bearer.
type Grant struct {
	Subject  string
	Tenants  []string
	Roles    []string
	Groups   []string
	Audience string
	TTL      time.Duration
}

// Open reads the key of a data directory. The error is ErrNoKey where there is none.
func Open(dir string) (*Signer, error) {
	path := filepath.Join(dir, keyFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s", ErrNoKey, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != pemType {
		return nil, fmt.Errorf("signing key: %s is not a private key in PEM", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("signing key: %s: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("signing key: %s is not a P-256 key", path)
	}
	return newSigner(key)
}

// OpenOrCreate reads the key of a data directory and makes one where there is none. The caller holds the
// directory's lock.
func OpenOrCreate(dir string) (*Signer, error) {
	s, err := Open(dir)
	if !errors.Is(err, ErrNoKey) {
		return s, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	path := filepath.Join(dir, keyFile)
	draft := path + ".new"
	content := pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
	if err := os.WriteFile(draft, content, 0o600); err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if err := os.Rename(draft, path); err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return newSigner(key)
}

func newSigner(key *ecdsa.PrivateKey) (*Signer, error) {
	id, err := thumbprint(key)
	if err != nil {
		return nil, err
	}
	jwk, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{
		Metadata: jwkset.JWKMetadataOptions{ALG: jwkset.AlgES256, KID: id, USE: jwkset.UseSig},
	})
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return &Signer{key: key, jwk: jwk}, nil
}

// thumbprint is the key's id: the hash of its members in the order of RFC 7638.
func thumbprint(key *ecdsa.PrivateKey) (string, error) {
	point, err := key.PublicKey.Bytes() // 4, X, Y
	if err != nil {
		return "", fmt.Errorf("signing key: %w", err)
	}
	half := len(point) / 2
	encode := base64.RawURLEncoding.EncodeToString
	members := fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, encode(point[1:1+half]), encode(point[1+half:]))
	sum := sha256.Sum256([]byte(members))
	return encode(sum[:]), nil
}

// Sign makes a token.
func (s *Signer) Sign(g Grant, now time.Time) (string, error) {
	claims := jwt.MapClaims{
		"iss":       Issuer,
		"aud":       g.Audience,
		"sub":       g.Subject,
		"tenant_id": g.Tenants,
		"roles":     g.Roles,
		"iat":       now.Unix(),
		"exp":       now.Add(g.TTL).Unix(),
		"jti":       uuid.NewString(),
	}
	if len(g.Groups) > 0 {
		claims["groups"] = g.Groups
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["kid"] = s.jwk.Marshal().KID
	signed, err := token.SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	return signed, nil
}

// Issuer is what verifies the tokens of this signer.
func (s *Signer) Issuer() auth.Issuer {
	return auth.StaticIssuer(Issuer, func(token *jwt.Token) (any, error) {
		if kid := token.Header["kid"]; kid != s.jwk.Marshal().KID {
			return nil, fmt.Errorf("key %v is not the one of this data directory", kid)
		}
		return s.key.Public(), nil
	})
}

// ServeHTTP answers with the key set.
func (s *Signer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	set, err := json.Marshal(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{s.jwk.Marshal()}})
	if err != nil {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "max-age=300")
	_, _ = w.Write(set)
}
