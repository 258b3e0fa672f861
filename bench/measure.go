package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

// row is a round of calls of a face of a program, or the summary of the rounds. Times are in microseconds.
type row struct {
	Program  string  `json:"program"`
	Face     string  `json:"face"`
	Upstream string  `json:"upstream"`
	InFlight int     `json:"in_flight"`
	CPU      float64 `json:"cpu_us"`
	Allocs   float64 `json:"allocs"`
	Bytes    float64 `json:"bytes"`
	RPS      float64 `json:"rps"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	Errors   int     `json:"errors"` // Always 0: a call that fails ends the run.
	LeastCPU float64 `json:"-"`
}

// alternate takes each target in turn in each round, in reverse order in every other one, so that other load on the
// machine affects all of them.
func alternate(what string, targets []target, rounds int, take func(i int) error) error {
	for round := range rounds {
		for i := range targets {
			if round%2 == 1 {
				i = len(targets) - 1 - i
			}
			if err := take(i); err != nil {
				return fmt.Errorf("%s, %s %s: %w", what, targets[i].name, targets[i].face, err)
			}
		}
		_, _ = fmt.Fprintf(os.Stderr, "%s %s: round %d of %d\n", time.Now().Format(time.TimeOnly), what, round+1, rounds)
	}
	return nil
}

// measure starts the targets on the upstream, and returns a row for each.
func (d *driver) measure(ctx context.Context, targets []target, u *upstream, inFlight, rounds int) ([]row, error) {
	if err := d.start(ctx, targets, u, inFlight); err != nil {
		return nil, err
	}
	duration := time.Second
	if d.quick {
		rounds, duration = max(2, rounds/5), time.Second/2
	}
	taken, rows := make([][]row, len(targets)), make([]row, len(targets))
	err := alternate(fmt.Sprintf("%d in flight, %s", inFlight, u.protocol), targets, rounds, func(i int) error {
		r, err := targets[i].round(ctx, inFlight, duration)
		r.Upstream = u.protocol
		taken[i] = append(taken[i], r)
		rows[i] = summarize(taken[i])
		return err
	})
	return rows, err
}

// round warms up, and reads the program's clock and heap before and after the calls, when none is in flight. It reads
// the heap twice before, to know what reading costs.
func (t target) round(ctx context.Context, inFlight int, duration time.Duration) (row, error) {
	heap := []string{"go_memstats_mallocs_total", "go_memstats_alloc_bytes_total"}
	_, err1 := closedLoop(ctx, t.call, inFlight, 200*time.Millisecond)
	first, err2 := t.program.metrics(ctx, heap...)
	second, err3 := t.program.metrics(ctx, heap...)
	began, err4 := t.program.cpuTime()
	l, err5 := closedLoop(ctx, t.call, inFlight, duration)
	ended, err6 := t.program.cpuTime()
	third, err7 := t.program.metrics(ctx, heap...)
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
		return row{}, err
	}
	calls := float64(len(l.latencies))
	return row{
		Program: t.name, Face: t.face, InFlight: inFlight,
		CPU:    (ended - began) / calls,
		Allocs: (third[0] - second[0] - (second[0] - first[0])) / calls,
		Bytes:  (third[1] - second[1] - (second[1] - first[1])) / calls,
		RPS:    calls / l.took.Seconds(),
		P50:    percentile(l.latencies, 500) * 1e3,
		P99:    percentile(l.latencies, 990) * 1e3,
	}, nil
}

// summarize returns the medians of the rounds to a tenth, and the least CPU time.
func summarize(rounds []row) row {
	sum := rounds[0]
	sum.LeastCPU = slices.MinFunc(rounds, func(a, b row) int { return cmp.Compare(a.CPU, b.CPU) }).CPU
	for _, figure := range []func(r *row) *float64{
		func(r *row) *float64 { return &r.CPU }, func(r *row) *float64 { return &r.Allocs },
		func(r *row) *float64 { return &r.Bytes }, func(r *row) *float64 { return &r.RPS },
		func(r *row) *float64 { return &r.P50 }, func(r *row) *float64 { return &r.P99 },
	} {
		var values []float64
		for _, r := range rounds {
			values = append(values, *figure(&r))
		}
		*figure(&sum) = math.Round(median(values)*10) / 10
	}
	return sum
}

func median(values []float64) float64 {
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}
