package main_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCallersCommands shows that `callers check` takes what `callers token` prints, and reports every violation in a file.
func TestCallersCommands(t *testing.T) {
	binary := build(t)
	out, err := command(t, binary, "callers", "token").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(out), "line, for the callers file: ")
	for name, test := range map[string]struct {
		content string
		code    int
		stderr  []string
	}{
		"good":            {"callers:\n  - name: a\n    rpcs: [Revoke]\n    " + line, 0, nil},
		"every violation": {"callers: [{name: a}, {name: a}]", 2, []string{`callers[0] "a": rpcs`, `callers[1] "a": name`}},
		"no file":         {"", 2, []string{"no such file"}},
		"no callers":      {"callers", 2, []string{"not a callers file"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "callers")
			if test.content != "" {
				if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := command(t, binary, "callers", "check", path)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if code := exitCode(t, cmd.Run()); code != test.code || (code == 0) != (stderr.Len() == 0) {
				t.Errorf("exit code %d, want %d: %s", code, test.code, &stderr)
			}
			for _, want := range test.stderr {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("no %q in %s", want, &stderr)
				}
			}
		})
	}
}
