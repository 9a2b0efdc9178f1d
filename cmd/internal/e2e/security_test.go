package e2e

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// canary stands for a password: wherever it turns up, a secret has leaked.
const canary = "kanarienvogel-7f3a"

// TestSecretsStayInTheirProcess gives a database user a recognisable password and looks for it in
// everything that was stored, printed and answered.
func TestSecretsStayInTheirProcess(t *testing.T) {
	w := newWorld(t)
	w.withDatabase()
	w.exec("create role canary login password '" + canary + "'")
	w.exec("create table public.src as select 1 as id")
	w.exec("grant all on schema public to canary")
	w.exec("grant select on public.src to canary")
	w.secret(tenantA, "canary", map[string]string{"username": "canary", "password": canary})
	w.secret(tenantA, "wrong", map[string]string{"username": "canary", "password": canary + "-wrong"})
	connection := func(name, ref string) string {
		id, err := w.CreateConnection(w.ctx, m{"name": name, "type": "jdbc", "host": postgres.Host, "port": postgres.Port,
			"database": w.db.Config().Database, "credentialSecretRef": ref, "properties": m{"sslMode": "disable"}})
		require.NoError(t, err)
		return id
	}
	var answers []byte
	for name, connected := range map[string]bool{"canary": true, "wrong": false} {
		var test struct {
			Connected bool
			Reason    string
		}
		a, err := w.Do(w.ctx, http.MethodPost, "/v1/pipelines/connections/"+connection(name, name)+"/test", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, a.Status, string(a.Body))
		answers = append(answers, a.Body...)
		require.NoError(t, json.Unmarshal(a.Body, &test))
		assert.Equal(t, connected, test.Connected, string(a.Body))
		if !connected {
			assert.NotEmpty(t, test.Reason)
		}
	}
	for _, name := range []string{"canary", "wrong"} {
		id := w.pipeline(name, m{
			"sources": m{"raw": m{"type": "jdbc", "connection": name, "table": "public.src"}},
			"transformations": []m{{"name": "look", "type": "sql_transform", "input": "raw",
				"sql": "select *, 'seen' as mark from raw"}},
			"sinks":         m{"out": m{"type": "jdbc", "connection": name, "table": "public.out_" + name, "mode": "append"}},
			"orchestration": m{"retry_policy": m{"max_attempts": 1}},
		})
		e, err := w.Run(w.ctx, id, nil)
		require.NoError(t, err)
		assert.True(t, e.Terminal())
		if name == "wrong" {
			assert.Equal(t, "FAILED", e.Status)
		}
		for _, path := range []string{"", "/logs?lines=10000", "/tasks"} {
			a, err := w.Do(w.ctx, http.MethodGet, "/v1/pipelines/executions/"+e.ExecutionID+path, nil)
			require.NoError(t, err)
			answers = append(answers, a.Body...)
		}
	}
	assert.NotContains(t, string(answers), canary, "an answer of the API")
	assert.NotContains(t, w.Output(), canary, "the service's log")
	secrets := filepath.Join(w.DataDir, "secrets")
	require.NoError(t, filepath.WalkDir(w.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == secrets {
			if path == secrets {
				return fs.SkipDir
			}
			return nil //nolint:nilerr // files come and go while standalone runs
		}
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if err == nil {
			assert.False(t, bytes.Contains(content, []byte(canary)), "stored in %s", path)
		}
		return nil
	}))
}

// TestTenantsDoNotMeet tries one tenant's things with another tenant's token.
func TestTenantsDoNotMeet(t *testing.T) {
	w := newWorld(t)
	pipeline := w.endless("mine")
	execution, err := w.Execute(w.ctx, pipeline, nil)
	require.NoError(t, err)
	other, err := w.Standalone.Client(w.ctx, tenantB, "bea@example.com", "ADMIN")
	require.NoError(t, err)
	for _, c := range []struct{ method, path string }{
		{"GET", "/v1/pipelines/" + pipeline},
		{"DELETE", "/v1/pipelines/" + pipeline},
		{"POST", "/v1/pipelines/" + pipeline + "/execute"},
		{"GET", "/v1/pipelines/executions/" + execution},
		{"GET", "/v1/pipelines/executions/" + execution + "/logs"},
		{"GET", "/v1/pipelines/executions/" + execution + "/tasks"},
		{"POST", "/v1/pipelines/executions/" + execution + "/cancel"},
	} {
		a, err := other.Do(w.ctx, c.method, c.path, nil)
		require.NoError(t, err)
		assert.Equal(t, http.StatusNotFound, a.Status, "%s %s", c.method, c.path)
	}
	other.Tenant = tenantA
	a, err := other.Do(w.ctx, http.MethodGet, "/v1/pipelines/"+pipeline, nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusForbidden, a.Status, "a token speaks for its own tenant only")

	a, err = other.Do(w.ctx, http.MethodPost, "/v1/pipelines", m{"name": "theirs", "definition": m{
		"sources": m{"a": m{"type": "cloud_storage", "connection": "files", "format": "csv"}},
		"sinks":   m{"b": m{"type": "cloud_storage", "connection": "files", "format": "csv", "mode": "append"}},
	}})
	require.NoError(t, err)
	assert.Equal(t, http.StatusForbidden, a.Status)
	other.Tenant = tenantB
	a, err = other.Do(w.ctx, http.MethodPost, "/v1/pipelines", m{"name": "theirs", "definition": m{
		"sources": m{"a": m{"type": "cloud_storage", "connection": "files", "format": "csv"}},
		"sinks":   m{"b": m{"type": "cloud_storage", "connection": "files", "format": "csv", "mode": "append"}},
	}})
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadRequest, a.Status, "a foreign connection is no connection")
	assert.Contains(t, string(a.Body), "body.definition.sources.a.connection")
	require.NoError(t, w.JSON(w.ctx, http.MethodPost, "/v1/pipelines/executions/"+execution+"/cancel", nil, http.StatusAccepted, nil))
	_, err = w.Await(w.ctx, execution)
	require.NoError(t, err)
}
