package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is where TestMain has the command built, when the first test asks for it.
var binary string

// buildOnce builds the command. To link it takes seconds, so all tests share it.
var buildOnce = sync.OnceValues(func() ([]byte, error) {
	return exec.CommandContext(context.Background(), "go", "build", "-ldflags=-X main.version=v1-test", "-o", binary, ".").CombinedOutput()
})

func TestMain(m *testing.M) {
	directory, err := os.MkdirTemp("", "command")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(directory, "client-session-service")
	code := m.Run()
	_ = os.RemoveAll(directory)
	os.Exit(code)
}

// build returns the command's binary. These tests are about the process, its exit code and its output.
func build(t *testing.T) string {
	t.Helper()
	if out, err := buildOnce(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// command is the binary with its own environment. It is killed when it does not end in time.
func command(t *testing.T, binary string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// begin starts the binary and returns its log.
func begin(t *testing.T, cmd *exec.Cmd) io.Reader {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return stderr
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	default:
		t.Fatal(err)
		return -1
	}
}

func TestProcess(t *testing.T) {
	binary := build(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := []string{"--grpc-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--drain-delay=0s", "--sandbox"}

	for name, test := range map[string]struct {
		args           []string
		env            []string
		code           int
		stdout, stderr []string
	}{
		"help":         {[]string{"--help"}, nil, 0, []string{"Usage: client-session-service"}, nil},
		"version":      {[]string{"--version"}, nil, 0, []string{"v1-test"}, nil},
		"unknown flag": {[]string{"--nope"}, nil, 2, nil, []string{"unknown flag --nope"}},
		"all violations": {
			[]string{"--grpc-listen=x", "--log-level=loud"},
			[]string{"MAX_TIMEOUT=soon"},
			2, nil,
			[]string{"invalid configuration", "--grpc-listen: ", "--max-timeout: ", "--log-level: "},
		},
		"settings and files at once": {
			[]string{"--grpc-listen=x", "--seam-ca-file=no/ca.pem", "--tls-cert-file=no/cert.pem", "--tls-key-file=no/key.pem"},
			[]string{"SEAM_API_KEY=seam_cst1_passw0rd"},
			2, nil,
			[]string{"\n--grpc-listen: ", "\n--seam-ca-file: ", ": open no/cert.pem", ": open no/key.pem", "\nSEAM_API_KEY: the key begins with"},
		},
		"configuration in force": {
			[]string{"config", "print", "--grpc-listen=:1"}, nil, 0, []string{"grpc-listen: :1 # flag\n"}, nil,
		},
		"credential for the world": {
			[]string{"--seam-endpoint=http://seam.example", "--cors-origin=*"},
			[]string{"SEAM_API_KEY=seam_held1key_passw0rdpassw0rd"},
			2, nil,
			[]string{"--seam-endpoint: http:// to another machine", "set --allow-plaintext-upstream", "--cors-origin: * "},
		},
		"every file": {
			append(free[:4:4], "--seam-ca-file=no/ca.pem", "--tls-cert-file=no/cert.pem", "--tls-key-file=no/key.pem",
				"--tls-client-ca-file=no/clients.pem", "--seam-api-key-file=no/key", "--callers-file=no/callers.yaml"),
			nil, 2, nil,
			[]string{
				"invalid configuration", "\n--seam-ca-file: open no/ca.pem", "\n--tls-cert-file and --tls-key-file: open no/cert.pem",
				"\n--tls-client-ca-file: open no/clients.pem", "\n--seam-api-key-file: open no/key", "\n--callers-file: open no/callers.yaml",
			},
		},
		"taken gRPC port":  {append(free[1:], "--grpc-listen="+taken.Addr().String()), nil, 1, nil, []string{"--grpc-listen: ", "address already in use"}},
		"taken REST port":  {append(free, "--http-listen="+taken.Addr().String()), nil, 1, nil, []string{"--http-listen: ", "address already in use"}},
		"taken admin port": {append(free, "--admin-listen="+taken.Addr().String()), nil, 1, nil, []string{"--admin-listen: ", "address already in use"}},
		"several taken": {
			append(free, "--http-listen="+taken.Addr().String()),
			[]string{"SANDBOX_LISTEN=" + taken.Addr().String()},
			1, nil,
			[]string{"--http-listen: ", "--sandbox-listen: "},
		},
		"sandbox's authority":  {[]string{"sandbox", "--listen=127.0.0.1:0", "--write-ca-file=no/ca.pem"}, nil, 1, nil, []string{"--write-ca-file: open no/ca.pem"}},
		"sandbox's port taken": {[]string{"sandbox", "--listen=" + taken.Addr().String()}, nil, 1, nil, []string{"--listen: ", "address already in use"}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, binary, test.args...)
			cmd.Env = append(cmd.Env, test.env...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if code := exitCode(t, cmd.Run()); code != test.code {
				t.Errorf("exit code is %d, want %d; stderr: %s", code, test.code, stderr.String())
			}
			for stream, want := range map[*bytes.Buffer][]string{&stdout: test.stdout, &stderr: test.stderr} {
				for _, text := range want {
					if !strings.Contains(stream.String(), text) {
						t.Errorf("no %q in %s", text, stream.String())
					}
				}
				if len(want) == 0 && stream.Len() != 0 {
					t.Errorf("unexpected output: %s", stream.String())
				}
			}
		})
	}

	for name, test := range map[string]struct {
		args   []string
		signal os.Signal
	}{
		"SIGTERM ends it":              {free, syscall.SIGTERM},
		"SIGINT ends it":               {free, syscall.SIGINT},
		"SIGTERM ends the sandbox":     {[]string{"sandbox", "--listen=127.0.0.1:0"}, syscall.SIGTERM},
		"SIGTERM ends it, text in log": {append([]string{"--log-format=text"}, free...), syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) { startAndStop(t, binary, test.args, test.signal) })
	}
}

// TestSecondSignal shows that a second signal ends the service without waiting for the drain.
func TestSecondSignal(t *testing.T) {
	cmd := command(t, build(t), "--grpc-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0",
		"--sandbox", "--drain-delay=10m")
	stderr := begin(t, cmd)
	lines := bufio.NewScanner(stderr)
	for _, message := range []string{`"ready"`, `"draining"`} {
		for lines.Scan() && !strings.Contains(lines.Text(), message) {
			continue
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	if rest, err := io.ReadAll(stderr); err != nil || len(rest) > 0 {
		t.Errorf("it says %q, %v", rest, err)
	}
	if code := exitCode(t, cmd.Wait()); code != -1 {
		t.Errorf("exit code %d, want none: the signal ends it", code)
	}
}

// startAndStop starts the service, waits until it is ready, makes a request and stops it.
func startAndStop(t *testing.T, binary string, args []string, signal os.Signal) {
	t.Helper()
	cmd := command(t, binary, args...)
	stderr := begin(t, cmd)
	lines := bufio.NewScanner(stderr)
	var log strings.Builder
	for lines.Scan() {
		log.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "msg=ready") {
			break
		}
		var line struct{ Msg, HTTP, Seam, Admin string }
		if err := json.Unmarshal(lines.Bytes(), &line); err == nil && line.Msg == "ready" {
			if line.HTTP != "" {
				wantStatus(t, "http://"+line.HTTP+"/client_sessions/get", http.StatusUnauthorized)
				wantStatus(t, "http://"+line.Admin+"/readyz", http.StatusOK)
			}
			wantStatus(t, line.Seam+"/client_sessions/get", http.StatusUnauthorized)
			break
		}
	}
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(stderr)
	if err != nil {
		t.Error(err)
	}
	if code := exitCode(t, cmd.Wait()); code != 0 {
		t.Errorf("exit code is %d; log: %s%s", code, log.String(), rest)
	}
	if !strings.Contains(log.String(), "ready") || !strings.Contains(string(rest), "stopped") {
		t.Errorf("log is %s%s; want it to say that it is ready, and later that it stopped", log.String(), rest)
	}
}

// wantStatus makes a request on a connection that is closed afterwards: a kept one would be cut off when the service
// ends.
func wantStatus(t *testing.T, url string, want int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != want {
		t.Errorf("%s responds with %d, want %d", url, response.StatusCode, want)
	}
}
