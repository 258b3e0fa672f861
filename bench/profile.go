package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// profiles returns the CPU time by component: a CPU profile under load of each face, by the package
// of the function that ran.
func (d *driver) profiles(ctx context.Context, text *strings.Builder) ([]row, error) {
	service := d.startService(ctx, "http://"+d.startRole(ctx, "upstream").HTTP, "--pprof")
	if d.failure != nil {
		return nil, d.failure
	}
	var shares [2]map[string]float64
	for i, t := range bothFaces("service", service) {
		var err error
		if shares[i], err = d.profile(ctx, t); err != nil {
			return nil, fmt.Errorf("profile of %s: %w", t.face, err)
		}
		d.progressf("profile of %s", t.face)
	}
	text.WriteString("\n### Where the time goes\n\nPercent of the CPU time, by the function that ran.\n\n" +
		"| component | grpc | rest |\n|---|--:|--:|\n")
	for _, c := range components() {
		_, _ = fmt.Fprintf(text, "| %s | %.1f | %.1f |\n", c.name, shares[0][c.name], shares[1][c.name])
	}
	return nil, nil
}

func (d *driver) profile(ctx context.Context, t target) (map[string]float64, error) {
	load, err := d.startLoad(ctx, t, level{inFlight: 64, duration: 10 * time.Second}, "200ms")
	if err != nil {
		return nil, err
	}
	defer load.stop()
	if err := load.release(); err != nil {
		return nil, err
	}
	profile, err := t.process.get(ctx, "/debug/pprof/profile?seconds=8")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(d.folder, t.face+".pprof")
	if err := os.WriteFile(file, profile, 0o600); err != nil {
		return nil, err
	}
	top, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-unit=ms", //nolint:gosec // Its own paths.
		"-nodecount=1000000", "-nodefraction=0", d.service, file).Output()
	if err != nil {
		return nil, fmt.Errorf("go tool pprof: %w", err)
	}
	return byComponent(bytes.NewReader(top))
}

// byComponent sums up what `go tool pprof -top` prints, in percent.
func byComponent(top io.Reader) (map[string]float64, error) {
	shares, total := map[string]float64{}, 0.0
	lines := bufio.NewScanner(top)
	for lines.Scan() {
		// flat, its percent, the sum of the percents so far, cumulated, its percent, and the function.
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || !strings.HasSuffix(fields[1], "%") {
			continue
		}
		flat, err := strconv.ParseFloat(strings.TrimSuffix(fields[0], "ms"), 64)
		if err != nil {
			return nil, fmt.Errorf("go tool pprof: %q: %w", lines.Text(), err)
		}
		shares[componentOf(fields[5])] += flat
		total += flat
	}
	for name := range shares {
		shares[name] *= 100 / total
	}
	return shares, lines.Err()
}

// component is a part of the program, by how the names of its functions start.
type component struct {
	name     string
	prefixes []string
}

// components are in the order of precedence: a function belongs to the first that matches, and the last matches all.
func components() []component {
	return []component{
		{"kernel", []string{
			"internal/runtime/syscall", "syscall.", "runtime.futex", "runtime.epoll", "runtime.usleep", "runtime.madvise",
			"runtime.write1", "runtime.read.", "runtime.nanotime", "runtime.vdso", "time.now", "runtime.tgkill",
		}},
		{"allocation and garbage collection", []string{
			"runtime.malloc", "runtime.newobject", "runtime.growslice", "runtime.makeslice", "runtime.memclr", "runtime.gc",
			"runtime.scan", "runtime.grey", "runtime.markBits", "runtime.findObject", "runtime.spanOf", "runtime.heap",
			"runtime.nextFree", "runtime.(*m", "runtime.(*gc", "runtime.(*sweep", "runtime.(*page", "runtime.(*span",
			"runtime.(*limiter", "runtime.wbBuf", "runtime.bulkBarrier", "runtime.typePointers", "runtime.tryDefer",
			"runtime.sweep", "runtime.bg", "runtime.drain", "runtime.publicationBarrier", "runtime.deductAssist",
			"runtime.typedmemmove", "runtime.typedslicecopy", "runtime.(*unwinder", "runtime.pcvalue", "runtime.step",
			"runtime.shade", "runtime.profilealloc", "runtime.roundupsize", "runtime.concatstring", "runtime.rawbyteslice",
			"runtime.rawstring", "runtime.spanClass", "runtime.makeSpanClass", "runtime.slicebytetostring",
			"runtime.stringtoslicebyte", "internal/runtime/gc",
		}},
		{"scheduler and the rest of the runtime", []string{
			"runtime.", "runtime/", "internal/", "sync.", "sync/", "aeshash", "memeqbody", "cmpbody", "indexbytebody",
			"gogo", "runtime/internal", "gcWriteBarrier", "time.(*Timer", "time.newTimer", "time.stopTimer",
		}},
		{"the service's own code", []string{"github.com/clientsession/client-session-service/service", "main."}},
		{"grpc-go", []string{"google.golang.org/grpc", "golang.org/x/net"}},
		{"net/http and net", []string{"net/", "net.", "bufio.", "vendor/golang.org", "crypto/", "mime"}},
		{"grpc-gateway", []string{
			"github.com/grpc-ecosystem/grpc-gateway", "github.com/clientsession/client-session-service/gen/gateway",
		}},
		{"protobuf, JSON and validation", []string{
			"google.golang.org/protobuf", "github.com/clientsession/client-session-service/gen", "buf.build", "cel.dev",
			"github.com/go-json-experiment", "encoding/", "reflect.",
		}},
		{"log and metrics", []string{"log/", "github.com/prometheus", "github.com/grpc-ecosystem/go-grpc-middleware"}},
		{"regexp, strings, time and context", []string{
			"regexp", "strings.", "bytes.", "fmt.", "strconv.", "unicode", "time.", "context.",
		}},
		{"the rest", []string{""}},
	}
}

func componentOf(function string) string {
	for _, c := range components() {
		for _, prefix := range c.prefixes {
			if strings.HasPrefix(function, prefix) {
				return c.name
			}
		}
	}
	return ""
}
