package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestCallersCommands shows that `callers check` takes what `callers token` prints, and reports every violation in a file.
func TestCallersCommands(t *testing.T) {
	out := servicetest.Run(t, servicetest.Command(t, "callers", "token")).Stdout
	_, line, _ := strings.Cut(out, "line, for the callers file: ")
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
			got := servicetest.Run(t, servicetest.Command(t, "callers", "check", path))
			if got.Code != test.code || (got.Code == 0) != (got.Stderr == "") {
				t.Errorf("exit code %d, want %d: %s", got.Code, test.code, got.Stderr)
			}
			checkHas(t, "stderr", got.Stderr, test.stderr...)
		})
	}
}
