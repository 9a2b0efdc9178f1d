package boot

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/pflag"
)

// LogOptions say what is logged and how.
type LogOptions struct {
	Level  string
	Format string
}

// AddFlags adds --log-level and --log-format with the given default format.
func (o *LogOptions) AddFlags(flags *pflag.FlagSet, format string) {
	flags.StringVar(&o.Level, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&o.Format, "log-format", format, "text or json")
}

// Logger makes the program's logger.
func (o *LogOptions) Logger(to io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.Level)); err != nil {
		return nil, fmt.Errorf("--log-level: %q is none of debug, info, warn, error", o.Level)
	}
	options := &slog.HandlerOptions{Level: level}
	switch o.Format {
	case "json":
		return slog.New(slog.NewJSONHandler(to, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(to, options)), nil
	default:
		return nil, fmt.Errorf("--log-format: %q is neither text nor json", o.Format)
	}
}
