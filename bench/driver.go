package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// driver starts the programs and the load generators.
type driver struct {
	// self is this binary, service that of the service.
	self, service string
	// folder has the logs, and whatever files the programs need.
	folder   string
	stderr   io.Writer
	programs []*process
	// failure is the error of the first program that did not start. None is started after it, so that a plan can start
	// all that it needs and check the error once.
	failure error
}

func (d *driver) progressf(format string, values ...any) {
	_, _ = fmt.Fprintf(d.stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", values...)
}

// drive makes a whole run. It fails if a call fails.
func drive(ctx context.Context, o options, stdout, stderr io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	d := &driver{self: self, service: o.service, folder: folder, stderr: stderr}
	defer d.stopAll()

	rows, err := d.calls(ctx, o.quick)
	if err != nil {
		return err
	}
	tables := stdout
	if o.json {
		tables = stderr
		for _, r := range rows {
			if err := json.NewEncoder(stdout).Encode(r); err != nil {
				return err
			}
		}
	}
	text, all := table(rows), rows
	_, _ = io.WriteString(tables, text)
	if !o.quick {
		besides, more, err := d.besides(ctx)
		if err != nil {
			return err
		}
		_, _ = io.WriteString(tables, besides)
		text, all = text+besides, append(all, more...)
	}
	if err := failedCalls(all); err != nil {
		return err
	}
	return publish(o, text, rows)
}

func failedCalls(rows []row) error {
	var failures []error
	for _, r := range rows {
		if r.Errors > 0 {
			failures = append(failures, fmt.Errorf("%s %s, %d in flight: %d calls failed, the first with: %s",
				r.Program, r.Face, r.InFlight, r.Errors, r.FirstError))
		}
	}
	return errors.Join(failures...)
}

// calls measures every program at 1, 64 and 1,024 calls in flight.
func (d *driver) calls(ctx context.Context, quick bool) ([]row, error) {
	defer d.stopAll()
	upstream := d.startRole(ctx, "upstream").HTTP
	targets := []target{{program: "floor", face: "grpc", process: d.startRole(ctx, "floor", upstream)}}
	targets = append(targets, bothFaces("service", d.startService(ctx, "http://"+upstream))...)
	targets = append(targets, bothFaces("service-credential", d.startServiceWithCredential(ctx, upstream))...)
	targets = append(targets, bothFaces("textbook", d.startRole(ctx, "textbook", upstream))...)
	targets = append(targets,
		target{program: "reverse-proxy", face: "rest", process: d.startRole(ctx, "reverse-proxy", upstream)})
	if path, err := exec.LookPath("nginx"); err == nil {
		targets = append(targets, target{program: "nginx", face: "rest", process: d.startNginx(ctx, path, upstream)})
	} else {
		d.progressf("nginx is left out: %v", err)
	}
	if d.failure != nil {
		return nil, d.failure
	}
	levels := []level{{1, 5, time.Second}, {64, 15, time.Second}, {1024, 5, time.Second}}
	if quick {
		short := 500 * time.Millisecond
		levels = []level{{1, 2, short}, {64, 3, short}, {1024, 2, short}}
	}
	var rows []row
	for _, l := range levels {
		measured, err := d.measure(ctx, targets, l)
		if err != nil {
			return nil, err
		}
		rows = append(rows, measured...)
	}
	return rows, nil
}

func bothFaces(program string, p *process, loadFlags ...string) []target {
	return []target{
		{program: program, face: "grpc", process: p, loadFlags: loadFlags},
		{program: program, face: "rest", process: p, loadFlags: loadFlags},
	}
}

// start starts a program that stopAll will stop.
func (d *driver) start(ctx context.Context, env []string, path string, args ...string) *process {
	if d.failure != nil {
		return new(process)
	}
	p, err := startProcess(ctx, d.folder, env, path, args...)
	if err != nil {
		d.failure = err
		return new(process)
	}
	d.programs = append(d.programs, p)
	return p
}

func (d *driver) stopAll() {
	for _, p := range d.programs {
		p.stop()
	}
	d.programs = nil
}

func (d *driver) startRole(ctx context.Context, role string, args ...string) *process {
	return d.start(ctx, nil, d.self, append([]string{role}, args...)...)
}

// startService starts the service as it ships: every step, its log in a file, its metrics. Of its limits only that of
// the calls in flight is raised, for the 5,000 of memory.
func (d *driver) startService(ctx context.Context, seam string, flags ...string) *process {
	return d.start(ctx, nil, d.service, serviceFlags(seam, flags)...)
}

func serviceFlags(seam string, more []string) []string {
	return append([]string{
		"serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--drain-delay", "0s", "--max-in-flight", "8192", "--seam-endpoint", seam,
	}, more...)
}

// startServiceWithCredential starts the service with a service credential and a callers file in which the load
// generator is one of a hundred.
func (d *driver) startServiceWithCredential(ctx context.Context, upstream string) *process {
	var text strings.Builder
	text.WriteString("callers:\n")
	for i := range 100 {
		token := apiKey + strings.Repeat("x", i)
		_, _ = fmt.Fprintf(&text, "  - {name: caller-%d, token_sha256: [%x], rpcs: [GrantAccess, Get]}\n",
			i, sha256.Sum256([]byte(token)))
	}
	file := filepath.Join(d.folder, "callers.yaml")
	d.failure = errors.Join(d.failure, os.WriteFile(file, []byte(text.String()), 0o600))
	return d.start(ctx, []string{"SEAM_API_KEY=seam_bench2_0123456789abcdef0123456789"}, d.service,
		serviceFlags("http://"+upstream, []string{"--callers-file", file})...)
}

func (d *driver) startNginx(ctx context.Context, path, upstream string) *process {
	listener, err := listen(ctx) // For a free port.
	if err != nil {
		d.failure = errors.Join(d.failure, err)
		return new(process)
	}
	address := listener.Addr().String()
	config, err := writeNginxConfig(d.folder, address, upstream)
	d.failure = errors.Join(d.failure, listener.Close(), err)
	p := d.start(ctx, nil, path, "-c", config, "-e", "stderr")
	p.HTTP = address
	return p
}
