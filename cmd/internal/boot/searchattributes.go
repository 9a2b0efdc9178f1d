package boot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/models/contract"
)

// EnsureSearchAttributes registers those of the service's search attributes that the namespace does not know and
// returns their names. One that is known with another type is an error: the service could not start workflows.
func EnsureSearchAttributes(ctx context.Context, c client.Client, namespace string) ([]string, error) {
	operator := c.OperatorService()
	known, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, fmt.Errorf("search attributes of namespace %s: %w", namespace, err)
	}
	missing := map[string]enums.IndexedValueType{}
	var names, wrong []string
	for _, name := range contract.SearchAttributes {
		switch kind, ok := known.GetCustomAttributes()[name]; {
		case !ok:
			missing[name] = enums.INDEXED_VALUE_TYPE_KEYWORD
			names = append(names, name)
		case kind != enums.INDEXED_VALUE_TYPE_KEYWORD:
			wrong = append(wrong, fmt.Sprintf("%s is %s", name, kind))
		}
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("search attributes of namespace %s must be of type Keyword, but %s", namespace, strings.Join(wrong, ", "))
	}
	if len(names) == 0 {
		return nil, nil
	}
	slices.Sort(names)
	_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: missing})
	if err != nil {
		return nil, fmt.Errorf("search attributes of namespace %s: %w", namespace, err)
	}
	if err := awaitSearchable(ctx, c, namespace, names); err != nil {
		return nil, fmt.Errorf("search attributes of namespace %s: %w", namespace, err)
	}
	return names, nil
}

// awaitSearchable returns when the frontend's cache knows the attributes; until then it refuses to start workflows that
// have them.
func awaitSearchable(ctx context.Context, c client.Client, namespace string, names []string) error {
	query := strings.Join(names, " is null and ") + " is null"
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: namespace, Query: query})
		var unknown *serviceerror.InvalidArgument
		if !errors.As(err, &unknown) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
