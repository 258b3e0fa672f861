package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a program that was started.
type process struct {
	ready

	command *exec.Cmd
	stdin   io.Writer
	stdout  io.Reader
	// tookToStart is the time from before it was started to after it was ready.
	tookToStart time.Duration
	ended       chan struct{}
}

// startProcess starts a program with its log in a file, and returns when it is ready.
func startProcess(ctx context.Context, folder string, env []string, path string, args ...string) (*process, error) {
	log, err := os.CreateTemp(folder, filepath.Base(path)+"-*.log")
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p := &process{command: exec.CommandContext(ctx, path, args...), ended: make(chan struct{})} //nolint:gosec // Trusted.
	p.command.Cancel = func() error { return p.command.Process.Signal(syscall.SIGTERM) }
	p.command.Stderr, p.command.Env = log, append([]string{}, env...) // Without the shell's variables, such as GOGC.
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	in, inErr := p.command.StdinPipe()
	out, outErr := p.command.StdoutPipe()
	p.stdin, p.stdout = in, out
	began := time.Now()
	if err := errors.Join(inErr, outErr, p.command.Start()); err != nil {
		return nil, err
	}
	go func() {
		_ = p.command.Wait() // Also closes the pipes: a program stays until what it wrote has been read.
		close(p.ended)
	}()
	if err := p.awaitReady(log.Name()); err != nil {
		p.stop()
		return nil, fmt.Errorf("start %s %v: %w", filepath.Base(path), args, err)
	}
	p.tookToStart = time.Since(began)
	return p, nil
}

func (p *process) awaitReady(log string) error {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(log) //nolint:gosec // The file that the log goes to.
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			// The last line may still be half written.
			if json.Unmarshal(line, &p.ready) == nil && p.Message == "ready" ||
				bytes.Contains(line, []byte("start worker process ")) { // Nginx is ready.
				return nil
			}
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended: %s", text)
		default:
		}
	}
	return errors.New("it was not ready in time")
}

func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

// metrics returns the values of these metrics; none of a program that has no metrics.
func (p *process) metrics(ctx context.Context, names ...string) ([]float64, error) {
	values := make([]float64, len(names))
	if p.Admin == "" {
		return values, nil
	}
	text, err := p.get(ctx, "/metrics")
	for i := 0; err == nil && i < len(names); i++ {
		values[i], err = namedValue(string(text), names[i])
	}
	return values, err
}

// get returns what the admin listener of the program has at the path.
func (p *process) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Admin+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d, %s", path, response.StatusCode, strings.TrimSpace(string(text)))
	}
	return text, err
}
