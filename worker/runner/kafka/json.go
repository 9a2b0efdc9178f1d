package kafka

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/blob"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// jsonFormat reads values that are JSON objects.
type jsonFormat struct{}

func (jsonFormat) appendValue(_ context.Context, line []byte, record *kgo.Record) ([]byte, *task.Failure) {
	value := bytes.TrimSpace(record.Value)
	if len(value) == 0 || value[0] != '{' || !json.Valid(value) {
		return nil, fault.Errorf(models.ClassData, "is no JSON object")
	}
	if !utf8.Valid(value) {
		return nil, fault.Errorf(models.ClassData, "is not UTF-8")
	}
	if bytes.Contains(value, []byte(`"_`)) {
		if f := checkKeys(value); f != nil {
			return nil, f
		}
	}
	members := bytes.TrimSpace(value[1 : len(value)-1])
	if len(members) == 0 {
		return line, nil
	}
	line = append(line, ',')
	// A line break is white space in JSON, but ends a line here.
	for _, c := range members {
		if c == '\n' || c == '\r' {
			c = ' '
		}
		line = append(line, c)
	}
	return line, nil
}

// checkKeys finds a key that a column of metadata has.
func checkKeys(value []byte) *task.Failure {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(value, &members); err != nil {
		return fault.Because(fault.Errorf(models.ClassData, "is no JSON object"), err)
	}
	for key := range members {
		if f := checkName(key); f != nil {
			return f
		}
	}
	return nil
}

func checkName(name string) *task.Failure {
	for _, c := range metadata {
		if strings.EqualFold(name, c.Column) {
			return fault.Errorf(models.ClassData, "has the field %q, which is the name of a column that every record gets", name)
		}
	}
	return nil
}

func (jsonFormat) view(ctx context.Context, e Engine, paths []string, scratch string) error {
	return blob.ViewJSON(ctx, e, paths, metadata, blob.Dest{Scratch: scratch})
}
