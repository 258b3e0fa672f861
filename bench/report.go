package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// lastRun is the heading of the page under which the tables of the last run stand.
const lastRun = "## The last full run"

// table returns the rows as Markdown.
func table(rows []row) string {
	var text strings.Builder
	text.WriteString("| program | face | Seam | in flight | CPU µs | least | allocs | bytes | calls/s | p50 µs " +
		"| p99 µs |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		_, _ = fmt.Fprintf(&text, "| %s | %s | %s | %d | %.1f | %.1f | %.0f | %.0f | %.0f | %.0f | %.0f |\n",
			r.Program, r.Face, r.Upstream, r.InFlight, r.CPU, r.LeastCPU, r.Allocs, r.Bytes, r.RPS, r.P50, r.P99)
	}
	return text.String()
}

// chart draws the CPU time of a call, a bar a row, as SVG.
func chart(rows []row) string {
	const left, width, line = 190, 420, 22
	var body strings.Builder
	var most float64
	for _, r := range rows {
		most = max(most, r.CPU)
	}
	top, last := 30, ""
	for _, r := range rows {
		if head := fmt.Sprintf("%d in flight, %s to Seam", r.InFlight, r.Upstream); head != last {
			_, _ = fmt.Fprintf(&body, `<text x="10" y="%d" class="head">%s</text>`+"\n", top+20, head)
			top, last = top+line+line/2, head
		}
		long := r.CPU / most * width
		_, _ = fmt.Fprintf(&body, `<text x="%d" y="%d" class="name">%s, %s</text>`+
			`<rect x="%d" y="%d" width="%.1f" height="%d" class="%s"/><text x="%.1f" y="%d">%.1f</text>`+"\n",
			left-8, top+14, r.Program, r.Face, left, top+2, long, line-6, r.Program, left+long+6, top+14, r.CPU)
		top += line
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">
<title>CPU time of a call of each program</title>
<style>text { font: 12px sans-serif; fill: #222 } .head { font-weight: bold } .name { text-anchor: end }
rect { fill: #9aa4b2 } .service { fill: #1f6feb } .page { fill: #fff }</style>
<rect width="100%%" height="100%%" class="page"/>
<text x="10" y="20">CPU time of a call, user and system, in microseconds: median of the rounds</text>
%s</svg>
`, left+width+70, top+10, body.String())
}

// publish writes the chart, and the tables into the page, if one is named.
func publish(update, tables string, rows []row) error {
	if update == "" {
		return os.WriteFile("bin/bench.svg", []byte(chart(rows)), 0o600)
	}
	page, err := os.ReadFile(update) //nolint:gosec // The page that was named.
	if err != nil {
		return err
	}
	before, _, found := strings.Cut(string(page), lastRun+"\n")
	if !found {
		return fmt.Errorf("%s has no heading %q", update, lastRun)
	}
	svg := strings.TrimSuffix(update, ".md") + ".svg"
	text := fmt.Sprintf("%s%s\n\n%s\n\n![CPU time of a call](%s)\n\n%s",
		before, lastRun, machine(), filepath.Base(svg), tables)
	//nolint:gosec // The page that was named.
	return errors.Join(os.WriteFile(update, []byte(text), 0o600), os.WriteFile(svg, []byte(chart(rows)), 0o600))
}

// machine says when and on what a run was made.
func machine() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	_, processor, _ := strings.Cut(string(info), "model name\t: ")
	processor, _, _ = strings.Cut(processor, "\n")
	load, _ := os.ReadFile("/proc/loadavg")
	today, busy := time.Now().Format("2 January 2006"), strings.Fields(string(load))[2]
	return fmt.Sprintf("%s, %d processors (%s), %s, load average of the last 15 minutes %s.",
		today, runtime.NumCPU(), processor, runtime.Version(), busy)
}
