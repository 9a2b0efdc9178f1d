// Generate writes the documents that are made from code: the API's description and the schema of definitions. With
// -check it writes nothing and fails where a committed one is not current.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/models/definition"
)

func main() {
	check := flag.Bool("check", false, "only compare")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// documents are the generated files, by their path from the module's root.
var documents = []struct {
	path string
	make func() ([]byte, error)
}{
	{"api/openapi.json", api.OpenAPI},
	{"models/definition/schema.json", func() ([]byte, error) {
		var out bytes.Buffer
		err := json.Indent(&out, definition.Schema(), "", "  ")
		return out.Bytes(), err
	}},
}

func run(check bool) error {
	var errs []error
	for _, d := range documents {
		content, err := d.make()
		if err != nil {
			return fmt.Errorf("%s: %w", d.path, err)
		}
		content = append(bytes.TrimRight(content, "\n"), '\n')
		if !check {
			errs = append(errs, os.WriteFile(d.path, content, 0o644))
			continue
		}
		if committed, err := os.ReadFile(d.path); err != nil || !bytes.Equal(committed, content) {
			errs = append(errs, fmt.Errorf("%s is not current: run go tool task generate and commit it", d.path))
		}
	}
	return errors.Join(errs...)
}
