package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

// referenceConnection is the request body of the service's reference, to the letter.
const referenceConnection = `{
"name": "sales-database",
"type": "jdbc",
"host": "sales-db.internal",
"port": 5432,
"database": "sales",
"credentialSecretRef": "sales-db-credentials",
"properties": {
"sslMode": "require",
"connectionTimeout": 10000
}
}`

func TestConnectionLife(t *testing.T) {
	e := newEnv(t)
	created := e.do("POST", "/v1/pipelines/connections", body(referenceConnection)).is(http.StatusCreated)
	doc := created.json()
	id := doc["connectionId"].(string)
	assert.True(t, models.IsID(models.PrefixConnection, id))
	assert.Equal(t, "/v1/pipelines/connections/"+id, created.header.Get("Location"))
	assert.Equal(t, map[string]any{"sslMode": "require", "connectionTimeout": 10000.0}, doc["properties"])
	assert.Equal(t, doc, e.do("GET", created.header.Get("Location")).is(http.StatusOK).json())
	e.do("POST", "/v1/pipelines/connections", body(referenceConnection)).problem(http.StatusConflict, models.CodeNameTaken)

	list := e.do("GET", "/v1/pipelines/connections").is(http.StatusOK).json()
	assert.Equal(t, 1.0, list["total"])
	assert.Equal(t, doc, list["connections"].([]any)[0])

	e.gateway.test = models.ConnectionTest{
		Connected: true, LatencyMs: 15, Version: "PostgreSQL 16.2",
		Details: map[string]any{"schemas": []string{"public", "staging"}, "tables": 45},
	}
	tested := e.do("POST", "/v1/pipelines/connections/"+id+"/test").is(http.StatusOK)
	assert.JSONEq(t, `{"connected": true, "latencyMs": 15, "version": "PostgreSQL 16.2",
		"details": {"schemas": ["public", "staging"], "tables": 45}}`, string(tested.body))
	e.gateway.test = models.ConnectionTest{Reason: "the host does not answer"}
	refused := e.do("POST", "/v1/pipelines/connections/"+id+"/test").is(http.StatusOK)
	assert.JSONEq(t, `{"connected": false, "latencyMs": 0, "reason": "the host does not answer"}`, string(refused.body))
	e.gateway.fail(away)
	assert.Equal(t, "7", e.do("POST", "/v1/pipelines/connections/"+id+"/test").is(http.StatusServiceUnavailable).header.Get("Retry-After"))

	e.do("DELETE", "/v1/pipelines/connections/"+id).is(http.StatusNoContent)
	e.do("DELETE", "/v1/pipelines/connections/"+id).problem(http.StatusNotFound, models.CodeNotFound)
	e.do("POST", "/v1/pipelines/connections", body(referenceConnection)).is(http.StatusCreated)
}

func TestConnectionBadInput(t *testing.T) {
	e := newEnv(t)
	jdbc := func(field, value string) string {
		doc := map[string]string{"name": `"db"`, "type": `"jdbc"`, "host": `"db.test"`, "database": `"x"`}
		doc[field] = value
		var parts []string
		for name, v := range doc {
			if v != "" {
				parts = append(parts, `"`+name+`": `+v)
			}
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	local := func(more string) string { return `{"name": "dir", "type": "local"` + more + `}` }
	for name, c := range map[string]struct{ body, location, says string }{
		"no host":                {jdbc("host", ""), "body.host", "required"},
		"host with path":         {jdbc("host", `"db.test/x"`), "body.host", "host name"},
		"host list":              {jdbc("host", `"a.test,b.test"`), "body.host", "host name"},
		"host with scheme":       {jdbc("host", `"file://etc"`), "body.host", "host name"},
		"host with credentials":  {jdbc("host", `"me:pw@db.test"`), "body.host", "host name"},
		"host with port":         {jdbc("host", `"db.test:5432"`), "body.host", "host name"},
		"host with option":       {jdbc("host", `"db.test?sslmode=disable"`), "body.host", "host name"},
		"host with blank":        {jdbc("host", `"db.test sslmode=disable"`), "body.host", "host name"},
		"host is a socket":       {jdbc("host", `"/var/run/postgresql"`), "body.host", "host name"},
		"host with line break":   {jdbc("host", `"db.test\nx"`), "body.host", "host name"},
		"host with zone":         {jdbc("host", `"fe80::1%eth0"`), "body.host", "host name"},
		"port 0":                 {jdbc("port", "0"), "body.port", ">= 1"},
		"port 65536":             {jdbc("port", "65536"), "body.port", "<= 65535"},
		"port 1.5":               {jdbc("port", "1.5"), "body.port", "integer"},
		"port text":              {jdbc("port", `"5432"`), "body.port", "integer"},
		"mysql port":             {jdbc("port", "3306"), "body.port", "not supported by this release"},
		"no database":            {jdbc("database", ""), "body.database", "required"},
		"database NUL":           {jdbc("database", `"a\u0000b"`), "body.database", "NUL"},
		"name with line break":   {jdbc("name", `"a\nb"`), "body.name", "printable"},
		"name with RTL":          {jdbc("name", `"a\u202eb"`), "body.name", "printable"},
		"name with blank":        {jdbc("name", `" a"`), "body.name", "blank"},
		"name empty":             {jdbc("name", `""`), "body.name", "length"},
		"name endless":           {jdbc("name", `"`+strings.Repeat("a", 201)+`"`), "body.name", "length"},
		"name like an id":        {jdbc("name", `"`+models.NewID("conn-")+`"`), "body.name", "id"},
		"secret ref path":        {jdbc("credentialSecretRef", `"../other"`), "body.credentialSecretRef", "letters"},
		"secret ref dots":        {jdbc("credentialSecretRef", `".."`), "body.credentialSecretRef", "letters"},
		"secret ref slash":       {jdbc("credentialSecretRef", `"a/b"`), "body.credentialSecretRef", "letters"},
		"password":               {jdbc("password", `"x"`), "body.password", "unexpected"},
		"password property":      {jdbc("properties", `{"password": "x"}`), "body.properties.password", "credentialSecretRef"},
		"user property":          {jdbc("properties", `{"user": "x"}`), "body.properties.user", "credentialSecretRef"},
		"sslrootcert":            {jdbc("properties", `{"sslrootcert": "/etc/passwd"}`), "body.properties.sslrootcert", "no property"},
		"options":                {jdbc("properties", `{"options": "-c x"}`), "body.properties.options", "no property"},
		"driver mysql":           {jdbc("properties", `{"driver": "mysql"}`), "body.properties.driver", "not supported by this release"},
		"driver unknown":         {jdbc("properties", `{"driver": "oracle"}`), "body.properties.driver", "postgresql"},
		"driver number":          {jdbc("properties", `{"driver": 7}`), "body.properties.driver", "text"},
		"ssl mode":               {jdbc("properties", `{"sslMode": "maybe"}`), "body.properties.sslMode", "disable, prefer"},
		"timeout 0":              {jdbc("properties", `{"connectionTimeout": 0}`), "body.properties.connectionTimeout", "1 to 600000"},
		"timeout text":           {jdbc("properties", `{"connectionTimeout": "1s"}`), "body.properties.connectionTimeout", "1 to 600000"},
		"timeout long":           {jdbc("properties", `{"connectionTimeout": 600001}`), "body.properties.connectionTimeout", "1 to 600000"},
		"properties list":        {jdbc("properties", `[]`), "body.properties", "object"},
		"type of another day":    {jdbc("type", `"s3"`), "body.type", "not supported by this release"},
		"type unknown":           {jdbc("type", `"ftp"`), "body.type", "one of"},
		"tenant":                 {jdbc("tenant", `"x"`), "body.tenant", "unexpected"},
		"id":                     {jdbc("connectionId", `"conn-x"`), "body.connectionId", "unexpected"},
		"duplicate key":          {`{"name": "a", "name": "b", "type": "jdbc", "host": "h", "database": "d"}`, "body.name", ""},
		"local without path":     {local(``), "body.properties.path", "required"},
		"local relative":         {local(`, "properties": {"path": "srv"}`), "body.properties.path", "absolute"},
		"local climbing":         {local(`, "properties": {"path": "/srv/../etc"}`), "body.properties.path", "absolute"},
		"local slash at the end": {local(`, "properties": {"path": "/srv/"}`), "body.properties.path", "absolute"},
		"local host":             {local(`, "host": "h", "properties": {"path": "/srv"}`), "body.host", "nothing"},
		"local ssl":              {local(`, "properties": {"path": "/srv", "sslMode": "require"}`), "body.properties.sslMode", "no property"},
	} {
		t.Run(name, func(t *testing.T) {
			found := e.on(t).do("POST", "/v1/pipelines/connections", body(c.body)).mistakes()
			require.Contains(t, found, c.location)
			assert.Contains(t, found[c.location], c.says)
			assert.Len(t, found, 1)
		})
	}
	for i, host := range []string{"db", "DB.Example.com.", "10.0.0.1", "::1", "2001:db8::1", "my_db.internal"} {
		doc := jdbc("host", `"`+host+`"`)
		doc = strings.Replace(doc, `"db"`, `"db`+string(rune('a'+i))+`"`, 1)
		e.do("POST", "/v1/pipelines/connections", body(doc)).is(http.StatusCreated)
	}
}
