package api

import (
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/matih/pipeline-service/models"
)

// Paging asks for one page of a list.
type Paging struct {
	Page int `query:"page" minimum:"0" maximum:"2147483647" default:"0" doc:"The page, from 0."`
	Size int `query:"size" minimum:"1" maximum:"200" default:"20" doc:"How many items a page holds."`
}

func (p Paging) page() models.Page { return models.Page{Number: p.Page, Size: p.Size} }

// checkQuery finds query parameters that are unknown, empty or given twice. They are answered together with
// what else is wrong.
func (s *service) checkQuery(op *operation, next http.Handler) http.Handler {
	known := map[string]bool{}
	for _, p := range op.Parameters {
		if p.In == "query" {
			known[p.Name] = true
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := requestOf(r.Context())
		note := func(location, message string) {
			state.mistakes = append(state.mistakes, models.Mistake{Location: location, Message: message})
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			note("query", "is malformed")
		}
		for _, name := range slices.Sorted(maps.Keys(query)) {
			switch values := query[name]; {
			case !known[name]:
				note("query."+name, "is no parameter of this operation")
			case len(values) > 1:
				note("query."+name, "is given more than once")
			case values[0] == "":
				note("query."+name, "must not be empty")
			}
		}
		next.ServeHTTP(w, r)
	})
}
