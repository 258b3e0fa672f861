package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// target is a face of a program, and how to call it.
type target struct {
	program, face string
	process       *process
	loadFlags     []string
}

// level is how many calls are in flight, in how many rounds, each how long.
type level struct {
	inFlight, rounds int
	duration         time.Duration
}

// sample is one round of one target.
type sample struct {
	loadResult

	cpuUS, allocs, bytes float64
}

// row is the summary of the rounds of a target at a level: medians, the least CPU time, and the sum of the errors.
type row struct {
	Program  string   `json:"program"`
	Face     string   `json:"face"`
	InFlight int      `json:"in_flight"`
	CPU      float64  `json:"cpu_us"`
	Allocs   *float64 `json:"allocs"` // Null without a Go runtime.
	Bytes    *float64 `json:"bytes"`
	RPS      float64  `json:"rps"`
	P50      float64  `json:"p50_us"`
	P99      float64  `json:"p99_us"`
	Errors   int      `json:"errors"`

	LeastCPU   float64 `json:"-"`
	FirstError string  `json:"-"`
}

// measure alternates between the targets in each round, and reverses the order in every other one, so that other load
// on the machine affects all of them.
func (d *driver) measure(ctx context.Context, targets []target, l level) ([]row, error) {
	samples := make(map[int][]sample)
	order := make([]int, len(targets))
	for i := range order {
		order[i] = i
	}
	for round := range l.rounds {
		for _, i := range order {
			taken, err := d.sample(ctx, targets[i], l)
			if err != nil {
				return nil, fmt.Errorf("%s %s, %d in flight: %w", targets[i].program, targets[i].face, l.inFlight, err)
			}
			samples[i] = append(samples[i], taken)
		}
		slices.Reverse(order)
		d.progressf("%s and others, %d in flight: round %d of %d", targets[0].program, l.inFlight, round+1, l.rounds)
	}
	rows := make([]row, len(targets))
	for i, t := range targets {
		rows[i] = summarize(t, l.inFlight, samples[i])
	}
	return rows, nil
}

func summarize(t target, inFlight int, samples []sample) row {
	r := row{Program: t.program, Face: t.face, InFlight: inFlight, LeastCPU: math.Inf(1)}
	var cpu, allocs, bytes, rps, p50, p99 []float64
	for _, s := range samples {
		cpu, allocs, bytes = append(cpu, s.cpuUS), append(allocs, s.allocs), append(bytes, s.bytes)
		rps, p50, p99 = append(rps, s.RPS), append(p50, s.P50), append(p99, s.P99)
		r.Errors += s.Errors
		if r.FirstError == "" {
			r.FirstError = s.FirstError
		}
	}
	tenths := func(value float64) float64 { return math.Round(value*10) / 10 }
	r.CPU, r.LeastCPU = tenths(median(cpu)), tenths(slices.Min(cpu))
	r.RPS, r.P50, r.P99 = math.Round(median(rps)), math.Round(median(p50)), math.Round(median(p99))
	if t.process.Admin != "" {
		r.Allocs, r.Bytes = new(tenths(median(allocs))), new(math.Round(median(bytes)))
	}
	return r
}

// sample is one round: a load generator warms up, and the program's clocks are read before and after its calls. The
// heap is read twice before, to know what it costs to read it.
func (d *driver) sample(ctx context.Context, t target, l level) (sample, error) {
	load, err := d.startLoad(ctx, t, l, "200ms")
	if err != nil {
		return sample{}, err
	}
	defer load.stop()
	var s sample
	heap := func() []float64 {
		values, heapErr := t.process.metrics(ctx, "go_memstats_mallocs_total", "go_memstats_alloc_bytes_total")
		err = errors.Join(err, heapErr)
		return values
	}
	clock := func() time.Duration {
		at, clockErr := cpuTime(t.process.command.Process.Pid)
		err = errors.Join(err, clockErr)
		return at
	}
	first, second, began := heap(), heap(), clock()
	err = errors.Join(err, load.release(), json.NewDecoder(load.stdout).Decode(&s.loadResult))
	ended, third := clock(), heap()
	if err != nil {
		return sample{}, err
	}
	calls := float64(s.Calls)
	s.cpuUS = microseconds(ended-began) / calls
	s.allocs = (third[0] - second[0] - (second[0] - first[0])) / calls
	s.bytes = (third[1] - second[1] - (second[1] - first[1])) / calls
	return s, nil
}

// startLoad starts a load generator, which waits after its warm-up until it is released.
func (d *driver) startLoad(ctx context.Context, t target, l level, warmUp string) (*process, error) {
	address := t.process.HTTP
	if t.face == "grpc" {
		address = t.process.GRPC
	}
	return startProcess(ctx, d.folder, nil, d.self, append([]string{
		"load", "-face", t.face, "-address", address, "-in-flight", strconv.Itoa(l.inFlight),
		"-warm-up", warmUp, "-duration", l.duration.String(),
	}, t.loadFlags...)...)
}

// release lets a load generator make the calls that count.
func (p *process) release() error {
	_, err := p.stdin.Write([]byte("\n"))
	return err
}
