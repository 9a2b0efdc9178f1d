// Package secret finds a tenant's credentials where the task process runs, so that they never pass
// through the service's database, its histories or its logs.
package secret

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// maxValueBytes bounds one value; larger files are not secrets.
const maxValueBytes = 64 << 10

// Credentials are what a relational database asks for.
type Credentials struct {
	Username string
	Password string
}

// Values lists what must never be seen outside the process.
func (c Credentials) Values() []string { return []string{c.Password, c.Username} }

// Resolver looks a tenant's secrets up. Environ has the form of os.Environ.
type Resolver struct {
	Secrets task.Secrets
	Environ []string
}

// Credentials returns the entry ref of the tenant: username and password, the latter possibly empty.
func (r Resolver) Credentials(tenant models.TenantID, ref string) (Credentials, error) {
	if ref == "" {
		return Credentials{}, fault.Errorf(models.ClassSecret, "the connection names no credentials: set its credentialSecretRef")
	}
	if !validRef(ref) || string(tenant) == "" {
		return Credentials{}, fault.Errorf(models.ClassSecret, "credentialSecretRef %q is not a name: it may hold letters, digits, '.', '_' and '-'", ref)
	}
	username, err := r.lookup(tenant, ref, "username")
	if err != nil {
		return Credentials{}, err
	}
	password, err := r.lookup(tenant, ref, "password")
	if err != nil {
		return Credentials{}, err
	}
	return Credentials{Username: username, Password: password}, nil
}

// Optional returns one key of the entry ref of the tenant, "" where there is none.
func (r Resolver) Optional(tenant models.TenantID, ref, key string) (string, error) {
	value, _, err := r.find(tenant, ref, key)
	return value, err
}

func (r Resolver) lookup(tenant models.TenantID, ref, key string) (string, error) {
	value, found, err := r.find(tenant, ref, key)
	if err == nil && !found {
		err = fault.Errorf(models.ClassSecret, "the secret %q of this tenant has no %s: put it into the secret store or correct credentialSecretRef", ref, key)
	}
	return value, err
}

func (r Resolver) find(tenant models.TenantID, ref, key string) (value string, found bool, err error) {
	if r.Secrets.Dir != "" {
		value, err := readEntry(filepath.Join(r.Secrets.Dir, string(tenant)), filepath.Join(ref, key))
		switch {
		case err == nil:
			return value, true, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", false, fault.Because(fault.Errorf(models.ClassSecret, "the secret %q has no readable %s", ref, key), err)
		}
	}
	if r.Secrets.Env {
		if value, ok := r.fromEnviron(tenant, ref, key); ok {
			return value, true, nil
		}
	}
	return "", false, nil
}

// readEntry reads a file below dir. Symbolic links are followed, as Kubernetes mounts need it, but
// only within dir.
func readEntry(dir, name string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxValueBytes {
		return "", errors.New("it is not a file of at most 64 KiB")
	}
	value, err := io.ReadAll(io.LimitReader(f, maxValueBytes))
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(value), "\n"), "\r"), nil
}

func (r Resolver) fromEnviron(tenant models.TenantID, ref, key string) (string, bool) {
	name := EnvName(tenant, ref, key)
	for _, entry := range r.Environ {
		if k, v, ok := strings.Cut(entry, "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}

// EnvName is the environment variable of a secret's key: upper-case, everything but letters and digits
// an underscore.
func EnvName(tenant models.TenantID, ref, key string) string {
	plain := func(s string) string {
		return strings.Map(func(c rune) rune {
			if c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
				return c
			}
			return '_'
		}, strings.ToUpper(s))
	}
	return "PIPELINE_SECRET_" + plain(string(tenant)) + "_" + plain(ref) + "_" + plain(key)
}

// validRef accepts a single path element that cannot climb or hide.
func validRef(ref string) bool {
	if len(ref) > 253 || strings.HasPrefix(ref, ".") {
		return false
	}
	return strings.IndexFunc(ref, func(c rune) bool {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		return !letter && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-'
	}) < 0
}
