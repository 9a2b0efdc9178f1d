package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/models"
)

func TestAudit(t *testing.T) {
	e := newEnv(t)
	pipeline := e.pipeline("flights")
	refused := e.do("POST", "/v1/pipelines", body(pipelineJSON("flights")))
	refused.problem(http.StatusConflict, models.CodeNameTaken)
	e.do("DELETE", "/v1/pipelines/"+pipeline).is(http.StatusNoContent)
	e.do("GET", "/v1/pipelines/"+pipeline).is(http.StatusOK)

	all := e.do("GET", "/v1/audit").is(http.StatusOK).json()
	assert.Equal(t, 4.0, all["total"], "reading is not audited")
	entries := all["entries"].([]any)
	deleted, taken, created := entries[0].(map[string]any), entries[1].(map[string]any), entries[2].(map[string]any)
	assert.Equal(t, "deletePipeline", deleted["operation"])
	assert.Equal(t, pipeline, deleted["resourceId"])
	assert.Equal(t, 204.0, deleted["status"])
	assert.Equal(t, "engineer@acme.com", deleted["subject"])
	assert.Equal(t, 409.0, taken["status"])
	assert.Equal(t, refused.header.Get("X-Request-ID"), taken["requestId"])
	assert.NotContains(t, taken, "resourceId")
	assert.Equal(t, pipeline, created["resourceId"], "what was made")

	about := e.do("GET", "/v1/audit?resourceId="+pipeline).json()
	assert.Equal(t, 2.0, about["total"])
	assert.Len(t, about["entries"], 2)
	assert.Equal(t, 4.0, e.do("GET", "/v1/audit?subject=engineer@acme.com").json()["total"])
	assert.Equal(t, 0.0, e.do("GET", "/v1/audit?subject=eve").json()["total"])
	assert.Contains(t, e.do("GET", "/v1/audit?subject=eve&resourceId=x").mistakes(), "query.subject")
	assert.Equal(t, 0.0, e.other().do("GET", "/v1/audit").json()["total"], "tenants see their own")
	e.do("GET", "/v1/audit", bearer(e.token("OPERATOR"))).problem(http.StatusForbidden, models.CodeForbidden)
}

// Replicas of the API share what a tenant may do.
func TestRateLimitOfReplicas(t *testing.T) {
	clock := newClock()
	limited := func(c *api.Config) { c.RateLimit, c.Now = 4, clock.Now }
	dsn := postgres.NewDatabase(t)
	one := newEnvOn(t, dsn, limited)
	two := newEnvOn(t, dsn, limited)
	two.tenant = one.tenant
	passed := 0
	for range 20 {
		for _, replica := range []*env{one, two} {
			if replica.do("GET", "/v1/pipelines").status == http.StatusOK {
				passed++
			}
		}
	}
	assert.Equal(t, 8, passed, "the burst, once for both")
	require.Equal(t, http.StatusTooManyRequests, two.do("GET", "/v1/pipelines").status)
}
