package definition

import "github.com/matih/pipeline-service/models"

// CheckJSON refuses a document that Go would read but somebody else would read differently, or not
// at all: duplicate keys, trailing data, more than 100 levels, halves of surrogate pairs, invalid
// UTF-8, NUL characters, numbers like 1e400. The error is a *models.Error with CodeInvalidRequest
// and locations below at.
func CheckJSON(doc []byte, at string) error {
	var m mistakes
	readTree(doc, newPath(at), &m)
	return m.err(models.CodeInvalidRequest, "the JSON document")
}

// Canonical returns the document as compact JSON with its keys in their own order and its numbers
// as written. What CheckJSON refuses it refuses too, with locations below "definition".
func Canonical(doc []byte) ([]byte, error) {
	var m mistakes
	tree := readTree(doc, newPath("definition"), &m)
	if err := m.err(models.CodeInvalidRequest, "the JSON document"); err != nil {
		return nil, err
	}
	return tree.json(), nil
}
