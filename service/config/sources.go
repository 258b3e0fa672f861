package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// reader brings a setting that is no flag from the environment, or else from the configuration file, and keeps what is
// wrong with any of them.
type reader struct {
	// violations and origins are by the name of the setting. origins has the source of each value that is no default.
	violations map[string][]error
	origins    map[string]string
	// file has the settings of the configuration file at path, once it is read; fileErrs are the errors in it.
	path     string
	file     map[string]fileSetting
	fileErrs []error
}

// fileSetting is the value of a setting in the configuration file, and its line.
type fileSetting struct {
	text string
	line int
}

// configFile is the setting that names the configuration file.
const configFile = "config-file"

// sourceFlag is the source of a value that is given as a flag.
const sourceFlag = "flag"

// note notes what is wrong with the value of a setting.
func (r *reader) note(value *kong.Value, err error) {
	if err != nil {
		err = fmt.Errorf("%s: %w", label(value, r.origins[value.Name]), err)
		r.violations[value.Name] = append(r.violations[value.Name], err)
	}
}

// label names a setting in an error, with the source of its value where that is not the flag or the variable itself.
func label(value *kong.Value, source string) string {
	name := "--" + value.Name
	if value.Tag.Type == secret {
		name = variable(value)
	}
	if source == "" || source == sourceFlag || source == sourceVariable+name {
		return name
	}
	return name + " (" + source + ")"
}

// sourceVariable precedes the name of a variable in a source.
const sourceVariable = "environment "

// all returns every violation, in the order of the declarations.
func (r *reader) all(chosen *kong.Context) []error {
	violations := r.fileErrs
	for _, path := range chosen.Path {
		if path.Flag == nil || path.Resolved {
			continue
		}
		r.origins[path.Flag.Name] = sourceFlag
		if path.Flag.Tag.Type == secret {
			const text = "--%s: is not a flag, which every user of the machine could read: set %s"
			violations = append(violations, fmt.Errorf(text, path.Flag.Name, variable(path.Flag.Value)))
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

// resolve returns the value of a setting that has no flag in the arguments, nil for none. Kong calls it for each. An
// empty value is none, but an empty secret is a violation: the service would start without its credential.
func (r *reader) resolve(ctx *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	name := variable(flag.Value)
	if name == "" {
		return nil, nil //nolint:nilnil // Kong's way to say that there is none.
	}
	if r.file == nil {
		r.readFile(ctx, parent.Flags)
	}
	text, ok := os.LookupEnv(name)
	source := sourceVariable + name
	if isSecret := flag.Tag.Type == secret; !ok || text == "" && !isSecret {
		var setting fileSetting
		if setting, ok = r.file[flag.Name]; !ok || setting.text == "" && !isSecret {
			return nil, nil //nolint:nilnil // As above.
		}
		text, source = setting.text, fmt.Sprintf("file %s, line %d", r.path, setting.line)
	}
	r.origins[flag.Name] = source
	if text == "" {
		r.note(flag.Value, errors.New("is empty: give it a value, or leave it out"))
	}
	return text, nil
}

// readFile reads the configuration file, if one is named, for a command that has these flags. Errors quote only the
// names of settings, since the file may hold a key.
func (r *reader) readFile(ctx *kong.Context, flags []*kong.Flag) {
	r.file = map[string]fileSetting{}
	known := map[string]*kong.Flag{}
	for _, flag := range flags {
		if variable(flag.Value) != "" {
			known[flag.Name] = flag
		}
	}
	at := slices.IndexFunc(flags, func(flag *kong.Flag) bool { return flag.Name == configFile })
	if at < 0 {
		return
	}
	delete(known, configFile) // One file is enough.
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
func (r *reader) takeSettings(pairs []*yaml.Node, known map[string]*kong.Flag, errorf func(string, ...any)) {
	for pair := range slices.Chunk(pairs, 2) {
		name, value := pair[0].Value, pair[1]
		if _, twice := r.file[name]; twice || known[name] == nil {
			errorf("line %d: %q is set twice or not a setting", pair[0].Line, name)
			continue
		}
		elements, orList := []*yaml.Node{value}, ""
		if known[name].Target.Kind() == reflect.Slice {
			orList = ", or a list of values"
			if value.Kind == yaml.SequenceNode {
				elements = value.Content
			}
		}
		if slices.ContainsFunc(elements, func(element *yaml.Node) bool { return element.Kind != yaml.ScalarNode }) {
			errorf("line %d: %s needs one value%s", value.Line, name, orList)
			continue
		}
		texts := make([]string, len(elements))
		for i, element := range elements {
			texts[i] = element.Value
		}
		r.file[name] = fileSetting{strings.Join(texts, ","), value.Line}
	}
}
