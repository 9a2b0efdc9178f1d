package secret

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

const tenant = models.TenantID("11111111-2222-4333-8444-555555555555")

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	mine, other := filepath.Join(dir, string(tenant)), filepath.Join(dir, "99999999-2222-4333-8444-555555555555")
	write(t, filepath.Join(mine, "plain/username"), "ann\n")
	write(t, filepath.Join(mine, "plain/password"), " p w \r\n")
	write(t, filepath.Join(other, "theirs/username"), "bob")
	write(t, filepath.Join(other, "theirs/password"), "canary")
	// As Kubernetes mounts a secret.
	write(t, filepath.Join(mine, "mounted/..2024/username"), "kay")
	write(t, filepath.Join(mine, "mounted/..2024/password"), "eight")
	link(t, "..2024", filepath.Join(mine, "mounted/..data"))
	link(t, "..data/username", filepath.Join(mine, "mounted/username"))
	link(t, "..data/password", filepath.Join(mine, "mounted/password"))
	link(t, filepath.Join(other, "theirs"), filepath.Join(mine, "stolen"))
	write(t, filepath.Join(mine, "half/username"), "x")
	write(t, filepath.Join(mine, "large/username"), string(make([]byte, maxValueBytes+1)))

	r := Resolver{Secrets: task.Secrets{Dir: dir}}
	for ref, want := range map[string]Credentials{"plain": {"ann", " p w "}, "mounted": {"kay", "eight"}} {
		if got, err := r.Credentials(tenant, ref); err != nil || got != want {
			t.Errorf("%s: got %q, %v", ref, got, err)
		}
	}
	for _, ref := range []string{"", ".", "..", "../99999999-2222-4333-8444-555555555555/theirs", "plain/username", "stolen", "half", "large", "absent", "a\x00b", ".hidden"} {
		got, err := r.Credentials(tenant, ref)
		if err == nil || fault.Of(err).Class != models.ClassSecret || fault.Of(err).Retry {
			t.Errorf("%q: got %v, %v", ref, got, err)
		}
	}
	if got, err := r.Credentials("", "plain"); err == nil {
		t.Errorf("no tenant: got %v", got)
	}
}

func TestEnvironment(t *testing.T) {
	environ := []string{
		"PIPELINE_SECRET_11111111_2222_4333_8444_555555555555_SALES_DB_USERNAME=ann",
		"PIPELINE_SECRET_11111111_2222_4333_8444_555555555555_SALES_DB_PASSWORD=p=w",
		"PIPELINE_SECRET_99999999_2222_4333_8444_555555555555_SALES_DB_USERNAME=bob",
	}
	r := Resolver{Secrets: task.Secrets{Env: true}, Environ: environ}
	if got, err := r.Credentials(tenant, "sales-db"); err != nil || got != (Credentials{"ann", "p=w"}) {
		t.Errorf("got %v, %v", got, err)
	}
	r.Secrets.Env = false
	if got, err := r.Credentials(tenant, "sales-db"); err == nil {
		t.Errorf("without the provider: got %v", got)
	}
}

func TestOptional(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, string(tenant), "webhook-signing/secret"), "key\n")
	write(t, filepath.Join(dir, string(tenant), "large/secret"), string(make([]byte, maxValueBytes+1)))
	r := Resolver{Secrets: task.Secrets{Dir: dir}}
	for ref, want := range map[string]string{"webhook-signing": "key", "none": ""} {
		if got, err := r.Optional(tenant, ref, "secret"); got != want || err != nil {
			t.Errorf("%s: got %q, %v", ref, got, err)
		}
	}
	if _, err := r.Optional(tenant, "large", "secret"); err == nil {
		t.Error("what is there and cannot be read is not the same as nothing")
	}
}
