package api_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// endpoint is an operation of the published document.
type endpoint struct {
	id, method, path string
	// scope is what the caller needs; where one of several will do they are separated by blanks.
	scope string
}

func (e endpoint) allows(scope auth.Scope) bool {
	return slices.Contains(strings.Fields(e.scope), string(scope))
}

// endpoints reads every operation from the OpenAPI document, so that a new one is tested too.
func endpoints(t *testing.T) []endpoint {
	t.Helper()
	raw, err := api.OpenAPI()
	require.NoError(t, err)
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			Security    []map[string][]string
		}
	}
	require.NoError(t, json.Unmarshal(raw, &doc))
	var all []endpoint
	for path, item := range doc.Paths {
		for method, op := range item {
			e := endpoint{id: op.OperationID, method: strings.ToUpper(method), path: path}
			var scopes []string
			for _, alternative := range op.Security {
				scopes = append(scopes, alternative["bearer"]...)
			}
			e.scope = strings.Join(scopes, " ")
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b endpoint) int { return strings.Compare(a.id, b.id) })
	return all
}

// ids are those of a path's resources, by the parameter's name.
type ids map[string]string

// fill puts ids into a path.
func (e endpoint) fill(with ids) string {
	path := strings.NewReplacer("{definitionVersion}", "1", "{templateId}", "retail%2Fnothing").Replace(e.path)
	for name, id := range with {
		path = strings.ReplaceAll(path, "{"+name+"}", id)
	}
	return path
}

// nowhere is the path with ids that nobody has.
func (e endpoint) nowhere() string {
	execution := models.NewID("exec-")
	return e.fill(ids{
		"pipelineId": models.NewID("pipeline-"), "executionId": execution, "connectionId": models.NewID("conn-"),
		"scheduleId": models.NewID("schedule-"), "backfillId": models.NewID("backfill-"),
		"approvalId": contract.ApprovalID(execution, "check"), "workflowId": execution, "alertId": models.NewID("alert-"),
	})
}

// wantScopes is the specification's: which scope each operation needs, "" where it needs no token.
var wantScopes = map[string]auth.Scope{
	"createPipeline": auth.ScopeWrite, "listPipelines": auth.ScopeRead, "getPipeline": auth.ScopeRead,
	"getLineage": auth.ScopeRead, "updatePipeline": auth.ScopeWrite, "deletePipeline": auth.ScopeWrite, "planPipeline": auth.ScopeWrite,
	"executePipeline": auth.ScopeExecute, "listExecutions": auth.ScopeRead, "getExecution": auth.ScopeRead,
	"rerunExecution": auth.ScopeExecute, "updateExecution": auth.ScopeExecute,
	"cancelExecution": auth.ScopeExecute, "getExecutionLogs": auth.ScopeRead, "listTasks": auth.ScopeRead,
	"createConnection": auth.ScopeConnections, "listConnections": auth.ScopeRead, "getConnection": auth.ScopeRead,
	"testConnection": auth.ScopeConnections, "deleteConnection": auth.ScopeConnections,
	"getExecutionCost": auth.ScopeRead, "getPipelineCost": auth.ScopeRead, "getMetrics": auth.ScopeRead, "listAlerts": auth.ScopeRead, "acknowledgeAlert": auth.ScopeAlerts,
	"createSchedule": auth.ScopeWrite, "listSchedules": auth.ScopeRead, "getSchedule": auth.ScopeRead,
	"updateSchedule": auth.ScopeWrite, "deleteSchedule": auth.ScopeWrite, "triggerSchedule": auth.ScopeExecute,
	"createBackfill": auth.ScopeExecute, "listBackfills": auth.ScopeRead, "getBackfill": auth.ScopeRead,
	"pauseBackfill": auth.ScopeExecute, "resumeBackfill": auth.ScopeExecute, "cancelBackfill": auth.ScopeExecute,
	"retryBackfill": auth.ScopeExecute,
	"listVersions":  auth.ScopeRead, "getVersion": auth.ScopeRead, "diffVersions": auth.ScopeRead, "activateVersion": auth.ScopeWrite,
	"listTemplates": auth.ScopeRead, "getTemplate": auth.ScopeRead, "createPipelineFromTemplate": auth.ScopeWrite,
	"listApprovals": auth.ScopeRead, "getApproval": auth.ScopeRead, "getWorkflowStatus": auth.ScopeRead,
	"signalWorkflow": auth.ScopeDecide + " " + auth.ScopeWorkflows, "cancelWorkflow": auth.ScopeWorkflows,
	"listAudit": auth.ScopeAudit,
	"listDags":  auth.ScopeRead, "listDagRuns": auth.ScopeRead, "listDagTasks": auth.ScopeRead, "getDagTaskLogs": auth.ScopeRead,
	"triggerDag": auth.ScopeAirflow, "pauseDag": auth.ScopeAirflow, "unpauseDag": auth.ScopeAirflow,
	"getHealth": "", "getReadiness": "", "getDefinitionSchema": "",
}

func TestEveryOperationDeclaresItsScope(t *testing.T) {
	got := map[string]auth.Scope{}
	for _, op := range endpoints(t) {
		got[op.id] = auth.Scope(op.scope)
	}
	assert.Equal(t, wantScopes, got)
}

func TestUndeclaredOperationsFailTheStart(t *testing.T) {
	_, err := api.NewUndeclared(api.Config{})
	assert.ErrorContains(t, err, "GET /v1/forgotten declares no security")
	_, err = api.NewBare(api.Config{})
	assert.ErrorContains(t, err, "GET /v1/bare declares no security")
}

// TestTokens sends every operation every kind of token that is no good, and every fault of the tenant header.
func TestTokens(t *testing.T) {
	e := newEnv(t)
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signed := func(method jwt.SigningMethod, key any, change func(jwt.MapClaims)) string {
		claims := e.claims("ADMIN")
		change(claims)
		token, err := jwt.NewWithClaims(method, claims).SignedString(key)
		require.NoError(t, err)
		return token
	}
	same := func(jwt.MapClaims) {}
	set := func(name string, value any) func(jwt.MapClaims) { return func(c jwt.MapClaims) { c[name] = value } }
	ed := jwt.SigningMethodEdDSA
	public := []byte(e.key.Public().(ed25519.PublicKey))
	unauthenticated := map[string]option{
		"no token":            without("Authorization"),
		"empty":               header("Authorization", "Bearer "),
		"basic":               header("Authorization", "Basic YTpi"),
		"garbage":             bearer("x.y.z"),
		"none":                bearer(signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, same)),
		"HS256 by public key": bearer(signed(jwt.SigningMethodHS256, public, same)),
		"stranger's key":      bearer(signed(ed, stranger, same)),
		"wrong issuer":        bearer(signed(ed, e.key, set("iss", "https://evil.test"))),
		"wrong audience":      bearer(signed(ed, e.key, set("aud", "other"))),
		"expired":             bearer(signed(ed, e.key, set("exp", time.Now().Add(-time.Hour).Unix()))),
		"future":              bearer(signed(ed, e.key, set("nbf", time.Now().Add(time.Hour).Unix()))),
		"too long":            bearer(signed(ed, e.key, set("x", strings.Repeat("x", 10_000)))),
		"two tokens":          func(c *call) { c.header.Add("Authorization", c.header.Get("Authorization")) },
		"token in wrong place": func(c *call) {
			c.header.Set("X-Authorization", c.header.Get("Authorization"))
			c.header.Del("Authorization")
		},
	}
	badTenant := map[string]option{
		"no tenant":      without("X-Tenant-ID"),
		"no UUID":        header("X-Tenant-ID", "acme"),
		"zero UUID":      header("X-Tenant-ID", uuid.Nil.String()),
		"UUID in braces": header("X-Tenant-ID", "{"+string(e.tenant)+"}"),
		"given twice":    func(c *call) { c.header.Add("X-Tenant-Id", string(e.tenant)) },
	}
	for _, op := range endpoints(t) {
		if op.scope == "" {
			continue
		}
		t.Run(op.id, func(t *testing.T) {
			e := e.on(t)
			for name, o := range unauthenticated {
				answer := e.do(op.method, op.nowhere(), o, without("X-Tenant-ID"))
				answer.problem(http.StatusUnauthorized, models.CodeUnauthenticated)
				assert.Contains(t, answer.header.Get("WWW-Authenticate"), `Bearer realm="pipeline-service"`, name)
			}
			for name, o := range badTenant {
				t.Log(name)
				e.do(op.method, op.nowhere(), o).problem(http.StatusBadRequest, models.CodeInvalidTenant)
			}
			e.do(op.method, op.nowhere(), header("X-Tenant-ID", uuid.NewString())).problem(http.StatusForbidden, models.CodeForbidden)
			none := e.do(op.method, op.nowhere(), bearer(e.token()))
			none.problem(http.StatusForbidden, models.CodeForbidden)
			assert.Contains(t, none.header.Get("WWW-Authenticate"), `error="insufficient_scope", scope="`+op.scope+`"`)
		})
	}
}

// TestRolesAndScopes tries every operation with every role and with every scope alone: whoever may gets as far as a
// 404 or a success, the others a 403.
func TestRolesAndScopes(t *testing.T) {
	e := newEnv(t)
	for _, op := range endpoints(t) {
		if op.scope == "" {
			continue
		}
		t.Run(op.id, func(t *testing.T) {
			e := e.on(t)
			check := func(token, who string, may bool) {
				status := e.do(op.method, op.nowhere(), bearer(token)).status
				assert.Equal(t, may, status != http.StatusForbidden, "%s: %d", who, status)
				assert.NotEqual(t, http.StatusUnauthorized, status, who)
			}
			for role, scopes := range auth.Roles {
				check(e.token(string(role)), string(role), slices.ContainsFunc(scopes, op.allows))
			}
			for _, scope := range auth.Scopes {
				claims := e.claims()
				claims["scope"] = "openid " + string(scope)
				check(e.sign(claims), string(scope), op.allows(scope))
			}
		})
	}
}

// TestTenantsAreIsolated shows every resource of one tenant to another one, which must not be able to tell it from
// one that does not exist, whatever else it sends.
func TestTenantsAreIsolated(t *testing.T) {
	e := newEnv(t)
	execution := e.execution()
	pipeline := e.do("GET", "/v1/pipelines/executions/"+execution).json()["pipelineId"].(string)
	approval := e.gate(execution, "late_flights")
	alert := e.alert(pipeline, models.AlertFreshness)
	connection := e.do("GET", "/v1/pipelines/connections").json()["connections"].([]any)[0].(map[string]any)["connectionId"].(string)
	schedule := e.schedule(pipeline)
	theirs := ids{
		"pipelineId": pipeline, "executionId": execution, "connectionId": connection, "approvalId": approval, "workflowId": execution,
		"scheduleId": schedule, "backfillId": e.backfill(pipeline), "alertId": alert,
	}
	e.gateway.applied = nil
	nonsensical := ids{
		"pipelineId": "x", "executionId": "%2e%2e", "connectionId": "conn-'--", "approvalId": "approval-x", "workflowId": "%2e%2e",
		"scheduleId": "schedule-x", "backfillId": "backfill-%00", "alertId": "alert-0",
	}
	for _, op := range endpoints(t) {
		if !strings.Contains(op.path, "{") || strings.HasPrefix(op.path, "/v1/airflow/") { // there is no Airflow to have any
			continue
		}
		t.Run(op.id, func(t *testing.T) {
			other := e.other()
			other.T = t
			foreign := other.do(op.method, op.fill(theirs), body(`{"bad": `)).
				problem(http.StatusNotFound, models.CodeNotFound)
			unknown := other.do(op.method, op.nowhere()).problem(http.StatusNotFound, models.CodeNotFound)
			nonsense := other.do(op.method, op.fill(nonsensical)).problem(http.StatusNotFound, models.CodeNotFound)
			assert.Equal(t, unknown.Detail, foreign.Detail)
			assert.Equal(t, unknown.Detail, nonsense.Detail)
		})
	}
	e.do("GET", "/v1/pipelines/"+strings.ToUpper(pipeline)).is(http.StatusNotFound)
	assert.Empty(t, e.gateway.cancelled)
	assert.Empty(t, e.gateway.stopped)
	assert.Empty(t, e.gateway.decisions)
	assert.Empty(t, e.gateway.tested)
	assert.Empty(t, e.gateway.applied)
	assert.Empty(t, e.gateway.controls)
}

func TestTenantInUpperCase(t *testing.T) {
	e := newEnv(t)
	id := e.pipeline("flights")
	e.do("GET", "/v1/pipelines/"+id, header("X-Tenant-ID", strings.ToUpper(string(e.tenant)))).is(http.StatusOK)
}

func TestRateLimit(t *testing.T) {
	clock := newClock()
	e := newEnv(t, func(c *api.Config) { c.RateLimit, c.Now = 1, clock.Now })
	first := e.do("GET", "/v1/pipelines").is(http.StatusOK)
	assert.Equal(t, "2", first.header.Get("RateLimit-Limit"))
	assert.Equal(t, "1", first.header.Get("RateLimit-Remaining"))
	assert.Equal(t, "1", first.header.Get("RateLimit-Reset"))
	e.do("GET", "/v1/pipelines").is(http.StatusOK)
	limited := e.do("GET", "/v1/pipelines")
	limited.problem(http.StatusTooManyRequests, models.CodeRateLimited)
	assert.Equal(t, "1", limited.header.Get("Retry-After"))
	assert.Equal(t, "0", limited.header.Get("RateLimit-Remaining"))
	e.do("GET", "/healthz").is(http.StatusOK)
	e.do("GET", "/v1/pipelines", without("Authorization")).is(http.StatusUnauthorized)
	another := e.other()
	another.do("GET", "/v1/pipelines").is(http.StatusOK)
	clock.pass(time.Second)
	e.do("GET", "/v1/pipelines").is(http.StatusOK)
}
