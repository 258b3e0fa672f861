package servicetest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Process is a process, such as one of the service's binary.
type Process struct {
	*exec.Cmd
	Addresses

	t testing.TB
	// log is the file that the process logs to: a file, so that a slow reader never holds up the process.
	log string
	// ended is closed when the process has ended, with the failure.
	ended   chan struct{}
	failure error
}

// Addresses are where the process can be reached, as its log says when it is ready. Seam is a URL.
type Addresses struct{ GRPC, HTTP, Admin, Seam string }

// Start starts a command and returns at once. The log of the command is what it writes to stderr. If the process is
// still running at the end of the test, it is ended by SIGTERM, and has to exit with 0.
func Start(t testing.TB, command *exec.Cmd) *Process {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() // The process has a descriptor of its own.
	p := &Process{Cmd: command, t: t, log: file.Name(), ended: make(chan struct{})}
	p.Stderr = file
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.failure = p.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.cleanUp)
	p.killBeforeTimeout()
	return p
}

// killBeforeTimeout kills the process shortly before the tests end by their timeout: they then run no cleanup, and
// would leave the process behind.
func (p *Process) killBeforeTimeout() {
	t, ok := p.t.(interface{ Deadline() (time.Time, bool) })
	if !ok {
		return
	}
	if deadline, ok := t.Deadline(); ok {
		timer := time.AfterFunc(time.Until(deadline)-time.Second, func() { _ = p.Process.Kill() })
		p.t.Cleanup(func() { timer.Stop() })
	}
}

// cleanUp ends the process if it is still running, and shows the end of its log if the test failed.
func (p *Process) cleanUp() {
	select {
	case <-p.ended:
	default:
		p.Stop()
	}
	if p.t.Failed() {
		p.t.Logf("the end of the log of %s:\n%s", p.name(), p.tail())
	}
}

// StartReady starts the binary and returns when it is ready.
func StartReady(t testing.TB, args ...string) *Process {
	t.Helper()
	p := Start(t, Command(t, args...))
	p.AwaitReady()
	return p
}

// Listen are the flags by which the service finds free ports.
func Listen() []string {
	return []string{"--grpc-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"}
}

// AwaitReady waits until the log says that the process is ready, in either format, and sets the addresses.
func (p *Process) AwaitReady() {
	p.t.Helper()
	p.await("is ready", func(line string) bool {
		var object struct {
			Addresses

			Msg string
		}
		if json.Unmarshal([]byte(line), &object) != nil {
			fields := map[string]string{}
			for field := range strings.FieldsSeq(line) {
				name, value, _ := strings.Cut(field, "=")
				fields[name] = value
			}
			object.Msg = fields["msg"]
			object.Addresses = Addresses{fields["grpc"], fields["http"], fields["admin"], fields["seam"]}
		}
		p.Addresses = object.Addresses
		return object.Msg == "ready"
	})
}

// AwaitLog waits until a line of the log has a text.
func (p *Process) AwaitLog(text string) {
	p.t.Helper()
	p.await("logs "+text, func(line string) bool { return strings.Contains(line, text) })
}

// await waits until a condition holds for a line of the log.
func (p *Process) await(what string, holds func(line string) bool) {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		ended := p.Ended()
		for line := range strings.Lines(p.Log()) {
			if strings.HasSuffix(line, "\n") && holds(line) { // The last line may still be half written.
				return
			}
		}
		if ended {
			p.t.Fatalf("%s ended before it %s: %v\n%s", p.name(), what, p.failure, p.tail())
		}
	}
	p.t.Fatalf("half a minute has passed before %s %s", p.name(), what)
}

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Signal sends a signal to the process.
func (p *Process) Signal(signal os.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(signal); err != nil {
		p.t.Errorf("send %s to %s: %v", signal, p.name(), err)
	}
}

// Stop sends SIGTERM to the process and returns how long it then took to end, which it must do with exit code 0.
func (p *Process) Stop() time.Duration {
	p.t.Helper()
	began := time.Now()
	p.Signal(syscall.SIGTERM)
	_ = p.ExitCode()
	if p.failure != nil {
		p.t.Errorf("%s ended with %v", p.name(), p.failure)
	}
	return time.Since(began)
}

// Kill ends the process without any drain, and returns when it is gone.
func (p *Process) Kill() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
	_ = p.ExitCode()
}

// ExitCode waits until the process ends, and returns its exit code, -1 if a signal ended it.
func (p *Process) ExitCode() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		p.t.Errorf("%s did not end within a minute", p.name())
		_ = p.Process.Kill()
		<-p.ended
	}
	return p.ProcessState.ExitCode()
}

// Log returns the log.
func (p *Process) Log() string {
	p.t.Helper()
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// tail returns the last lines of the log, without those of calls that went well.
func (p *Process) tail() string {
	const most = 20
	var lines []string
	for line := range strings.Lines(p.Log()) {
		if !strings.Contains(line, `"code":"OK"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-most):], "")
}

func (p *Process) name() string {
	what := filepath.Base(p.Path)
	if len(p.Args) > 1 && p.Args[1] == "sandbox" {
		what = "the sandbox"
	}
	return fmt.Sprintf("%s (pid %d)", what, p.Process.Pid)
}
