package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// besides is what a full run measures beside the calls: the tables as Markdown, and the rows in them.
func (d *driver) besides(ctx context.Context) (string, []row, error) {
	var text strings.Builder
	var rows []row
	for _, part := range []func(context.Context, *strings.Builder) ([]row, error){
		d.securedCalls, d.lists, d.memory, d.startAndSize, d.profiles,
	} {
		measured, err := part(ctx, &text)
		d.stopAll()
		if err != nil {
			return "", nil, err
		}
		rows = append(rows, measured...)
	}
	return text.String(), rows, nil
}

// securedCalls measures the service with TLS on both sides, over each version of HTTP to the upstream, and without.
func (d *driver) securedCalls(ctx context.Context, text *strings.Builder) ([]row, error) {
	certificate, key, err := writeCertificate(d.folder)
	if err != nil {
		return nil, err
	}
	targets := bothFaces("service, no TLS", d.startService(ctx, "http://"+d.startRole(ctx, "upstream").HTTP))
	for _, version := range []struct{ name, flag string }{
		{"service, TLS, HTTP/1.1 to Seam", "-http2=false"}, {"service, TLS, HTTP/2 to Seam", "-http2"},
	} {
		upstream := d.startRole(ctx, "upstream", "-cert", certificate, "-key", key, version.flag)
		service := d.startService(ctx, "https://"+upstream.HTTP,
			"--seam-ca-file", certificate, "--tls-cert-file", certificate, "--tls-key-file", key)
		targets = append(targets, bothFaces(version.name, service, "-ca", certificate)...)
	}
	if d.failure != nil {
		return nil, d.failure
	}
	rows, err := d.measure(ctx, targets, level{64, 5, time.Second})
	text.WriteString("\n### TLS on both sides\n\n" + table(rows))
	return rows, err
}

// lists measures lists of 1, 100 and 10,000 sessions.
func (d *driver) lists(ctx context.Context, text *strings.Builder) ([]row, error) {
	var rows []row
	for _, sessions := range []int{1, 100, 10_000} {
		upstream := d.startRole(ctx, "upstream", "-sessions", strconv.Itoa(sessions))
		targets := bothFaces(fmt.Sprintf("list of %d", sessions), d.startService(ctx, "http://"+upstream.HTTP), "-list")
		if d.failure != nil {
			return nil, d.failure
		}
		measured, err := d.measure(ctx, targets, level{4, 3, time.Second})
		if err != nil {
			return nil, err
		}
		rows = append(rows, measured...)
		d.stopAll()
	}
	text.WriteString("\n### Lists\n\n" + table(rows))
	return rows, nil
}

// memory measures the memory of a call that waits for its response: the resident memory with 5,000 such calls, less
// that of the idle program.
func (d *driver) memory(ctx context.Context, text *strings.Builder) ([]row, error) {
	const waiting = 5000
	text.WriteString("\n### Memory of a call in flight\n\nResident, with 5,000 calls that wait for the upstream.\n\n" +
		"| program | face | idle, MiB | KiB a call |\n|---|---|--:|--:|\n")
	for _, t := range []target{
		{program: "floor", face: "grpc"},
		{program: "service", face: "grpc"},
		{program: "service", face: "rest"},
		{program: "reverse-proxy", face: "rest"},
	} {
		upstream := d.startRole(ctx, "upstream", "-delay", "1m")
		if t.program == "service" {
			t.process = d.startService(ctx, "http://"+upstream.HTTP)
		} else {
			t.process = d.startRole(ctx, t.program, upstream.HTTP)
		}
		if d.failure != nil {
			return nil, d.failure
		}
		pid := t.process.command.Process.Pid
		idle, idleErr := residentKiB(pid)
		load, err := d.startLoad(ctx, t, level{inFlight: waiting}, "0s")
		if err != nil {
			return nil, err
		}
		err = errors.Join(load.release(), awaitWaiting(ctx, upstream, waiting))
		busy, busyErr := residentKiB(pid)
		load.stop()
		d.stopAll()
		if err := errors.Join(err, idleErr, busyErr); err != nil {
			return nil, fmt.Errorf("memory of %s: %w", t.program, err)
		}
		_, _ = fmt.Fprintf(text, "| %s | %s | %.0f | %.1f |\n", t.program, t.face, idle/1024, (busy-idle)/waiting)
		d.progressf("memory of %s, %s", t.program, t.face)
	}
	return nil, nil
}

func awaitWaiting(ctx context.Context, upstream *process, calls float64) error {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		values, err := upstream.metrics(ctx, waitingMetric)
		if err != nil || values[0] >= calls {
			return err
		}
	}
	return errors.New("the calls did not reach the upstream")
}

// startAndSize measures how long the service takes from its start until it logs that it is ready.
func (d *driver) startAndSize(ctx context.Context, text *strings.Builder) ([]row, error) {
	var took []float64
	for range 11 {
		took = append(took, float64(d.startService(ctx, "http://127.0.0.1:1").tookToStart.Milliseconds()))
		d.stopAll()
	}
	binary, err := os.Stat(d.service)
	if err := errors.Join(err, d.failure); err != nil {
		return nil, err
	}
	text.WriteString("\n### Start and size\n\n")
	_, _ = fmt.Fprintf(text, "From start to ready: %.0f ms (median of %d). The binary: %.1f MiB.\n",
		median(took), len(took), float64(binary.Size())/(1<<20))
	return nil, nil
}
