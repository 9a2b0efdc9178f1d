// Package webhook tells other systems of events: one POST of a JSON document, signed where the tenant has a
// secret for that.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/egress"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// Headers of a delivery.
const (
	// SignatureHeader holds Sign's text, of a delivery that is signed.
	SignatureHeader = "X-Pipeline-Signature"
	// DeliveryHeader names the notification: the same in each attempt, so that whoever is told twice can tell.
	DeliveryHeader = "X-Pipeline-Delivery"
	EventHeader    = "X-Pipeline-Event"
)

const (
	dialTimeout = 10 * time.Second
	timeout     = 30 * time.Second
	// maxAnswer is how much of an answer is read, which says nothing beside its status.
	maxAnswer = 64 << 10
)

// Target is where a notification goes.
type Target struct {
	url  *url.URL
	port uint16
}

// NewTarget reads a webhook's address. Its errors do not repeat it, for it may hold a secret.
func NewTarget(address string) (*Target, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fault.Errorf(models.ClassInvalidDefinition, "the webhook's address is not an http or https URL")
	}
	t := &Target{url: u, port: 80}
	if u.Scheme == "https" {
		t.port = 443
	}
	if u.Port() != "" {
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || port == 0 {
			return nil, fault.Errorf(models.ClassInvalidDefinition, "the webhook's address has no valid port")
		}
		t.port = uint16(port)
	}
	return t, nil
}

// Port is the TCP port to connect to.
func (t *Target) Port() uint16 { return t.port }

// Secrets lists what of the address must never be seen outside the process.
func (t *Target) Secrets() []string {
	secrets := []string{t.url.String(), t.url.RequestURI()}
	if t.url.RequestURI() == "/" {
		secrets = secrets[:1] // every path holds it
	}
	if password, ok := t.url.User.Password(); ok {
		secrets = append(secrets, password)
	}
	return secrets
}

// Sign is the signature of a body sent at a time: "t=<seconds since 1970>,v1=<hex>", where v1 is the
// HMAC-SHA256, by the secret, of the seconds, a dot and the body. The time is part of it, so that a receiver can turn
// away what somebody has recorded and sends again.
func Sign(secret string, now time.Time, body []byte) string {
	seconds := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(seconds + "."))
	mac.Write(body)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// Post delivers a notification under the egress rules, which hold for the address that the host's name leads to. It
// follows no redirects and returns the answer's status. The failure says whether another attempt may succeed:
// after 408, 425, 429, every 5xx and where there was no answer.
func (t *Target) Post(ctx context.Context, n *task.Notification, secret string, rules *egress.Policy) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url.String(), bytes.NewReader(n.Body))
	if err != nil {
		return 0, fault.Errorf(models.ClassInvalidDefinition, "the webhook's address is not an http or https URL")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "pipeline-service")
	req.Header.Set(DeliveryHeader, n.ID)
	req.Header.Set(EventHeader, string(n.Event))
	if secret != "" {
		req.Header.Set(SignatureHeader, Sign(secret, time.Now(), n.Body))
	}
	client := http.Client{
		Transport: &http.Transport{
			DialContext: rules.Dialer(t.url.Hostname(), dialTimeout).DialContext, TLSHandshakeTimeout: dialTimeout,
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxAnswer,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, t.unreached(err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // it was delivered, whatever else the answer says
	return resp.StatusCode, judge(resp.StatusCode)
}

// unreached says why there was no answer. Go's error begins with the address, which is left out.
func (t *Target) unreached(err error) error {
	var (
		known   *task.Failure
		outer   *url.Error
		network net.Error
	)
	if errors.As(err, &known) {
		return known
	}
	reason := "could not be reached"
	if errors.As(err, &network) && network.Timeout() {
		reason = "did not answer in time"
	}
	if errors.As(err, &outer) {
		err = outer.Err
	}
	return fault.Because(fault.Transientf(models.ClassConnection, "the webhook at %s %s", t.url.Hostname(), reason), err)
}

func judge(status int) error {
	words := fmt.Sprintf("the webhook answered %d", status)
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return fault.Transientf(models.ClassConnection, "%s", words)
	case status >= 300 && status < 400:
		return fault.Errorf(models.ClassConnection, "%s: redirects are not followed", words)
	default:
		return fault.Errorf(models.ClassConnection, "%s", words)
	}
}
