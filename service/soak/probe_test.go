//go:build soak || fleet

package soak_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// load is what the service looks like at one moment.
type load struct {
	started, handled                  int
	inFlight, goroutines, descriptors int
	rss                               size
}

func readLoad(t *testing.T, service *process) load {
	t.Helper()
	now := service.Metrics()
	number := func(name string) int { return int(now.Sum(t, name)) }
	// How many calls of both faces the service has taken, and has responded to.
	started, handled := number("grpc_server_started_total"), number("grpc_server_handled_total")
	return load{
		started, handled, started - handled, number("go_goroutines"), number("process_open_fds"),
		size(number("process_resident_memory_bytes")),
	}
}

// peakMemory is the most memory that the service ever had, as the kernel tells it.
func peakMemory(t *testing.T, service *process) size {
	t.Helper()
	return size(readNumbers(t, proc(service, "status"), "VmHWM:")[0]) << 10
}

// heap is what the heap holds after garbage collections. What a pool or a finalizer holds needs two of them.
func heap(service *process) size {
	for range 3 {
		service.Get("/debug/pprof/heap?gc=1")
	}
	return size(service.Metric("go_memstats_heap_alloc_bytes"))
}

func proc(p *process, file string) string {
	return filepath.Join("/proc", strconv.Itoa(p.Process.Pid), file)
}

// size is a number of bytes.
type size int

func (s size) String() string {
	if s < 1<<20 && s > -1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(s)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(s)/(1<<20))
}

// processors counts the time that the processors of the machine have worked, in ticks, to show that it was not the
// machine that was overloaded.
type processors struct {
	// busy is for any program, ours for this one and those that it started.
	total, busy, ours float64
	started           []*process
}

func readProcessors(t *testing.T, started ...*process) processors {
	t.Helper()
	now := processors{started: started}
	for i, ticks := range readNumbers(t, "/proc/stat", "cpu ")[:8] { // From user to steal; what follows is part of these.
		now.total += ticks
		if i != 3 && i != 4 { // Idle, and idle while a disk works.
			now.busy += ticks
		}
	}
	files := []string{"/proc/self/stat"}
	for _, p := range started {
		files = append(files, proc(p, "stat"))
	}
	for _, file := range files {
		ticks := readNumbers(t, file, ") ") // The name of the program stands in brackets.
		now.ours += ticks[11] + ticks[12]   // In user mode and in the kernel.
	}
	return now
}

// readNumbers reads the numbers that follow a text in a line, 0 for what is none.
func readNumbers(t *testing.T, file, after string) []float64 {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), after)
	line, _, _ := strings.Cut(rest, "\n")
	var numbers []float64
	for field := range strings.FieldsSeq(line) {
		number, _ := strconv.ParseFloat(field, 64)
		numbers = append(numbers, number)
	}
	return numbers
}

// use says how much of the processors was in use since then.
func (then processors) use(t *testing.T) string {
	t.Helper()
	now := readProcessors(t, then.started...)
	total := max(1, now.total-then.total) / 100
	return fmt.Sprintf("processors %.0f %% busy, %.0f %% with this test",
		(now.busy-then.busy)/total, (now.ours-then.ours)/total)
}

// milliseconds prints a duration in the unit in which all are compared.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) + " ms"
}
