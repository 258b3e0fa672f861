package chart_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// value is one of values.yaml.
type value struct {
	path, comment string
	// preset is its default as JSON, empty for a group of values with comments of their own.
	preset string
}

// mayBeNull reports whether null is as good as the default.
func (v value) mayBeNull() bool { return slices.Contains([]string{`""`, "[]", "{}"}, v.preset) }

// values returns those of a mapping. Each has a comment.
func values(t *testing.T, prefix string, mapping *yaml.Node) (all []value) {
	t.Helper()
	for pair := range slices.Chunk(mapping.Content, 2) {
		v := value{path: prefix + pair[0].Value}
		for line := range strings.Lines(pair[0].HeadComment) {
			v.comment = strings.TrimSpace(v.comment + " " + strings.Trim(line, "# \n"))
		}
		group := pair[1].Kind == yaml.MappingNode && slices.ContainsFunc(pair[1].Content, func(node *yaml.Node) bool {
			return node.HeadComment != "" && node.Kind == yaml.ScalarNode
		})
		if v.comment == "" && !group {
			t.Errorf("values.yaml, line %d: %s has no comment", pair[0].Line, v.path)
		}
		if !group {
			var preset any
			if err := pair[1].Decode(&preset); err != nil {
				t.Fatal(err)
			}
			v.preset = strings.TrimSpace(encode(t, preset, ""))
		}
		if v.comment != "" {
			all = append(all, v)
		}
		if group {
			all = append(all, values(t, v.path+".", pair[1])...)
		}
	}
	return all
}

// encode returns JSON, on one line without an indent.
func encode(t *testing.T, content any, indent string) string {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(content); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func readValues(t *testing.T) []value {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	return values(t, "", document.Content[0])
}

// TestReadme shows that the table of the chart's README is that of values.yaml.
func TestReadme(t *testing.T) {
	const mark = "<!-- What follows is generated from values.yaml by `make chart-generate`. -->\n"
	path := filepath.Join(chart, "README.md")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(string(content), mark)
	if !ok {
		t.Fatalf("%s has no line %s", path, mark)
	}
	table := "\n| value | default | |\n|---|---|---|\n"
	for _, v := range readValues(t) {
		preset := v.preset
		if preset != "" {
			preset = "`" + preset + "`"
		}
		table += fmt.Sprintf("| `%s` | %s | %s |\n", v.path, preset, v.comment)
	}
	golden(t, path, before+mark+table)
}

// object is one of JSON.
type object = map[string]any

// TestSchema shows that values.schema.json has the values of values.yaml with their comments, and the settings of the
// service with their kinds, and nothing else.
func TestSchema(t *testing.T) {
	path := filepath.Join(chart, "values.schema.json")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var schema object
	if err := json.Unmarshal(content, &schema); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, v := range readValues(t) {
		known[v.path] = true
		property(t, schema, v.path)["description"] = v.comment
		path := v.path
		if v.mayBeNull() {
			path = path[:max(0, strings.LastIndex(path, "."))] // Its section may not be.
		}
		require(schema, path)
	}
	noOthers(t, schema, "", known)
	property(t, schema, "config")["properties"] = settings(t)
	golden(t, path, encode(t, schema, "  "))
}

// property returns the schema of a value.
func property(t *testing.T, schema object, path string) object {
	t.Helper()
	for name := range strings.SplitSeq(path, ".") {
		properties, _ := schema["properties"].(object)
		next, ok := properties[name].(object)
		if !ok {
			t.Fatalf("values.schema.json has no %s", path)
		}
		if schema["additionalProperties"] != false {
			t.Errorf("values.schema.json allows other values beside %s", path)
		}
		schema = next
	}
	return schema
}

// require makes a value required. Helm drops a value that is null, so that the schema can only miss it.
func require(schema object, path string) {
	for name := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '.' }) {
		required, _ := schema["required"].([]any)
		if !slices.Contains(required, any(name)) {
			schema["required"] = append(required, name)
		}
		schema = schema["properties"].(object)[name].(object)
	}
}

// noOthers fails for properties that are no values.
func noOthers(t *testing.T, schema object, prefix string, known map[string]bool) {
	t.Helper()
	properties, _ := schema["properties"].(object)
	for name, of := range properties {
		path := prefix + name
		if path == "global" || path == "enabled" { // What a parent chart gives to all charts, and its condition.
			continue
		}
		within := slices.ContainsFunc(slices.Collect(maps.Keys(known)), func(other string) bool {
			return strings.HasPrefix(other, path+".")
		})
		if !known[path] && !within {
			t.Errorf("values.schema.json has %s, and values.yaml does not", path)
		}
		if within {
			noOthers(t, of.(object), path+".", known)
		}
	}
}

// own are the settings that the chart sets by itself.
var own = []string{
	"config-file", "grpc-listen", "http-listen", "admin-listen", "seam-api-key-file", "seam-workspace-id", "callers-file",
	"tls-cert-file", "tls-key-file", "tls-client-ca-file",
}

// kinds are the schemas of the kinds of settings in docs/configuration.md. The service checks them more closely.
var kinds = map[string]object{
	"TLS version": {"enum": []string{"1.3", "1.2"}},
	"reflection":  {"enum": []string{"auto", "on", "off"}},
	"log level":   {"enum": []string{"debug", "info", "warn", "error"}},
	"log format":  {"enum": []string{"json", "text"}},
	"duration":    {"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`},
	"delay":       {"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`},
	"count":       {"type": "integer", "minimum": 1, "maximum": 1<<20 - 1},
	"MiB":         {"type": "integer", "minimum": 1, "maximum": 1024},
	"rate":        {"type": "number", "minimum": 0, "maximum": 1_000_000},
	"switch":      {"type": "boolean"},
	"file":        {"type": "string"},
	"address":     {"type": "string"},
	"text":        {"type": "string"},
	"URL":         {"type": "string", "pattern": "^https?://"},
	"networks":    {"type": "array", "items": object{"type": "string"}},
	"origins":     {"type": "array", "items": object{"type": "string"}},
	"host names":  {"type": "array", "items": object{"type": "string"}},
}

var settingRow = regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| `[A-Z_]+` \\| ([A-Za-z ]+) \\| [^|]* \\| (.*) \\|$")

// settings returns the schema of each setting of the service, from its page of the documentation.
func settings(t *testing.T) object {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	serve, _, _ := strings.Cut(string(page), "## `client-session-service sandbox`")
	properties := object{}
	seen := 0
	for _, row := range settingRow.FindAllStringSubmatch(serve, -1) {
		name, kind, help := row[1], row[2], row[3]
		if slices.Contains(own, name) {
			seen++
			continue
		}
		schema, ok := kinds[kind]
		if !ok {
			t.Fatalf("--%s is of the kind %s, which has no schema here", name, kind)
		}
		schema = maps.Clone(schema)
		schema["description"] = help
		properties[name] = schema
	}
	if rows := strings.Count(serve, "\n| `--"); seen != len(own) || len(properties)+seen != rows {
		t.Fatalf("%d of the %d settings are read, and %d of the chart's own %d", len(properties)+seen, rows, seen, len(own))
	}
	return properties
}
