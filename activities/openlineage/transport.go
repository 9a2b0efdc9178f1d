package openlineage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Options say where events go. Without a URL and a file there are none.
type Options struct {
	// URL gets each event as a POST, with the content of TokenFile as its bearer token, where there is one.
	URL       string
	TokenFile string
	// File gets each event as a line.
	File string
}

// transport hands an event on. An error that is errRefused will not go away.
type transport interface {
	send(ctx context.Context, event []byte) error
}

// errRefused marks an event that was not taken and never will be.
var errRefused = errors.New("the event was refused")

// sendTimeout bounds one POST.
const sendTimeout = 10 * time.Second

func (o Options) transports() ([]transport, error) {
	var all []transport
	if o.URL != "" {
		u, err := url.Parse(o.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("%q is not an http or https URL", o.URL)
		}
		all = append(all, &httpTransport{url: o.URL, tokenFile: o.TokenFile, client: &http.Client{Timeout: sendTimeout}})
	} else if o.TokenFile != "" {
		return nil, errors.New("a token for OpenLineage events is of no use without a URL")
	}
	if o.File != "" {
		file, err := os.OpenFile(o.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
		if err != nil {
			return nil, err
		}
		all = append(all, &fileTransport{file})
	}
	return all, nil
}

type httpTransport struct {
	url       string
	tokenFile string
	client    *http.Client
}

func (t *httpTransport) send(ctx context.Context, event []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(event))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if t.tokenFile != "" { // read each time, so that it may be renewed
		token, err := os.ReadFile(t.tokenFile)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	switch {
	case resp.StatusCode < 300:
		return nil
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout:
		return fmt.Errorf("the answer is %s", resp.Status)
	default:
		return fmt.Errorf("%w: %s", errRefused, resp.Status)
	}
}

// fileTransport appends lines. Each is one write, so that several workers may share a file.
type fileTransport struct{ file *os.File }

func (t *fileTransport) send(_ context.Context, event []byte) error {
	_, err := t.file.Write(append(event, '\n'))
	return err
}
