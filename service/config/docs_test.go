package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

const docsPage = "../../docs/configuration.md"

// TestConfigurationPage fails when docs/configuration.md is not what the declarations say, or they say too little; `make
// generate` writes it.
func TestConfigurationPage(t *testing.T) {
	var read commands
	parser, err := kong.New(&read, (&reader{}).kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.NewBufferString(`# Configuration

Generated from service/config/config.go by ` + "`make generate`" + `. A flag wins over its environment variable, and that over the
YAML file that ` + "`--config-file`" + ` names, whose keys are the flags without the dashes. An empty variable or value
is one that is not set, and an empty secret is an error. [operating.md](operating.md#settings) has an example and the
commands that check and print a configuration.
`)
	for _, command := range parser.Model.Children {
		if command.Name != "serve" && command.Name != "sandbox" {
			continue
		}
		fmt.Fprintf(want, "\n## `client-session-service %s`\n\n| flag | variable | kind | default | |\n|---|---|---|---|---|\n", command.Name)
		for _, f := range command.Flags {
			if f.Help == "" || f.Tag.Type == "" || strings.Contains(f.Help, "|") {
				t.Errorf("--%s: kind %q, help %q", f.Name, f.Tag.Type, f.Help)
			}
			if f.Hidden != (f.Tag.Type == secret) || f.Hidden && f.Default != "" {
				t.Errorf("--%s: a secret is hidden, and nothing else is", f.Name)
			}
			name, fallback := "`--"+f.Name+"`", ""
			if f.Hidden {
				name = "none; `" + f.Name + "` in the file"
			}
			if f.Default != "" {
				fallback = "`" + f.Default + "`"
			}
			fmt.Fprintf(want, "| %s | `%s` | %s | %s | %s |\n", name, variable(f.Value), f.Tag.Type, fallback, f.Help)
		}
	}
	want.WriteString(`
## Tracing

The variables of [OpenTelemetry](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/)
configure tracing, and there are no flags for them. Calls are traced if ` + "`OTEL_EXPORTER_OTLP_ENDPOINT`" + `, or
` + "`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`" + `, names a collector, or if ` + "`OTEL_TRACES_EXPORTER`" + ` is ` + "`otlp`" + `; not if that is
` + "`none`" + `, or if ` + "`OTEL_SDK_DISABLED`" + ` is ` + "`true`" + `. ` + "`OTEL_EXPORTER_OTLP_PROTOCOL`" + ` is ` + "`http/protobuf`" + ` (the default) or
` + "`grpc`" + `. ` + "`OTEL_EXPORTER_OTLP_*`, `OTEL_TRACES_SAMPLER*`, `OTEL_BSP_*`, `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`" + `
are read by OpenTelemetry's SDK. An endpoint that is no URL, and an invalid timeout, compression, certificate or sampler
stop the start: the SDK would use another value.

A call has a server span, and each request to Seam in it a client span. Health checks have none. The context is that of
the W3C: ` + "`traceparent` and `tracestate`" + `, as headers or metadata. Baggage is not used, nor is ` + "`OTEL_PROPAGATORS`" + `.
`)
	if *update {
		if err := os.WriteFile(docsPage, want.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docsPage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("docs/configuration.md is stale: run make generate and commit it")
	}
}
