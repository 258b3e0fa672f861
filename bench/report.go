package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// lastRun is the heading of the page under which the tables of the last run stand.
const lastRun = "## The last full run"

// table returns the rows as Markdown.
func table(rows []row) string {
	var text strings.Builder
	text.WriteString(
		"| program | face | in flight | CPU µs | least | allocs | bytes | calls/s | p50 µs | p99 µs | errors |\n" +
			"|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		_, _ = fmt.Fprintf(&text, "| %s | %s | %d | %.1f | %.1f | %s | %s | %.0f | %.0f | %.0f | %d |\n",
			r.Program, r.Face, r.InFlight, r.CPU, r.LeastCPU, known(r.Allocs), known(r.Bytes), r.RPS, r.P50, r.P99, r.Errors)
	}
	return text.String()
}

func known(figure *float64) string {
	if figure == nil {
		return ""
	}
	return strconv.FormatFloat(*figure, 'f', 0, 64)
}

// publish writes the chart, and the tables into the page, if one is named.
func publish(o options, tables string, rows []row) error {
	svg := o.svg
	if o.update != "" {
		page, err := os.ReadFile(o.update)
		if err != nil {
			return err
		}
		before, _, found := strings.Cut(string(page), lastRun+"\n")
		if !found {
			return fmt.Errorf("%s has no heading %q", o.update, lastRun)
		}
		svg = strings.TrimSuffix(o.update, filepath.Ext(o.update)) + ".svg"
		text := fmt.Sprintf("%s%s\n\n%s\n\n![CPU time of a call](%s)\n\n%s",
			before, lastRun, machine(), filepath.Base(svg), tables)
		if err := os.WriteFile(o.update, []byte(text), 0o600); err != nil { //nolint:gosec // The page that was named.
			return err
		}
	}
	return os.WriteFile(svg, []byte(chart(rows)), 0o600)
}

// machine says when and on what a run was made.
func machine() string {
	processor := "unknown processor"
	text, _ := os.ReadFile("/proc/cpuinfo")
	if found := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(text); found != nil {
		processor = string(found[1])
	}
	load, _ := os.ReadFile("/proc/loadavg")
	busy := append(strings.Fields(string(load)), "unknown", "unknown", "unknown")[2]
	return fmt.Sprintf("%s, %d processors (%s), %s, load average of the last 15 minutes %s.",
		time.Now().Format("2 January 2006"), runtime.NumCPU(), processor, runtime.Version(), busy)
}
