package api

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/submission"
)

// stepName is a name that a step of a definition may have.
var stepName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// checkDefinition finds the mistakes of a definition, those about its connections included. The error
// is for what keeps it from looking.
func checkDefinition(ctx context.Context, doc json.RawMessage, at string) ([]models.Mistake, error) {
	d, err := definition.Parse(doc, at)
	var known *models.Error
	switch {
	case errors.As(err, &known):
		more, err := checkConnections(ctx, sketch(doc, at))
		return slices.Concat(known.Mistakes, more), err
	case err != nil:
		return nil, err
	default:
		return checkConnections(ctx, d.Connections(at))
	}
}

// sketch finds the connections that a definition with mistakes uses, so that those which do not exist are said
// with the other mistakes. Their types it cannot know.
func sketch(doc json.RawMessage, at string) []definition.ConnectionUse {
	type step struct {
		Connection json.RawMessage `json:"connection"`
	}
	var d struct {
		Sources map[string]step `json:"sources"`
		Sinks   map[string]step `json:"sinks"`
	}
	_ = json.Unmarshal(doc, &d) // what does not fit has been said
	var uses []definition.ConnectionUse
	add := func(section string, steps map[string]step) {
		for _, name := range slices.Sorted(maps.Keys(steps)) {
			var ref string
			if err := json.Unmarshal(steps[name].Connection, &ref); err != nil || ref == "" || strings.Contains(ref, "${") || !stepName.MatchString(name) {
				continue
			}
			uses = append(uses, definition.ConnectionUse{Location: at + "." + section + "." + name + ".connection", Ref: ref})
		}
	}
	add("sources", d.Sources)
	add("sinks", d.Sinks)
	return uses
}

// checkConnections finds uses of connections that the tenant does not have.
func checkConnections(ctx context.Context, uses []definition.ConnectionUse) ([]models.Mistake, error) {
	return submission.CheckConnections(ctx, requestOf(ctx).store, uses)
}
