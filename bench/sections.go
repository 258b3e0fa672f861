package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// targets are the faces of the programs with these names.
func (d *driver) targets(names ...string) []target {
	var targets []target
	for _, name := range names {
		if name == "service-before" && d.besides == "" {
			continue
		}
		if name != "reverse-proxy" {
			targets = append(targets, target{name: name, face: "grpc"})
		}
		if name != "floor" {
			targets = append(targets, target{name: name, face: "rest"})
		}
	}
	return targets
}

// calls measures every program at 1, 64 and 1,024 calls in flight over HTTP/2 to the upstream, and at 64 over HTTP/1.1.
func (d *driver) calls(ctx context.Context) ([]row, error) {
	var rows []row
	for _, level := range []struct {
		protocol         string
		inFlight, rounds int
	}{{"h2", 1, 5}, {"h2", 64, 15}, {"h2", 1024, 5}, {"h1", 64, 5}} {
		targets := d.targets("floor", "service", "service-before", "textbook", "reverse-proxy")
		measured, err := d.measure(ctx, targets, &upstream{protocol: level.protocol}, level.inFlight, level.rounds)
		if err != nil {
			return nil, err
		}
		rows = append(rows, measured...)
	}
	return rows, nil
}

// addedLatency measures the latency at a rate that is far from the limit of any program, beside that of the same calls
// straight at the upstream.
func (d *driver) addedLatency(ctx context.Context) (string, error) {
	const perSecond, seconds, rounds = 500, 5, 4
	u := &upstream{protocol: "h2", delay: 50 * time.Millisecond}
	targets := d.targets("floor", "service", "service-before", "reverse-proxy")
	if err := d.start(ctx, targets, u, 64); err != nil {
		return "", err
	}
	straight := target{name: "none", face: "rest", call: restCall(u.server.Client(), u.server.URL, false)}
	targets = append([]target{straight}, targets...)
	latencies := make([][]time.Duration, len(targets))
	err := alternate("added latency", targets, rounds, func(i int) error {
		_, warmUpErr := closedLoop(ctx, targets[i].call, 64, 200*time.Millisecond)
		l, err := openLoop(ctx, targets[i].call, perSecond, perSecond*seconds)
		latencies[i] = append(latencies[i], l.latencies...)
		return errors.Join(warmUpErr, err)
	})
	if err != nil {
		return "", err
	}
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, "### Added latency\n\nMilliseconds, at %d calls a second for %d seconds each, with an "+
		"upstream that takes %v.\n\n| program | face | p50 | p90 | p99 | p99.9 |\n|---|---|--:|--:|--:|--:|\n",
		perSecond, seconds*rounds, u.delay)
	for i, t := range targets {
		slices.Sort(latencies[i])
		_, _ = fmt.Fprintf(&text, "| %s | %s | %.1f | %.1f | %.1f | %.1f |\n", t.name, t.face,
			percentile(latencies[i], 500), percentile(latencies[i], 900),
			percentile(latencies[i], 990), percentile(latencies[i], 999))
	}
	return text.String(), nil
}

// lists measures lists of 1, 100 and 10,000 sessions.
func (d *driver) lists(ctx context.Context) (string, error) {
	var rows []row
	for _, sessions := range []int{1, 100, 10_000} {
		targets := d.targets("service")
		targets[0].list, targets[1].list = true, true
		measured, err := d.measure(ctx, targets, &upstream{protocol: "h2", sessions: sessions}, 4, 3)
		if err != nil {
			return "", err
		}
		for _, r := range measured {
			r.Program = fmt.Sprintf("list of %d", sessions)
			rows = append(rows, r)
		}
	}
	return "### Lists\n\n" + table(rows), nil
}

// memory measures the memory of a call that waits for its response: the resident memory with 5,000 such calls, less
// that of the idle program.
func (d *driver) memory(ctx context.Context) (string, error) {
	const waiting = 5000
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, "### Memory of a call in flight\n\nResident, with %d calls that wait for the upstream.\n\n"+
		"| program | face | idle, MiB | KiB a call |\n|---|---|--:|--:|\n", waiting)
	targets := d.targets("floor", "service", "service-before", "reverse-proxy")
	for i := range targets {
		u := &upstream{protocol: "h2", delay: time.Minute}
		if err := d.start(ctx, targets[i:i+1], u, waiting); err != nil { // Each face has a process of its own.
			return "", err
		}
		t := targets[i]
		idle, idleErr := t.program.metrics(ctx, "process_resident_memory_bytes")
		// The calls come in over some seconds, so that it is the memory of waiting and not that of a burst.
		waitCtx, giveUp := context.WithCancel(ctx)
		go func() { _, _ = openLoop(waitCtx, t.call, 1000, waiting) }()
		for began := time.Now(); u.waiting.Load() < waiting && time.Since(began) < 20*time.Second; {
			time.Sleep(50 * time.Millisecond)
		}
		reached := u.waiting.Load()
		busy, busyErr := t.program.metrics(ctx, "process_resident_memory_bytes")
		giveUp()
		if err := errors.Join(idleErr, busyErr); err != nil || reached < waiting {
			return "", fmt.Errorf("memory of %s %s: %d calls reached the upstream, %w", t.name, t.face, reached, err)
		}
		_, _ = fmt.Fprintf(&text, "| %s | %s | %.0f | %.1f |\n",
			t.name, t.face, idle[0]/(1<<20), (busy[0]-idle[0])/waiting/(1<<10))
	}
	return text.String(), nil
}

// startAndSize measures how long the service takes from its start until it logs that it is ready.
func (d *driver) startAndSize(ctx context.Context) (string, error) {
	var took []float64
	for range 11 {
		began := time.Now()
		if err := d.start(ctx, d.targets("service"), new(upstream), 1); err != nil {
			return "", err
		}
		took = append(took, float64(time.Since(began).Milliseconds()))
		d.stopAll()
	}
	binary, err := os.ReadFile(d.service)
	return fmt.Sprintf("### Start and size\n\nFrom start to ready: %.0f ms (median of %d). The binary: %.1f MiB.\n",
		median(took), len(took), float64(len(binary))/(1<<20)), err
}
