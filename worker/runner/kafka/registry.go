package kafka

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/hamba/avro/v2"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/egress"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

const (
	registryTimeout = 10 * time.Second
	// maxSchema bounds one answer of the registry, maxSchemas what one batch needs, maxDepth how far schemas refer to
	// others.
	maxSchema  = 1 << 20
	maxSchemas = 1000
	maxDepth   = 16
)

// registry fetches schemas by their ids over the API of Confluent's schema registry, each once.
type registry struct {
	base *url.URL
	http *http.Client

	mu      sync.Mutex
	schemas map[uint32]*avroSchema
}

func newRegistry(base string, rules *egress.Policy) (*registry, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return nil, fault.Errorf(models.ClassInvalidDefinition, "schema_registry must be an http or https URL without credentials")
	}
	transport := &http.Transport{
		Proxy: nil,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return rules.Dialer(u.Hostname(), registryTimeout).DialContext(ctx, network, address)
		},
		TLSHandshakeTimeout:    registryTimeout,
		ResponseHeaderTimeout:  registryTimeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &registry{base: u, schemas: map[uint32]*avroSchema{}, http: &http.Client{
		Transport: transport, Timeout: 2 * registryTimeout,
		// A redirect would lead where nobody has allowed to go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// RegistryPort is the port of a registry's URL.
func RegistryPort(base string) uint16 {
	u, err := url.Parse(base)
	if err != nil {
		return 0
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(port)
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// registered is what the registry says of a schema.
type registered struct {
	Schema     string      `json:"schema"`
	SchemaType string      `json:"schemaType"` // AVRO where it is empty
	References []reference `json:"references"`
}

type reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// schema returns the schema with an id.
func (r *registry) schema(ctx context.Context, id uint32) (*avroSchema, *task.Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.schemas[id]; ok {
		return s, nil
	}
	if len(r.schemas) == maxSchemas {
		return nil, fault.Errorf(models.ClassData, "needs one more than %d schemas", maxSchemas)
	}
	cache := &avro.SchemaCache{}
	parsed, f := r.load(ctx, cache, 0, "schemas", "ids", strconv.FormatUint(uint64(id), 10))
	if f != nil {
		return nil, f
	}
	s, f := newAvroSchema(parsed)
	if f != nil {
		return nil, f
	}
	r.schemas[id] = s
	return s, nil
}

// load fetches and parses a schema after those it refers to.
func (r *registry) load(ctx context.Context, cache *avro.SchemaCache, depth int, path ...string) (avro.Schema, *task.Failure) {
	if depth > maxDepth {
		return nil, fault.Errorf(models.ClassData, "has a schema that refers to others too deeply")
	}
	var answer registered
	if f := r.get(ctx, &answer, path...); f != nil {
		return nil, f
	}
	if answer.SchemaType != "" && answer.SchemaType != "AVRO" {
		return nil, fault.Errorf(models.ClassData, "has a schema of type %s, not AVRO", answer.SchemaType)
	}
	for _, ref := range answer.References {
		if _, f := r.load(ctx, cache, depth+1, "subjects", ref.Subject, "versions", strconv.Itoa(ref.Version)); f != nil {
			return nil, f
		}
	}
	schema, err := avro.ParseBytesWithCache([]byte(answer.Schema), "", cache)
	if err != nil {
		return nil, fault.Because(fault.Errorf(models.ClassData, "has a schema that is no Avro schema"), err)
	}
	return schema, nil
}

func (r *registry) get(ctx context.Context, into any, path ...string) *task.Failure {
	at := r.base.JoinPath(escaped(path)...)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return fault.Of(err)
	}
	request.Header.Set("Accept", "application/vnd.schemaregistry.v1+json, application/json")
	answer, err := r.http.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return fault.Of(ctx.Err())
		}
		if f := fault.Of(err); f.Class != models.ClassInternal && f.Class != models.ClassTimeout {
			return f // the egress rules
		}
		return fault.Because(fault.Transientf(models.ClassSource, "the schema registry at %s cannot be reached", r.base.Host), err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxSchema+1))
	switch {
	case err != nil:
		return fault.Because(fault.Transientf(models.ClassSource, "the schema registry at %s broke off", r.base.Host), err)
	case len(body) > maxSchema:
		return fault.Errorf(models.ClassSource, "the schema registry at %s answers with more than %d bytes", r.base.Host, maxSchema)
	case answer.StatusCode == http.StatusNotFound:
		return fault.Errorf(models.ClassData, "has a schema that the registry does not know (%s)", at.Path)
	case answer.StatusCode >= http.StatusInternalServerError || answer.StatusCode == http.StatusTooManyRequests:
		return fault.Transientf(models.ClassSource, "the schema registry at %s answers %s", r.base.Host, answer.Status)
	case answer.StatusCode != http.StatusOK:
		return fault.Errorf(models.ClassSource, "the schema registry at %s answers %s", r.base.Host, answer.Status)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fault.Because(fault.Errorf(models.ClassSource, "the schema registry at %s does not answer as a schema registry does", r.base.Host), err)
	}
	return nil
}

func escaped(path []string) []string {
	items := make([]string, len(path))
	for i, p := range path {
		items[i] = url.PathEscape(p)
	}
	return items
}

// wire reads the head of a value: a zero byte and the schema's id.
func wire(value []byte) (id uint32, rest []byte, err error) {
	if len(value) < 5 || value[0] != 0 {
		return 0, nil, fmt.Errorf("it begins with % x", value[:min(len(value), 5)])
	}
	return uint32(value[1])<<24 | uint32(value[2])<<16 | uint32(value[3])<<8 | uint32(value[4]), value[5:], nil
}
