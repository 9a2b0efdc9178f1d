package definition

import (
	"fmt"

	"github.com/matih/pipeline-service/models"
)

// maxMistakes bounds an answer; a document with more is not one that somebody wrote by hand.
const maxMistakes = 1000

// mistakes collects what is wrong, one mistake a place: the first names the cause, what would
// follow from it stays unsaid.
type mistakes struct {
	list []models.Mistake
	seen map[string]bool
	more int
}

func (m *mistakes) add(at *path, format string, args ...any) {
	if len(m.list) == maxMistakes {
		m.more++
		return
	}
	location := at.String()
	if m.seen[location] {
		return
	}
	if m.seen == nil {
		m.seen = map[string]bool{}
	}
	m.seen[location] = true
	m.list = append(m.list, models.Mistake{Location: location, Message: fmt.Sprintf(format, args...)})
}

// has reports whether a mistake stands at a place.
func (m *mistakes) has(at *path) bool {
	return len(m.seen) > 0 && m.seen[at.String()]
}

// err gives the mistakes in what as one error, nil where there are none.
func (m *mistakes) err(code models.Code, what string) error {
	n := len(m.list) + m.more
	if n == 0 {
		return nil
	}
	e := models.Errorf(code, "there are %d mistakes in %s", n, what)
	switch {
	case n == 1:
		e.Message = "there is a mistake in " + what
	case m.more > 0:
		e.Message += fmt.Sprintf("; the first %d are listed", maxMistakes)
	}
	e.Mistakes = m.list
	return e
}
