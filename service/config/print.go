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

	"github.com/clientsession/client-session-service/service/text"
)

// Setting is a setting with the source of its value.
type Setting struct {
	flag *kong.Flag
	// source is "flag", "environment NAME", "file PATH, line N", or "" for a default.
	source string
}

// Label names a setting in an error, with the source of its value.
func (c Config) Label(name string) string {
	for _, setting := range c.Settings {
		if setting.flag.Name == name {
			return label(setting.flag.Value, setting.source)
		}
	}
	return "--" + name
}

// Violations returns the lines of an error of the configuration. They quote no key, which may have been given as the
// value or in place of the name of another setting.
func Violations(err error) []string { return strings.Split(text.Redact(err.Error()), "\n") }

// Print writes each setting that is in force as YAML, which can serve as a configuration file, with the source of its
// value in a comment. It writes no secret.
func (c Config) Print(out io.Writer) error {
	document := yaml.Node{Kind: yaml.MappingNode}
	for _, setting := range c.Settings {
		flag := setting.flag
		if flag.Name == configFile || flag.Tag.Type == secret && flag.Target.IsZero() {
			continue // The file cannot name another, and an empty secret is a violation.
		}
		value := yaml.Node{Kind: yaml.ScalarNode}
		if err := value.Encode(printable(flag)); err != nil {
			return err
		}
		for _, node := range append(value.Content, &value) {
			node.Value = text.Redact(node.Value) // A key may have been given as the value of another setting.
		}
		value.LineComment = cmp.Or(setting.source, "default")
		value.Style = yaml.FlowStyle
		document.Content = append(document.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: flag.Name}, &value)
	}
	return yaml.NewEncoder(out).Encode(&document)
}

// printable is the value of a setting as it would stand in the file.
func printable(flag *kong.Flag) any {
	if flag.Tag.Type == secret {
		return "(redacted)"
	}
	switch value := flag.Target.Interface().(type) {
	case uint16:
		return strings.TrimPrefix(tls.VersionName(value), "TLS ")
	case *slog.LevelVar:
		return strings.ToLower(value.Level().String())
	case fmt.Stringer: // A time or a URL.
		return value.String()
	default:
		return value
	}
}
