package api_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/store/pgtest"
)

const (
	issuerName = "https://issuer.test"
	audience   = "pipeline-service"
)

var postgres *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &postgres)) }

// fakeGateway stands for Temporal.
type fakeGateway struct {
	mu        sync.Mutex
	started   []models.Execution
	cancelled []string
	stopped   []string
	tested    []string
	workflows map[string]models.Workflow
	decisions map[string]contract.Decision // by update id
	decided   contract.Decided
	urgent    map[string]models.Priority
	applied   []models.Schedule
	backfills []models.Backfill
	controls  []contract.BackfillControl
	plans     []models.Plan
	planned   func(models.Plan)
	test      models.ConnectionTest
	err       error
	startHook func()
}

func (g *fakeGateway) StartExecution(_ context.Context, e models.Execution) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.startHook != nil {
		g.startHook()
	}
	if g.err == nil {
		g.started = append(g.started, e)
	}
	return g.err
}

func (g *fakeGateway) CancelExecution(_ context.Context, _ models.TenantID, id string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cancelled = append(g.cancelled, id)
	return g.err
}

func (g *fakeGateway) CancelWorkflow(_ context.Context, id string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = append(g.stopped, id)
	return g.err
}

func (g *fakeGateway) Describe(_ context.Context, id string) (models.Workflow, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, ok := g.workflows[id]
	if !ok && g.err == nil {
		return w, models.NotFound("workflow")
	}
	return w, g.err
}

func (g *fakeGateway) Decide(_ context.Context, _, updateID string, d contract.Decision) (contract.Decided, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.decisions == nil {
		g.decisions = map[string]contract.Decision{}
	}
	g.decisions[updateID] = d
	return g.decided, g.err
}

func (g *fakeGateway) SetPriority(_ context.Context, e models.Execution) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.urgent == nil {
		g.urgent = map[string]models.Priority{}
	}
	g.urgent[e.ID] = e.Priority
	return g.err
}

func (g *fakeGateway) ApplySchedule(_ context.Context, s models.Schedule) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.applied = append(g.applied, s)
	}
	return g.err
}

func (g *fakeGateway) StartBackfill(_ context.Context, b models.Backfill) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.backfills = append(g.backfills, b)
	}
	return g.err
}

func (g *fakeGateway) ControlBackfill(_ context.Context, _, _ string, c contract.BackfillControl) (models.BackfillStatus, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.controls = append(g.controls, c)
	return models.BackfillPaused, g.err
}

func (g *fakeGateway) TestConnection(_ context.Context, _ models.TenantID, id string) (models.ConnectionTest, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tested = append(g.tested, id)
	return g.test, g.err
}

// Plan finds out what planned says.
func (g *fakeGateway) Plan(_ context.Context, p models.Plan, _ string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.plans = append(g.plans, p)
	if g.planned != nil {
		g.planned(p)
	}
	return g.err
}

func (g *fakeGateway) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}

// onStart has something happen whenever an execution starts.
func (g *fakeGateway) onStart(hook func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.startHook = hook
}

func (g *fakeGateway) starts() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.started)
}

// env is an API over a real database, with keys of its own and a fake Temporal.
type env struct {
	*testing.T
	store   *store.Store
	gateway *fakeGateway
	key     ed25519.PrivateKey
	config  api.Config
	server  *httptest.Server
	log     *logBuffer
	tenant  models.TenantID
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// newEnv starts an API on a SQLite database of its own; change may alter its configuration.
func newEnv(t *testing.T, change ...func(*api.Config)) *env {
	t.Helper()
	return newEnvOn(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"), change...)
}

func newEnvOn(t *testing.T, dsn string, change ...func(*api.Config)) *env {
	t.Helper()
	s, err := store.Open(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	verifier, err := auth.NewVerifier(auth.Options{
		Issuers:   []auth.Issuer{auth.StaticIssuer(issuerName, func(*jwt.Token) (any, error) { return public, nil })},
		Audiences: []string{audience},
	})
	require.NoError(t, err)
	e := &env{T: t, store: s, gateway: &fakeGateway{}, key: private, log: &logBuffer{}, tenant: models.TenantID(uuid.NewString())}
	e.config = api.Config{
		Store: s, Gateway: e.gateway, Auth: verifier,
		Log: slog.New(slog.NewTextHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&e.config)
	}
	handler, err := api.New(e.config)
	require.NoError(t, err)
	e.server = httptest.NewServer(handler)
	t.Cleanup(e.server.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(e.log.String())
		}
	})
	return e
}

// on is the same API in another test's hands.
func (e *env) on(t *testing.T) *env {
	again := *e
	again.T = t
	return &again
}

// other is the same API for another tenant.
func (e *env) other() *env {
	again := *e
	again.tenant = models.TenantID(uuid.NewString())
	return &again
}

func (e *env) claims(roles ...string) jwt.MapClaims {
	return jwt.MapClaims{
		"iss": issuerName, "aud": audience, "sub": "engineer@acme.com", "exp": time.Now().Add(time.Hour).Unix(),
		"tenant_id": []string{string(e.tenant)}, "roles": roles,
	}
}

func (e *env) sign(claims jwt.MapClaims) string {
	e.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims).SignedString(e.key)
	require.NoError(e, err)
	return token
}

func (e *env) token(roles ...string) string {
	e.Helper()
	return e.sign(e.claims(roles...))
}

// call is a request in the making.
type call struct {
	header http.Header
	body   io.Reader
}

type option func(*call)

func header(name, value string) option { return func(c *call) { c.header.Set(name, value) } }
func without(name string) option       { return func(c *call) { c.header.Del(name) } }
func bearer(token string) option       { return header("Authorization", "Bearer "+token) }
func key(k string) option              { return header("Idempotency-Key", k) }

func body(text string) option {
	return func(c *call) {
		c.body = strings.NewReader(text)
		if c.header.Get("Content-Type") == "" {
			c.header.Set("Content-Type", "application/json")
		}
	}
}

// answer is a response read whole.
type answer struct {
	*testing.T
	status int
	header http.Header
	body   []byte
}

// do sends a request as an ADMIN of the tenant, unless the options say otherwise.
func (e *env) do(method, path string, options ...option) *answer {
	e.Helper()
	c := call{header: http.Header{"Authorization": {"Bearer " + e.token("ADMIN")}, "X-Tenant-Id": {string(e.tenant)}}}
	for _, o := range options {
		o(&c)
	}
	req, err := http.NewRequestWithContext(e.Context(), method, e.server.URL+path, c.body)
	require.NoError(e, err)
	req.Header = c.header
	resp, err := http.DefaultClient.Do(req)
	require.NoError(e, err)
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	require.NoError(e, err)
	return &answer{T: e.T, status: resp.StatusCode, header: resp.Header, body: content}
}

// is requires a status.
func (a *answer) is(status int) *answer {
	a.Helper()
	require.Equal(a, status, a.status, "%s", a.body)
	return a
}

// json reads the body as an object.
func (a *answer) json() map[string]any {
	a.Helper()
	var doc map[string]any
	require.NoError(a, json.Unmarshal(a.body, &doc), "%s", a.body)
	return doc
}

// problem requires a failure of a code and gives its body.
func (a *answer) problem(status int, code models.Code) api.Problem {
	a.Helper()
	a.is(status)
	require.Equal(a, "application/problem+json", a.header.Get("Content-Type"))
	var p api.Problem
	require.NoError(a, json.Unmarshal(a.body, &p), "%s", a.body)
	require.Equal(a, code, p.Code, "%s", a.body)
	require.Equal(a, status, p.Status)
	require.Equal(a, http.StatusText(status), p.Title)
	require.NotEmpty(a, p.Detail)
	require.Equal(a, a.header.Get("X-Request-ID"), p.RequestID)
	return p
}

// mistakes requires a 400 and gives its mistakes by location.
func (a *answer) mistakes() map[string]string {
	a.Helper()
	a.is(http.StatusBadRequest)
	var p api.Problem
	require.NoError(a, json.Unmarshal(a.body, &p), "%s", a.body)
	found := map[string]string{}
	for _, m := range p.Errors {
		found[m.Location] = m.Message
	}
	return found
}

const definitionJSON = `{
	"parameters": [{"name": "day", "type": "date"}],
	"sources": {"flights": {"type": "cloud_storage", "connection": "landing", "pattern": "*.csv", "format": "csv"}},
	"transformations": [{"name": "late", "type": "filter", "input": "flights", "condition": "delay > 60"}],
	"sinks": {"out": {"type": "cloud_storage", "connection": "landing", "prefix": "out/", "format": "parquet", "mode": "overwrite"}}
}`

func pipelineJSON(name string) string {
	return `{"name": "` + name + `", "version": "1.0.0", "description": "Late flights", "definition": ` + definitionJSON +
		`, "tags": ["flights", "daily"]}`
}

// landing makes the local connection that definitionJSON uses.
func (e *env) landing() string {
	e.Helper()
	doc := e.do("POST", "/v1/pipelines/connections", body(
		`{"name": "landing", "type": "local", "properties": {"path": "/srv/landing"}}`)).is(http.StatusCreated).json()
	return doc["connectionId"].(string)
}

// pipeline makes a pipeline and the connection it uses.
func (e *env) pipeline(name string) string {
	e.Helper()
	e.landing()
	return e.do("POST", "/v1/pipelines", body(pipelineJSON(name))).is(http.StatusCreated).json()["pipelineId"].(string)
}

// execution makes a pipeline and executes it.
func (e *env) execution() string {
	e.Helper()
	id := e.pipeline("flights")
	return e.do("POST", "/v1/pipelines/"+id+"/execute").is(http.StatusAccepted).json()["executionId"].(string)
}
