// Package boot is what every program of the service starts with: configuration, logging, the Temporal
// client, the HTTP server.
package boot

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// envPrefix begins the name of every variable that stands for a flag.
const envPrefix = "PIPELINE_"

// envAlias is the annotation of a flag that a variable without the prefix sets, too.
const envAlias = "env"

// AliasEnv lets a variable of another name than the usual one set a flag as well.
func AliasEnv(flags *pflag.FlagSet, flag, variable string) {
	f := flags.Lookup(flag)
	f.Annotations = map[string][]string{envAlias: {variable}}
	f.Usage += " [" + variable + "]"
}

// Configure makes every flag of the command and of those below it settable by environment: --data-dir by
// PIPELINE_DATA_DIR, lists separated by commas. A flag that is given wins. It also lets errors be printed once, by main.
func Configure(root *cobra.Command) {
	root.SilenceUsage = true
	root.SilenceErrors = true
	root.Version = Version()
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return applyEnv(cmd.Flags()) }
	root.Long += "\n\nEvery flag can be set by environment: --data-dir by " + envPrefix + "DATA_DIR and so on."
}

func applyEnv(flags *pflag.FlagSet) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || f.Name == "version" {
			return
		}
		for _, variable := range variables(f) {
			value, ok := os.LookupEnv(variable)
			if !ok {
				continue
			}
			if err := set(flags, f, value); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", variable, err))
			}
			return
		}
	})
	return errors.Join(errs...)
}

// variables are the names that may set a flag, the first one first.
func variables(f *pflag.Flag) []string {
	own := envPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
	return append([]string{own}, f.Annotations[envAlias]...)
}

func set(flags *pflag.FlagSet, f *pflag.Flag, value string) error {
	list, ok := f.Value.(pflag.SliceValue)
	if !ok {
		return flags.Set(f.Name, value)
	}
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	f.Changed = true
	return list.Replace(items)
}

// Secret returns the value of a flag that must not stand on a command line: either the value itself, usually from
// the environment, or the content of the file named by the other flag.
func Secret(flag, value, file string) (string, error) {
	if file == "" {
		return value, nil
	}
	if value != "" {
		return "", fmt.Errorf("--%s and --%s-file are both given: give one", flag, flag)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--%s-file: %w", flag, err)
	}
	return strings.TrimSpace(string(content)), nil
}
