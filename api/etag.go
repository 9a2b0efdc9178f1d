package api

import (
	"fmt"
	"strings"

	"github.com/matih/pipeline-service/models"
)

// etag is the entity tag of a revision.
func etag(revision int64) string { return fmt.Sprintf(`"%d"`, revision) }

// matches reports whether a list of entity tags holds the one of a revision. Weak tags count only where weak.
func matches(header string, revision int64, weak bool) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if weak {
			tag = strings.TrimPrefix(tag, "W/")
		}
		if tag == "*" || tag == etag(revision) {
			return true
		}
	}
	return false
}

// guard turns an If-Match header into the revision a change must find; 0 is any. The error has
// CodePreconditionFailed.
func guard(ifMatch string, revision int64) (int64, error) {
	switch {
	case ifMatch == "", ifMatch == "*": // what the path names exists, or it would be a 404
		return 0, nil
	case matches(ifMatch, revision, false):
		return revision, nil
	default:
		return 0, models.Errorf(models.CodePreconditionFailed, "it has changed since; its ETag is now %s", etag(revision))
	}
}
