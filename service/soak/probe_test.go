//go:build soak || fleet

package soak_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// admin asks the admin listener of the service.
func (p *process) admin(t *testing.T, path string) string {
	t.Helper()
	response, err := http.Get("http://" + p.ready.Admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s gets %d, %v", path, response.StatusCode, err)
	}
	return string(text)
}

// metrics is what /metrics says.
type metrics string

func (p *process) metrics(t *testing.T) metrics {
	t.Helper()
	return metrics(p.admin(t, "/metrics"))
}

// sum adds up all series of a name. It reads the text by itself: the format is simple, and the suite needs no library
// that the service does not.
func (m metrics) sum(t *testing.T, name string) float64 {
	t.Helper()
	var total float64
	for line := range strings.Lines(string(m)) {
		rest, found := strings.CutPrefix(strings.TrimSpace(line), name)
		if !found || !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ") {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			t.Fatalf("metrics line %q: %v", line, err)
		}
		total += value
	}
	return total
}

// started and handled are how many calls of both faces the service has taken, and has responded to.
func (m metrics) started(t *testing.T) int { return int(m.sum(t, "grpc_server_started_total")) }
func (m metrics) handled(t *testing.T) int { return int(m.sum(t, "grpc_server_handled_total")) }

// goroutines is how many the service has.
func (m metrics) goroutines(t *testing.T) int { return int(m.sum(t, "go_goroutines")) }

// memory returns a size of the process as the kernel tells it: VmRSS is what it has now, VmHWM the most it ever had.
func (p *process) memory(t *testing.T, field string) size {
	t.Helper()
	text, err := os.ReadFile(p.proc("status"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), field+":")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kibibytes, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("%s: %v", field, err)
	}
	return size(kibibytes) << 10
}

// descriptors is how many files and connections the process has open.
func (p *process) descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir(p.proc("fd"))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// heap is what the heap holds after garbage collections. What a pool or a finalizer holds needs two of them.
func (p *process) heap(t *testing.T) size {
	t.Helper()
	for range 3 {
		p.admin(t, "/debug/pprof/heap?gc=1")
	}
	return size(p.metrics(t).sum(t, "go_memstats_heap_alloc_bytes"))
}

func (p *process) proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(p.command.Process.Pid), file)
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
	for i, ticks := range readTicks(t, "/proc/stat", "cpu ")[:8] { // From user to steal; what follows is part of these.
		now.total += ticks
		if i != 3 && i != 4 { // Idle, and idle while a disk works.
			now.busy += ticks
		}
	}
	files := []string{"/proc/self/stat"}
	for _, p := range started {
		files = append(files, p.proc("stat"))
	}
	for _, file := range files {
		ticks := readTicks(t, file, ") ") // The name of the program stands in brackets.
		now.ours += ticks[11] + ticks[12] // In user mode and in the kernel.
	}
	return now
}

// readTicks reads the numbers of the first line that follow a text, 0 for what is none.
func readTicks(t *testing.T, file, after string) []float64 {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	_, rest, _ := strings.Cut(line, after)
	var numbers []float64
	for field := range strings.FieldsSeq(rest) {
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
