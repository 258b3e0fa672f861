//go:build soak || fleet

// Package soak_test runs the service as it runs in production, a process of its own that real clients call over
// loopback, for longer and under more load than a unit test may take: `make soak`. Each test states what it holds the
// service to and prints what it measured.
package soak_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test. TestMain builds it once, without the race detector, whose cost would be what is
// measured; nothing writes it afterwards.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	folder, err := os.MkdirTemp("", "soak")
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "client-session-service")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "github.com/clientsession/client-session-service/cmd/client-session-service")
	if text, err := build.CombinedOutput(); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "build the service: %v\n%s", err, text)
		return 1
	}
	return m.Run()
}

// process is a running program.
type process struct {
	t       *testing.T
	command *exec.Cmd
	// log is the file that its log goes to: a file, so that a slow reader never holds up the program.
	log   string
	ready readyLine
	// authority is the file with who vouches for a Seam.
	authority string
	// ended is closed when the program has ended, with the failure.
	ended   chan struct{}
	failure error
}

// readyLine is the line of the log that says where a program can be reached.
type readyLine struct {
	Message string `json:"msg"`
	GRPC    string `json:"grpc"`
	HTTP    string `json:"http"`
	Admin   string `json:"admin"`
	Seam    string `json:"seam"`
}

// start runs the service's program and returns when it is ready. The test ends it, unless it has ended, and fails unless
// it then exits with 0.
func start(t *testing.T, arguments ...string) *process {
	t.Helper()
	p := launch(t, nil, binary, arguments...)
	p.awaitReady()
	return p
}

// launch starts a program, whose log is on stderr, and returns at once. The test ends it as start says.
func launch(t *testing.T, stdout *os.File, program string, arguments ...string) *process {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, log: file.Name(), ended: make(chan struct{})}
	defer file.Close() // The program has a descriptor of its own.
	p.command = exec.CommandContext(context.Background(), program, arguments...)
	if stdout != nil {
		p.command.Stdout = stdout
	}
	p.command.Stderr = file
	// Every flag is also an environment variable, and the test is not to depend on the shell that it is started from.
	p.command.Env = []string{}
	// A test that ends by its timeout runs no cleanup, and would leave the program behind.
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.failure = p.command.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.cleanUp)
	return p
}

// startSeam runs the in-memory Seam, over TLS and HTTP/2 as the real one is reached.
func startSeam(t *testing.T) *process {
	t.Helper()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	seam := start(t, "sandbox", "--listen", "127.0.0.1:0", "--write-ca-file", authority)
	seam.authority = authority
	return seam
}

// asSeam are the flags by which a service uses this Seam.
func (p *process) asSeam() []string {
	return []string{"--seam-endpoint", p.ready.Seam, "--seam-ca-file", p.authority}
}

// startService runs the service against that Seam, at the addresses.
func startService(t *testing.T, seam *process, at addresses, flags ...string) *process {
	t.Helper()
	return start(t, slices.Concat([]string{
		"--grpc-listen", at.grpc, "--http-listen", at.http, "--admin-listen", at.admin, "--pprof",
	}, seam.asSeam(), flags)...)
}

func (p *process) awaitReady() {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		text, err := os.ReadFile(p.log)
		if err != nil {
			p.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			// The last line may still be half written.
			if json.Unmarshal([]byte(line), &p.ready) == nil && p.ready.Message == "ready" {
				return
			}
		}
		select {
		case <-p.ended:
			p.t.Fatalf("%s ended before it was ready: %v\n%s", p.name(), p.failure, text)
		default:
		}
	}
	p.t.Fatalf("%s was not ready in time", p.name())
}

// stop sends SIGTERM to the program and returns how long it then took to end, which it must do with exit code 0.
func (p *process) stop() time.Duration {
	p.t.Helper()
	began := time.Now()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Errorf("end %s: %v", p.name(), err)
	}
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		p.t.Errorf("%s did not end within a minute of SIGTERM", p.name())
		_ = p.command.Process.Kill()
		<-p.ended
	}
	if p.failure != nil {
		p.t.Errorf("%s ended with %v", p.name(), p.failure)
	}
	return time.Since(began)
}

// cleanUp ends the program if it still runs, and shows the end of its log if the test failed.
func (p *process) cleanUp() {
	select {
	case <-p.ended:
	default:
		p.stop()
	}
	if p.t.Failed() {
		p.t.Logf("the end of the log of %s:\n%s", p.name(), p.tail(20))
	}
}

// tail returns the last lines of the log, without those of calls that went well.
func (p *process) tail(count int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, `"code":"OK"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-count):], "")
}

func (p *process) name() string {
	what := filepath.Base(p.command.Path)
	if p.command.Args[1] == "sandbox" {
		what = "the sandbox"
	}
	return fmt.Sprintf("%s (pid %d)", what, p.command.Process.Pid)
}

// addresses are where the service is to listen.
type addresses struct{ grpc, http, admin string }

// anywhere lets the service find free ports.
func anywhere() addresses { return addresses{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"} }

// fixedAddresses returns addresses that a process can be started on again. Their ports are not those that the kernel
// gives to outgoing connections: while the port is closed, a client that dials could be given the very port it dials,
// and would be connected to itself.
func fixedAddresses(t *testing.T) addresses {
	t.Helper()
	free := func() string { return net.JoinHostPort("127.0.0.1", freePort(t)) }
	return addresses{grpc: free(), http: free(), admin: free()}
}

// freePort returns such a port, which is free at all addresses of the machine.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(20_000 + rand.IntN(10_000))
		listener, err := net.Listen("tcp", ":"+port)
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("no free port between 20000 and 30000")
	return ""
}
