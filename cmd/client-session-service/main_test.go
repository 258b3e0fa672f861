package main_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestProcess shows what a command that ends by itself says, and its exit code.
func TestProcess(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()

	for name, test := range map[string]struct {
		args           []string
		env            []string
		code           int
		stdout, stderr []string
	}{
		"help":         {[]string{"--help"}, nil, 0, []string{"Usage: client-session-service"}, nil},
		"version":      {[]string{"--version"}, nil, 0, []string{servicetest.Version}, nil},
		"unknown flag": {[]string{"--nope"}, nil, 2, nil, []string{"unknown flag --nope"}},
		"all violations": {
			[]string{"--grpc-listen=x", "--log-level=loud"},
			[]string{"MAX_TIMEOUT=soon"},
			2, nil,
			[]string{"invalid configuration", "--grpc-listen: ", "--max-timeout (environment MAX_TIMEOUT): ", "--log-level: "},
		},
		"settings and files at once": {
			[]string{"--grpc-listen=x", "--seam-ca-file=no/ca.pem", "--tls-cert-file=no/cert.pem", "--tls-key-file=no/key.pem"},
			[]string{"SEAM_API_KEY=seam_cst1_passw0rd"},
			2, nil,
			[]string{`"cause":"--grpc-listen: `, `"cause":"--seam-ca-file: `, ": open no/cert.pem", ": open no/key.pem", `"cause":"SEAM_API_KEY: the key begins with`},
		},
		"configuration in force": {
			[]string{"config", "print", "--grpc-listen=:1"}, nil, 0, []string{"grpc-listen: :1 # flag\n"}, nil,
		},
		"good configuration": {[]string{"config", "check", "--grpc-listen=" + address}, nil, 0, []string{"the configuration is valid"}, nil},
		"settings and files, checked": {
			[]string{"config", "check", "--max-timeout=soon", "--seam-ca-file=no/ca.pem"},
			nil, 2, nil,
			[]string{"invalid configuration", "--max-timeout: ", "\n--seam-ca-file: open no/ca.pem"},
		},
		"credential for the world": {
			[]string{"--seam-endpoint=http://seam.example", "--cors-origin=*"},
			[]string{"SEAM_API_KEY=seam_held1key_passw0rdpassw0rd"},
			2, nil,
			[]string{"--seam-endpoint: http:// to another machine", "set --allow-plaintext-upstream", "--cors-origin: * "},
		},
		"every file": {
			listen("--seam-ca-file=no/ca.pem", "--tls-cert-file=no/cert.pem", "--tls-key-file=no/key.pem",
				"--tls-client-ca-file=no/clients.pem", "--seam-api-key-file=no/key", "--callers-file=no/callers.yaml", "--issuer-ca-file=no/issuers.pem"),
			nil, 2, nil,
			[]string{
				`"cause":"--seam-ca-file: open no/ca.pem`, `"cause":"--tls-cert-file and --tls-key-file: open no/cert.pem`,
				`"cause":"--tls-client-ca-file: open no/clients.pem`, `"cause":"--seam-api-key-file: open no/key`,
				`"cause":"--callers-file: open no/callers.yaml`, `"cause":"--issuer-ca-file: open no/issuers.pem`,
			},
		},
		"a key as another setting": {
			listen("--seam-api-key-file=seam_held1_passw0rd", "--cors-origin=seam_held1_passw0rd"), nil, 2, nil,
			[]string{"--seam-api-key-file: open (redacted)", `--cors-origin: \"(redacted)`},
		},
		"a key as an argument": {[]string{"seam_held1_passw0rd"}, nil, 2, nil, []string{"unexpected argument (redacted): "}},
		"a key as another setting, checked": {
			[]string{"config", "check", "--seam-api-key-file=seam_held1_passw0rd"}, nil, 2, nil, []string{"--seam-api-key-file: open (redacted)"},
		},
		"a key as another setting, printed": {
			[]string{"config", "print", "--seam-workspace-id=seam_held1_passw0rd", "--allowed-host=seam_held1_passw0rd"},
			[]string{"SEAM_PERSONAL_ACCESS_TOKEN=w"},
			0,
			[]string{"seam-workspace-id: (redacted)", "allowed-host: [(redacted)]"},
			nil,
		},
		"taken gRPC port":  {listen("--sandbox", "--grpc-listen="+address), nil, 1, nil, []string{"--grpc-listen: ", "address already in use"}},
		"taken REST port":  {listen("--sandbox", "--http-listen="+address), nil, 1, nil, []string{"--http-listen: ", "address already in use"}},
		"taken admin port": {listen("--sandbox", "--admin-listen="+address), nil, 1, nil, []string{"--admin-listen: ", "address already in use"}},
		"several taken": {
			listen("--sandbox", "--http-listen="+address),
			[]string{"SANDBOX_LISTEN=" + address},
			1, nil,
			[]string{"--http-listen: ", "--sandbox-listen: "},
		},
		"sandbox's authority":  {[]string{"sandbox", "--listen=127.0.0.1:0", "--write-ca-file=no/ca.pem"}, nil, 1, nil, []string{"--write-ca-file: open no/ca.pem"}},
		"sandbox's port taken": {[]string{"sandbox", "--listen=" + address}, nil, 1, nil, []string{"--listen: ", "address already in use"}},
	} {
		t.Run(name, func(t *testing.T) {
			command := servicetest.Command(t, test.args...)
			command.Env = append(command.Env, test.env...)
			got := servicetest.Run(t, command)
			if got.Code != test.code {
				t.Errorf("exit code is %d, want %d; stderr: %s", got.Code, test.code, got.Stderr)
			}
			checkHas(t, "stdout", got.Stdout, test.stdout...)
			checkHas(t, "stderr", got.Stderr, test.stderr...)
			if test.args[0] != "config" {
				checkLog(t, got.Stderr)
			}
			if test.stdout == nil && got.Stdout != "" || test.stderr == nil && got.Stderr != "" {
				t.Errorf("unexpected output: %s%s", got.Stdout, got.Stderr)
			}
		})
	}
}

// checkLog fails for a line that is not of the log, as its reader would.
func checkLog(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		var read struct{ Level, Msg, Cause string }
		if err := json.Unmarshal([]byte(line), &read); err != nil || read.Level == "" || read.Msg == "" || read.Cause == "" {
			t.Errorf("a line is not of the log: %s", line)
		}
	}
}

// TestSignal shows that either signal ends the service and the sandbox in good order.
func TestSignal(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		signal os.Signal
	}{
		"SIGTERM ends it":              {listen("--sandbox"), syscall.SIGTERM},
		"SIGINT ends it":               {listen("--sandbox"), syscall.SIGINT},
		"SIGTERM ends the sandbox":     {[]string{"sandbox", "--listen=127.0.0.1:0"}, syscall.SIGTERM},
		"SIGTERM ends it, text in log": {listen("--sandbox", "--log-format=text"), syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) {
			p := servicetest.StartReady(t, test.args...)
			wants := map[string]int{p.Seam + "/client_sessions/get": http.StatusUnauthorized}
			if p.HTTP != "" {
				wants["http://"+p.HTTP+"/client_sessions/get"] = http.StatusUnauthorized
				wants["http://"+p.Admin+"/readyz"] = http.StatusOK
			}
			for url, want := range wants {
				if got := get(t, url, ""); got != want {
					t.Errorf("%s responds with %d, want %d", url, got, want)
				}
			}
			p.Signal(test.signal)
			if code := p.ExitCode(); code != 0 || !strings.Contains(p.Log(), "stopped") {
				t.Errorf("exit code is %d; log: %s", code, p.Log())
			}
		})
	}
}

// TestSecondSignal shows that a second signal ends the service without waiting for the drain.
func TestSecondSignal(t *testing.T) {
	p := servicetest.StartReady(t, append(servicetest.Listen(), "--sandbox", "--drain-delay=10m")...)
	p.Signal(syscall.SIGTERM)
	p.AwaitLog(`"draining"`)
	p.Signal(syscall.SIGTERM)
	if code := p.ExitCode(); code != -1 {
		t.Errorf("exit code %d, want none: the signal ends it", code)
	}
	if _, rest, _ := strings.Cut(p.Log(), `"draining"`); strings.Count(rest, "\n") != 1 {
		t.Errorf("after the second signal it says %q", rest)
	}
}
