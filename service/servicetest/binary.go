// Package servicetest has what the tests of several rooms need: a process of the service's binary, an authority that
// signs certificates, and an issuer of JWTs. Only tests import it. It has no imports but the standard library, so that
// a test of any room, and of any module of this repository, can use it.
package servicetest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Version is what the binary says to --version.
const Version = "test"

// folder has the binary that all tests of a package share, and is empty in a package without Main.
var folder string

// buildOnce builds the binary when the first test needs it: to link it takes seconds.
var buildOnce = sync.OnceValues(func() (string, error) { return build(folder) })

// Main runs the tests of a package whose tests start the binary. The tests share one, and Main removes it.
func Main(m *testing.M) int {
	var err error
	if folder, err = os.MkdirTemp("", "servicetest"); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	if err := os.Chmod(folder, 0o755); err != nil { // A process may run as another user than the test.
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Binary returns the path of the service's binary. It is built without the race detector: what the detector costs would
// be what is measured. A package without Main builds it for each test that asks.
func Binary(t testing.TB) string {
	t.Helper()
	made := buildOnce
	if folder == "" {
		made = func() (string, error) { return build(t.TempDir()) }
	}
	path, err := made()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func build(folder string) (string, error) {
	checkout, err := findCheckout()
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "client-session-service")
	command := exec.Command("go", "build", "-C", checkout, "-trimpath", "-ldflags=-X main.version="+Version,
		"-o", path, "./cmd/client-session-service")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the service: %w\n%s", err, out)
	}
	return path, nil
}

// findCheckout returns the folder above the test that has the service.
func findCheckout() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "cmd", "client-session-service")); err == nil {
			return folder, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("no folder above the test has the service")
		}
		folder = parent
	}
}

// Command returns a command of the binary. Its environment is empty: every flag is also an environment variable, and a
// test is not to depend on the shell that it is started from.
func Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	command := exec.Command(Binary(t), args...)
	command.Env = []string{}
	return command
}

// Output is what a command that has ended has written.
type Output struct {
	Stdout, Stderr string
	// Code is the exit code, -1 for a command that a signal ended.
	Code int
}

// Run runs a command to its end, which has to come within two minutes.
func Run(t testing.TB, command *exec.Cmd) Output {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(2*time.Minute, func() { _ = command.Process.Kill() }).Stop()
	err := command.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return Output{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}
