package config

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// print writes each setting that is in force as YAML, which can serve as a configuration file, with where it comes from
// in a comment.
func (r *reader) print(out io.Writer, chosen *kong.Context) error {
	for _, path := range chosen.Path {
		if path.Flag != nil && !path.Resolved {
			r.origins[path.Flag.Name] = "flag"
		}
	}
	document := yaml.Node{Kind: yaml.MappingNode}
	for _, flag := range chosen.Selected().Flags {
		if flag.Name == configFile {
			continue // The file cannot name another.
		}
		value := yaml.Node{Kind: yaml.ScalarNode}
		if err := value.Encode(printable(flag)); err != nil {
			return err
		}
		value.LineComment = cmp.Or(r.origins[flag.Name], "default")
		value.Style = yaml.FlowStyle
		document.Content = append(document.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: flag.Name}, &value)
	}
	return yaml.NewEncoder(out).Encode(&document)
}

// printable is the value of a setting as it would stand in the file.
func printable(flag *kong.Flag) any {
	switch value := flag.Target.Interface().(type) {
	case uint16:
		return strings.TrimPrefix(tls.VersionName(value), "TLS ")
	case *slog.LevelVar:
		return value.Level().String()
	case string:
		if flag.Tag.Type == secret && value != "" {
			return "(redacted)"
		}
		return value
	case fmt.Stringer: // A time or a URL.
		return value.String()
	default:
		return value
	}
}
