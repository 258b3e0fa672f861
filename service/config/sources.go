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
	// faults and origins are by the name of the setting. origins has what is neither a flag nor a default.
	faults  map[string][]error
	origins map[string]string
	// file has the settings of the configuration file at path, once it is read; fileFaults is what is wrong with it.
	path       string
	file       map[string]string
	fileFaults []error
}

// configFile is the setting that names the configuration file.
const configFile = "config-file"

func (r *reader) note(name string, fault error) {
	if fault != nil {
		r.faults[name] = append(r.faults[name], fmt.Errorf("--%s: %w", name, fault))
	}
}

// all returns every fault, in the order of the declarations.
func (r *reader) all(chosen *kong.Context) []error {
	faults := r.fileFaults
	for _, path := range chosen.Path {
		if path.Flag != nil && path.Flag.Tag.Type == secret && !path.Resolved {
			r.note(path.Flag.Name, errors.New("is no flag, which every user of the machine could read: set "+
				variable(path.Flag.Value)))
		}
	}
	for _, flag := range chosen.Selected().Flags {
		faults = append(faults, r.faults[flag.Name]...)
	}
	return faults
}

// variable is the environment variable of a setting, "" for what is no setting, such as --help.
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

// Validate is for kong, which has nothing to ask here.
func (*reader) Validate(*kong.Application) error { return nil }

// Resolve returns the value of a setting that is no flag, nil for none. Kong calls it for each.
func (r *reader) Resolve(ctx *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
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

// readFile reads the configuration file, if one is named, for a command that has these flags. Nothing of it is quoted
// but the names of settings: it may hold a key.
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
	given, _ := ctx.FlagValue(flags[at]).(string)
	if r.path = cmp.Or(given, os.Getenv(variable(flags[at].Value))); r.path == "" {
		return
	}
	content, err := os.ReadFile(r.path)
	if err != nil {
		r.fileFaults = append(r.fileFaults, fmt.Errorf("--config-file: %w", err))
		return
	}
	faultf := func(format string, values ...any) {
		r.fileFaults = append(r.fileFaults, fmt.Errorf("--config-file: %s: "+format, append([]any{r.path}, values...)...))
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, next yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return
	} else if err != nil {
		faultf("%w", err)
		return
	}
	if root := document.Content[0]; root.Kind != yaml.MappingNode || !errors.Is(decoder.Decode(&next), io.EOF) {
		faultf("needs to be one mapping of settings to values")
	} else {
		r.takeSettings(root.Content, known, faultf)
	}
}

// takeSettings takes the pairs of a mapping.
func (r *reader) takeSettings(pairs []*yaml.Node, known map[string]bool, faultf func(string, ...any)) {
	for pair := range slices.Chunk(pairs, 2) {
		name, value := pair[0].Value, pair[1]
		if _, twice := r.file[name]; twice || !known[name] {
			faultf("line %d: %q is given twice or no setting", pair[0].Line, name)
			continue
		}
		elements := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			elements = value.Content
		}
		if slices.ContainsFunc(elements, func(element *yaml.Node) bool { return element.Kind != yaml.ScalarNode }) {
			faultf("line %d: %s needs one value, or a list of such", value.Line, name)
			continue
		}
		texts := make([]string, len(elements))
		for i, element := range elements {
			texts[i] = element.Value
		}
		r.file[name] = strings.Join(texts, ",")
	}
}
