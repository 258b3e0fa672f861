package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// program is a process under test, with the addresses that it logs when it is ready.
type program struct {
	Message string `json:"msg"`
	GRPC    string `json:"grpc"`
	HTTP    string `json:"http"`
	Admin   string `json:"admin"`

	command *exec.Cmd
}

// target is a face of a program, and how it is called.
type target struct {
	name, face string
	list       bool
	program    *program
	call       call
}

// start starts the upstream, and on it the programs of the targets, in place of those that ran before.
func (d *driver) start(ctx context.Context, targets []target, u *upstream, inFlight int) error {
	d.stopAll()
	authorityFile := filepath.Join(d.folder, "authority.pem")
	if err := u.start(authorityFile); err != nil {
		return err
	}
	// The service as it ships: every step, its log, its metrics. Of its limits only that of the calls in flight is
	// raised, for those of memory.
	serve := []string{
		"serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--drain-delay", "0s", "--max-in-flight", "8192", "--seam-endpoint", u.server.URL, "--seam-ca-file", authorityFile,
	}
	for i := range targets {
		t := &targets[i]
		path, args := "/proc/self/exe", []string{t.name, u.server.Listener.Addr().String()}
		if binary := map[string]string{"service": d.service, "service-before": d.besides}[t.name]; binary != "" {
			path, args = binary, serve
		}
		var err error
		if i > 0 && targets[i-1].name == t.name {
			t.program = targets[i-1].program
		} else if t.program, err = d.startProgram(ctx, authorityFile, path, args...); err != nil {
			return err
		}
		// With a connection for each call in flight.
		transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: inFlight}
		t.call = restCall(&http.Client{Transport: transport}, "http://"+t.program.HTTP, t.list)
		if t.face == "grpc" {
			if t.call, err = grpcCall(t.program.GRPC, inFlight, t.list); err != nil {
				return err
			}
		}
	}
	return nil
}

// startProgram starts a program with its log in a file, and returns when that has the line "ready". The program has
// none of the shell's variables, such as GOGC.
func (d *driver) startProgram(ctx context.Context, authorityFile, path string, args ...string) (*program, error) {
	log, err := os.CreateTemp(d.folder, "*.log")
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p := &program{command: exec.CommandContext(ctx, path, args...)} //nolint:gosec // Trusted.
	p.command.Stderr, p.command.Env = log, []string{"SSL_CERT_FILE=" + authorityFile}
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	d.programs = append(d.programs, p)
	var text []byte
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		text, _ = os.ReadFile(log.Name())
		for line := range bytes.Lines(text) {
			if json.Unmarshal(line, p) == nil && p.Message == "ready" { // The last line may be half written.
				return p, nil
			}
		}
	}
	return nil, fmt.Errorf("%s %v is not ready: %s", path, args, text)
}

func (d *driver) stopAll() {
	for _, p := range d.programs {
		_ = p.command.Process.Signal(syscall.SIGTERM)
		_ = p.command.Wait()
	}
	d.programs = nil
}

// cpuTime returns the CPU time of the program in microseconds, user and system, from the kernel's clock of the process,
// clock_getcpuclockid(3): /proc/PID/stat has steps of 10 ms.
func (p *program) cpuTime() (float64, error) {
	const cpuClockSched = 2
	var at unix.Timespec
	err := unix.ClockGettime(int32(^p.command.Process.Pid<<3|cpuClockSched), &at) //nolint:gosec // A pid has 22 bits.
	return float64(at.Nano()) / 1e3, err
}

// metrics returns the values of these metrics of the program.
func (p *program) metrics(ctx context.Context, names ...string) ([]float64, error) {
	request := &http.Request{URL: &url.URL{Scheme: "http", Host: p.Admin, Path: "/metrics"}}
	text, err := send(http.DefaultClient.Do, request.WithContext(ctx))
	values := make([]float64, len(names))
	for i := 0; err == nil && i < len(names); i++ {
		values[i], err = namedValue(string(text), names[i])
	}
	return values, err
}

// namedValue returns the value of a metric without labels, as Prometheus writes it.
func namedValue(text, name string) (float64, error) {
	_, after, found := strings.Cut("\n"+text, "\n"+name+" ")
	if !found {
		return 0, fmt.Errorf("no metric %s", name)
	}
	value, _, _ := strings.Cut(after, "\n")
	return strconv.ParseFloat(value, 64)
}
