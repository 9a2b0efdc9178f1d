package webhook

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/egress"
)

// post tells an address under egress rules.
func post(t *testing.T, address, secret string, allow ...string) (int, *task.Failure) {
	t.Helper()
	target, err := NewTarget(address)
	require.NoError(t, err)
	rules, err := egress.NewPolicy(allow, nil)
	require.NoError(t, err)
	n := &task.Notification{ID: "notify-1", Event: models.EventFailed, URL: address, Body: json.RawMessage(`{"text":"x"}`)}
	status, err := target.Post(t.Context(), n, secret, rules)
	if err == nil {
		return status, nil
	}
	var f *task.Failure
	require.ErrorAs(t, err, &f)
	return status, f
}

func TestSign(t *testing.T) {
	// As computed by: printf '1770000000.{"text":"x"}' | openssl dgst -sha256 -hmac key
	assert.Equal(t, "t=1770000000,v1=cd628c5d52a86aae761abd88a7ba4a1164a02b9df044864e03d602b1a863beda", Sign("key", time.Unix(1770000000, 0), []byte(`{"text":"x"}`)))
}

func TestPostSendsASignedDocument(t *testing.T) {
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	status, fail := post(t, server.URL+"/hook?token=x", "key", "127.0.0.1")
	require.Nil(t, fail)
	assert.Equal(t, http.StatusAccepted, status)
	assert.Equal(t, "/hook?token=x", got.URL.String())
	assert.Equal(t, `{"text":"x"}`, string(body))
	assert.Equal(t, []string{"application/json", "notify-1", "failed"},
		[]string{got.Header.Get("Content-Type"), got.Header.Get(DeliveryHeader), got.Header.Get(EventHeader)})
	signature := got.Header.Get(SignatureHeader)
	seconds, _, _ := strings.Cut(strings.TrimPrefix(signature, "t="), ",")
	at, err := time.ParseDuration(seconds + "s")
	require.NoError(t, err)
	assert.Equal(t, Sign("key", time.Unix(0, 0).Add(at), body), signature)

	_, fail = post(t, server.URL, "", "127.0.0.1")
	require.Nil(t, fail)
	assert.NotContains(t, got.Header, SignatureHeader)
}

func TestPostKnowsWhatMayPass(t *testing.T) {
	asked := 0
	var answer int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(answer)
	}))
	defer server.Close()
	for status, retry := range map[int]bool{
		301: false, 302: false, 307: false, 400: false, 401: false, 404: false, 410: false, 408: true, 425: true, 429: true, 500: true, 503: true,
	} {
		answer, asked = status, 0
		_, fail := post(t, server.URL+"/token", "", "127.0.0.1")
		require.NotNil(t, fail, status)
		assert.Equal(t, retry, fail.Retry, status)
		assert.Equal(t, 1, asked, "nothing is followed")
		assert.NotContains(t, fail.Message+fail.Detail, "token")
	}
}

func TestPostObeysTheEgressRules(t *testing.T) {
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		_, fail := post(t, "http://"+host+port, "")
		require.NotNil(t, fail, host)
		assert.Equal(t, models.ClassForbidden, fail.Class, host)
		assert.False(t, fail.Retry, host)
	}
	for _, host := range []string{"0177.0.0.1", "2130706433"} { // other spellings of 127.0.0.1
		_, fail := post(t, "http://"+host+port, "")
		assert.NotNil(t, fail, host)
	}
	assert.False(t, asked)
}

func TestPostSaysThatNobodyAnswered(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, fail := post(t, server.URL+"/token", "", "127.0.0.1")
	require.NotNil(t, fail)
	assert.Equal(t, models.ClassConnection, fail.Class)
	assert.True(t, fail.Retry)
	assert.Equal(t, "the webhook at 127.0.0.1 could not be reached", fail.Message)
	assert.Contains(t, fail.Detail, "refused")
	assert.NotContains(t, fail.Detail, "token")
}

func TestNewTarget(t *testing.T) {
	for address, port := range map[string]uint16{
		"http://hooks.example/x": 80, "https://hooks.example/x": 443, "https://hooks.example:8443": 8443, "http://[::1]:81/": 81,
	} {
		target, err := NewTarget(address)
		require.NoError(t, err)
		assert.Equal(t, port, target.Port())
		assert.Contains(t, target.Secrets(), address)
	}
	for _, address := range []string{"", "hooks.example", "ftp://secret.example", "file:///etc/passwd", "http://", "http://secret:70000/", "http://secret:0/", "unix:/secret"} {
		_, err := NewTarget(address)
		var f *task.Failure
		require.True(t, errors.As(err, &f), address)
		assert.NotContains(t, err.Error(), "secret")
	}
}
