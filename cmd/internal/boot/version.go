package boot

import "runtime/debug"

// version is set by the linker: -X github.com/matih/pipeline-service/cmd/internal/boot.version=1.2.3.
var version string

// Version is the release this program was built from, or the commit, or "dev".
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return s.Value[:12]
			}
		}
	}
	return "dev"
}
