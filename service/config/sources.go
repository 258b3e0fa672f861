package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// reader brings a setting that is no flag from the environment, or else from the configuration file, and keeps what is
// wrong with any of them.
type reader struct {
	// violations and origins are by the name of the setting. origins has the source of each value that is neither from a
	// flag nor a default.
	violations map[string][]error
	origins    map[string]string
	// file has the settings of the configuration file at path, once it is read; fileErrs are the errors in it.
	path     string
	file     map[string]string
	fileErrs []error
}

// configFile is the setting that names the configuration file.
const configFile = "config-file"

func (r *reader) note(name string, err error) {
	if err != nil {
		r.violations[name] = append(r.violations[name], fmt.Errorf("--%s: %w", name, err))
	}
}

// all returns every violation, in the order of the declarations.
func (r *reader) all(chosen *kong.Context) []error {
	violations := r.fileErrs
	for _, path := range chosen.Path {
		if path.Flag != nil && path.Flag.Tag.Type == secret && !path.Resolved {
			r.note(path.Flag.Name, errors.New("is not a flag, which every user of the machine could read: set "+
				variable(path.Flag.Value)))
		}
	}
	for _, flag := range chosen.Selected().Flags {
		violations = append(violations, r.violations[flag.Name]...)
	}
	return violations
}

// variable is the environment variable of a setting, "" for a flag that is not a setting, such as --help.
func variable(value *kong.Value) string {
	if value.Tag.Type == "" {
		return ""
	}
	return cmp.Or(value.Tag.Get("variable"), strings.ToUpper(strings.ReplaceAll(value.Name, "-", "_")))
}

// describe is the help of a setting, with its variable.
func describe(value *kong.Value) string {
	if name := variable(value); name != "" && value.Flag != nil {
		return value.Help + " ($" + name + ")"
	}
	return value.Help
}

// resolve returns the value of a setting that has no flag in the arguments, nil for none. Kong calls it for each.
func (r *reader) resolve(ctx *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	name := variable(flag.Value)
	if name == "" {
		return nil, nil //nolint:nilnil // Kong's way to say that there is none.
	}
	if r.file == nil {
		r.readFile(ctx, parent.Flags)
	}
	if text, ok := os.LookupEnv(name); ok {
		r.origins[flag.Name] = "environment " + name
		return text, nil
	}
	if text, ok := r.file[flag.Name]; ok {
		r.origins[flag.Name] = "file " + r.path
		return text, nil
	}
	return nil, nil //nolint:nilnil // As above.
}

// readFile reads the configuration file, if one is named, for a command that has these flags. Errors quote only the
// names of settings, since the file may hold a key.
func (r *reader) readFile(ctx *kong.Context, flags []*kong.Flag) {
	r.file = map[string]string{}
	known := map[string]bool{}
	for _, flag := range flags {
		known[flag.Name] = variable(flag.Value) != ""
	}
	at := slices.IndexFunc(flags, func(flag *kong.Flag) bool { return flag.Name == configFile })
	if at < 0 {
		return
	}
	known[configFile] = false // One file is enough.
	flag, _ := ctx.FlagValue(flags[at]).(string)
	if r.path = cmp.Or(flag, os.Getenv(variable(flags[at].Value))); r.path == "" {
		return
	}
	content, err := os.ReadFile(r.path)
	if err != nil {
		r.fileErrs = append(r.fileErrs, fmt.Errorf("--config-file: %w", err))
		return
	}
	errorf := func(format string, values ...any) {
		r.fileErrs = append(r.fileErrs, fmt.Errorf("--config-file: %s: "+format, append([]any{r.path}, values...)...))
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, next yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return
	} else if err != nil {
		errorf("%w", err)
		return
	}
	if root := document.Content[0]; root.Kind != yaml.MappingNode || !errors.Is(decoder.Decode(&next), io.EOF) {
		errorf("needs to be one mapping of settings to values")
	} else {
		r.takeSettings(root.Content, known, errorf)
	}
}

// takeSettings takes the pairs of a mapping.
func (r *reader) takeSettings(pairs []*yaml.Node, known map[string]bool, errorf func(string, ...any)) {
	for pair := range slices.Chunk(pairs, 2) {
		name, value := pair[0].Value, pair[1]
		if _, twice := r.file[name]; twice || !known[name] {
			errorf("line %d: %q is set twice or not a setting", pair[0].Line, name)
			continue
		}
		elements := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			elements = value.Content
		}
		if slices.ContainsFunc(elements, func(element *yaml.Node) bool { return element.Kind != yaml.ScalarNode }) {
			errorf("line %d: %s needs one value, or a list of such", value.Line, name)
			continue
		}
		texts := make([]string, len(elements))
		for i, element := range elements {
			texts[i] = element.Value
		}
		r.file[name] = strings.Join(texts, ",")
	}
}
