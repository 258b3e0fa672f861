package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/config"
)

// write writes a configuration file and returns its path.
func write(t *testing.T, content string) string {
	t.Helper()
	return writeIn(t, t.TempDir(), content)
}

func writeIn(t *testing.T, dir, content string) string {
	t.Helper()
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSources shows that a flag wins over the environment, and that over the file.
func TestSources(t *testing.T) {
	path := write(t, "grpc-listen: :1\nhttp-listen: :1\nadmin-listen: :1\nmax-timeout: 10s\nsandbox: true\n"+
		"cors-origin: [https://a.example, https://b.example]\ntrusted-proxy: 10.0.0.0/8\nmax-in-flight: 7\nlog-format: soon\n")
	t.Setenv("GRPC_LISTEN", ":2")
	t.Setenv("HTTP_LISTEN", ":2")
	// A valid value hides an invalid one of a source with less precedence.
	t.Setenv("LOG_FORMAT", "text")
	t.Setenv("DRAIN_DELAY", "soon")
	args := []string{"--grpc-listen=:3", "--drain-delay=1s"}
	byFlag, err := config.Parse(append(args, "--config-file", path), "v1", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONFIG_FILE", path)
	byEnvironment, err := config.Parse(args, "v1", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []config.Config{byFlag, byEnvironment} {
		if c.GRPCListen != ":3" || c.HTTPListen != ":2" || c.AdminListen != ":1" || c.DrainDelay != time.Second || c.DrainTimeout != 20*time.Second {
			t.Errorf("the listeners are %s, %s, %s, the drain %s, %s", c.GRPCListen, c.HTTPListen, c.AdminListen, c.DrainDelay, c.DrainTimeout)
		}
		if !reflect.DeepEqual(c.CORSOrigins, []string{"https://a.example", "https://b.example"}) || len(c.TrustedProxies) != 1 ||
			c.MaxInFlight != 7 || !c.Sandbox || c.MaxTimeout != 10*time.Second || c.LogFormat != "text" {
			t.Errorf("config is %+v", c)
		}
	}
}

// TestInvalidFile shows that every error in a configuration file is reported, beside those of flags, and that none is
// quoted that may be a key.
func TestInvalidFile(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		errors  []string
	}{
		"nothing":         {"", nil},
		"comment":         {"# nothing yet\n", nil},
		"JSON":            {`{"max-timeout": "2s", "cors-origin": ["https://a.example"]}`, nil},
		"unknown setting": {"max-timeuot: 1s\n", []string{`line 1: "max-timeuot" is set twice or not a setting`}},
		"another file":    {"config-file: x\n", []string{`line 1: "config-file" is set twice`}},
		"help":            {"help: true\n", []string{`line 1: "help" is set twice`}},
		"version":         {"version: true\n", []string{`line 1: "version" is set twice`}},
		"twice":           {"max-timeout: 1s\nmax-timeout: 2s\n", []string{`line 2: "max-timeout" is set twice`}},
		"list":            {"max-timeout: [1s, 2s]\n", []string{"line 1: max-timeout needs one value"}},
		"empty":           {"max-timeout:\nlog-level: \"\"\ncors-origin: []\n", nil},
		"empty key":       {"seam-api-key: \"\"\n", []string{"SEAM_API_KEY (file FILE, line 1): is empty"}},
		"nested":          {"max-timeout: {a: b}\n", []string{"line 1: max-timeout needs one value"}},
		"nested list":     {"cors-origin: [[a]]\n", []string{"line 1: cors-origin needs one value, or a list of values"}},
		"no mapping":      {"- a\n", []string{"needs to be one mapping"}},
		"two documents":   {"sandbox: true\n---\nsandbox: false\n", []string{"needs to be one mapping"}},
		"no YAML":         {"a: b: c\n", []string{"yaml: "}},
		"every error": {
			"a: 1\nb: 2\nmax-timeout: soon\nlog-level: loud\nseam-api-key: [" + apiKey + ", {}]\n",
			[]string{`line 1: "a"`, `line 2: "b"`, "line 5: seam-api-key needs", `--max-timeout (file FILE, line 3): "soon"`, `--log-level (file FILE, line 4): "loud"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, test.content)
			_, err := config.Parse([]string{"--config-file=" + path, "--drain-delay=0s"}, "v1", io.Discard)
			if (err == nil) != (len(test.errors) == 0) {
				t.Fatalf("error is %v", err)
			}
			if err == nil {
				return
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(test.errors) || strings.Contains(err.Error(), apiKey) {
				t.Errorf("errors are %q", lines)
			}
			for i, want := range test.errors {
				want = strings.ReplaceAll(want, "FILE", path)
				if !strings.HasPrefix(want, "--") && !strings.HasPrefix(want, "SEAM") {
					want = "--config-file: " + path + ": " + want
				}
				if i < len(lines) && !strings.HasPrefix(lines[i], want) {
					t.Errorf("error is %q, want %q", lines[i], want)
				}
			}
		})
	}
	_, err := config.Parse([]string{"--config-file=/no/file", "--max-timeout=x"}, "v1", io.Discard)
	if err == nil || !strings.HasPrefix(err.Error(), "--config-file: open /no/file") || !strings.Contains(err.Error(), "\n--max-timeout: ") {
		t.Errorf("a missing file gets %v", err)
	}
}

// TestPrint shows what `config print` says: each value, where it comes from, and no key; and that it can serve as a
// file.
func TestPrint(t *testing.T) {
	path := write(t, "max-timeout: 90s\nallowed-host: [A.example, b.example]\n")
	t.Setenv("TLS_MIN_VERSION", "1.2")
	t.Setenv("SEAM_API_KEY", apiKey)
	args := []string{"config", "print", "--config-file=" + path, "--caller-rps=2.5", "--trusted-proxy=10.0.0.0/8"}
	var out bytes.Buffer
	if _, err := config.Parse(args, "v1", &out); !errors.Is(err, config.ErrDone) {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nmax-timeout: 1m30s # file " + path + ", line 1\n", "\nallowed-host: [a.example, b.example] # file " + path + ", line 2\n",
		"\ntls-min-version: \"1.2\" # environment TLS_MIN_VERSION\n", "\nseam-api-key: (redacted) # environment SEAM_API_KEY\n",
		"\ncaller-rps: 2.5 # flag\n", "\ntrusted-proxy: [10.0.0.0/8] # flag\n", "\nseam-endpoint: https://connect.getseam.com # default\n",
		"\nmax-in-flight: 1024 # default\n", "\nlog-level: info # default\n", "\nsandbox: false # default\n",
	} {
		if !strings.Contains("\n"+out.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(out.String(), "passw0rd") || strings.Contains(out.String(), "config-file") {
		t.Error("it tells the key, or a setting that a file cannot have")
	}
	if t.Failed() {
		t.Log(out.String())
	}
	again, err := config.Parse([]string{"--config-file=" + write(t, out.String())}, "v1", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want, err := config.Parse(args[2:], "v1", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want.ConfigFile, want.Settings, again.Settings = again.ConfigFile, nil, nil
	if got, want := fmt.Sprintf("%+v", again), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("what it prints is read as %s\nwant %s", got, want)
	}
	out.Reset()
	if _, err := config.Parse([]string{"config", "print", "--max-timeout=x"}, "v1", &out); err == nil || errors.Is(err, config.ErrDone) || out.Len() > 0 {
		t.Errorf("an error is printed as %q, %v", out.String(), err)
	}
}
