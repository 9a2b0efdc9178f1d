package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
)

const (
	// maxBody is the largest body that is read, in bytes.
	maxBody   = 1 << 20
	yamlMedia = "application/yaml"
)

// yamlMedias are the names under which YAML arrives.
var yamlMedias = []string{yamlMedia, "application/x-yaml", "text/yaml", "text/x-yaml"}

// receive reads the body. What is wrong with it is kept for checkBody, because a resource that does not
// exist is answered first.
func (s *service) receive(_ *operation, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := requestOf(r.Context())
		if r.Body != nil && r.Body != http.NoBody {
			state.body, state.bodyErr = s.readBody(w, r)
		}
		next.ServeHTTP(w, r)
	})
}

func (s *service) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		w.Header().Set("Connection", "close")
		return nil, models.Errorf(models.CodeBodyTooLarge, "a body may have %d bytes", maxBody)
	}
	// Writers that have no connection, as in tests, have no deadline either.
	conn := http.NewResponseController(w)
	if err := conn.SetReadDeadline(time.Now().Add(s.BodyTimeout)); err == nil {
		defer func() { _ = conn.SetReadDeadline(time.Time{}) }()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var (
		tooLarge *http.MaxBytesError
		network  net.Error
	)
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &tooLarge):
		return nil, models.Errorf(models.CodeBodyTooLarge, "a body may have %d bytes", maxBody)
	case errors.As(err, &network) && network.Timeout():
		w.Header().Set("Connection", "close")
		return nil, models.Errorf(models.CodeRequestTimeout, "the body did not arrive within %s", s.BodyTimeout)
	default:
		return nil, &models.Error{Code: models.CodeInvalidRequest, Message: "the body could not be read", Cause: err}
	}
}

// checkBody refuses bodies that are too large (413), of another type (415) or no strict JSON (400), and turns
// YAML into JSON, so that everything after it knows one form.
func (s *service) checkBody(op *operation, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := requestOf(r.Context())
		if state.bodyErr != nil {
			s.fail(w, r, state.bodyErr)
			return
		}
		doc := state.body
		switch {
		case len(doc) == 0:
		case op.RequestBody != nil:
			var err error
			if doc, err = s.parseBody(op, r, doc); err != nil {
				s.fail(w, r, err)
				return
			}
			r.Header.Set("Content-Type", jsonMedia)
		case r.Method == http.MethodPost && string(bytes.TrimSpace(doc)) != "{}":
			s.fail(w, r, invalid([]models.Mistake{{Location: "body", Message: "this operation takes no body"}}))
			return
		default: // a body that means nothing, as RFC 9110 has it for GET and DELETE
			doc = nil
		}
		r.Body = io.NopCloser(bytes.NewReader(doc))
		next.ServeHTTP(w, r)
	})
}

// parseBody gives the body as JSON. Mistakes that leave it readable are kept, to be answered with the others.
func (s *service) parseBody(op *operation, r *http.Request, doc []byte) ([]byte, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	isYAML := op.YAML && slices.Contains(yamlMedias, media)
	if err != nil || (media != jsonMedia && !isYAML) {
		accepted := jsonMedia
		if op.YAML {
			accepted += " or " + yamlMedia
		}
		return nil, models.Errorf(models.CodeUnsupportedMediaType, "send the body as %s", accepted)
	}
	if isYAML {
		if doc, err = definition.FromYAML(doc); err != nil {
			return nil, inBody(err)
		}
	}
	if err := definition.CheckJSON(doc, "body"); err != nil {
		mistakes := inBody(err)
		if !json.Valid(doc) {
			return nil, mistakes
		}
		state := requestOf(r.Context())
		state.mistakes = append(state.mistakes, mistakes.Mistakes...)
	}
	return doc, nil
}

// inBody is a parser's error as one of the request's.
func inBody(err error) *models.Error {
	var known *models.Error
	if errors.As(err, &known) && len(known.Mistakes) > 0 {
		return invalid(known.Mistakes)
	}
	message := "cannot be read"
	if known != nil {
		message = known.Message
	}
	return invalid([]models.Mistake{{Location: "body", Message: message}})
}
