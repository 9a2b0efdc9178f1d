package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsTemplate string

//go:embed docs.css
var docsStyle string

// docsOperation is an operation as the page shows it.
type docsOperation struct {
	*huma.Operation
	Body      string
	Media     []string
	Responses []docsResponse
}

type docsResponse struct {
	Status      string
	Description string
	Example     string
}

type docsGroup struct {
	*huma.Tag
	Operations []docsOperation
}

// docsPage renders the OpenAPI document as one page that loads nothing from anywhere, so that it works
// where the service does.
func docsPage(doc *huma.OpenAPI) ([]byte, error) {
	groups := make([]docsGroup, len(doc.Tags))
	for i, tag := range doc.Tags {
		groups[i].Tag = tag
		for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
			for _, method := range methods {
				if op := operationOf(doc.Paths[path], method); op != nil && slices.Contains(op.Tags, tag.Name) {
					groups[i].Operations = append(groups[i].Operations, showOperation(op))
				}
			}
		}
	}
	page, err := template.New("docs").Funcs(template.FuncMap{"lower": strings.ToLower}).Parse(docsTemplate)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = page.Execute(&out, map[string]any{
		"Info": doc.Info, "Groups": groups, "Style": template.CSS(docsStyle), //nolint:gosec // our own file
	})
	return out.Bytes(), err
}

func showOperation(op *huma.Operation) docsOperation {
	shown := docsOperation{Operation: op}
	if op.RequestBody != nil {
		shown.Media = slices.Sorted(maps.Keys(op.RequestBody.Content))
		shown.Body = indented(op.RequestBody.Content[jsonMedia].Example)
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		response := docsResponse{Status: status, Description: op.Responses[status].Description}
		if media := op.Responses[status].Content[jsonMedia]; media != nil {
			response.Example = indented(media.Example)
		}
		shown.Responses = append(shown.Responses, response)
	}
	return shown
}

// indented is an example as people read it; empty where there is none.
func indented(example any) string {
	raw, ok := example.(json.RawMessage)
	if !ok {
		return ""
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return string(raw)
	}
	return out.String()
}

// docsHandler serves the page and lets it do nothing but show itself.
func docsHandler(page []byte) http.Handler {
	hash := sha256.Sum256([]byte(docsStyle))
	policy := fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		base64.StdEncoding.EncodeToString(hash[:]))
	serve := constant("text/html; charset=utf-8", page)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		serve.ServeHTTP(w, r)
	})
}
