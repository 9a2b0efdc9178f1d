package models

import "strings"

// StagedBy returns the id of the execution that staged an output, given as TaskRun.Output:
// <tenant>/<execution>/<task>/<attempt>. It is "" for a task that left none.
func StagedBy(output string) string {
	parts := strings.SplitN(output, "/", 3)
	if len(parts) < 3 {
		return ""
	}
	return parts[1]
}
