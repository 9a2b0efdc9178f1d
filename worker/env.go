package worker

import (
	"os"
	"strings"

	protocol "github.com/matih/pipeline-service/models/task"
)

// secretPrefix begins the environment variables that hold secrets.
const secretPrefix = "PIPELINE_SECRET_"

// processEnv is the environment of task processes: what a program needs to run, and secrets only
// where they are kept in the environment. Nothing of the worker's own configuration is passed on.
func processEnv(secrets protocol.Secrets) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case name == "PATH", name == "TZ", name == "LANG", name == "SSL_CERT_FILE", name == "SSL_CERT_DIR":
			env = append(env, kv)
		case secrets.Env && strings.HasPrefix(name, secretPrefix):
			env = append(env, kv)
		}
	}
	return env
}
