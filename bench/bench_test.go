package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i+1) * time.Millisecond
	}
	const metrics = "# TYPE calls counter\ncalls_total 7\ncalls 1.5e+06"
	calls, err := namedValue(metrics, "calls")
	if _, noErr := namedValue(metrics, "call"); err != nil || noErr == nil {
		t.Errorf("a metric: %v, a metric that is not there: %v", err, noErr)
	}
	for name, test := range map[string]struct{ got, want float64 }{
		"median of one":        {median([]float64{3}), 3},
		"median of three":      {median([]float64{9, 1, 5}), 5},
		"median of four":       {median([]float64{9, 1, 5, 3}), 4},
		"p99 of one":           {percentile(hundred[:1], 990), 1},
		"p50 of three":         {percentile(hundred[:3], 500), 2},
		"p50 of a hundred":     {percentile(hundred, 500), 50},
		"p99 of a hundred":     {percentile(hundred, 990), 99},
		"p99.9 of a hundred":   {percentile(hundred, 999), 100},
		"a metric of the same": {calls, 1.5e6},
	} {
		if test.got != test.want {
			t.Errorf("%s: %v, want %v", name, test.got, test.want)
		}
	}
}

func TestSummarize(t *testing.T) {
	round := func(cpu float64) row {
		return row{Program: "floor", Face: "grpc", Upstream: "h2", InFlight: 64, CPU: cpu, RPS: cpu * 10.01, P50: 1, P99: 2}
	}
	got := summarize([]row{round(30), round(10), round(20)})
	text, err := json.Marshal(got)
	const want = `{"program":"floor","face":"grpc","upstream":"h2","in_flight":64,"cpu_us":20,"allocs":0,"bytes":0,` +
		`"rps":200.2,"p50_us":1,"p99_us":2,"errors":0}`
	if err != nil || string(text) != want || got.LeastCPU != 10 {
		t.Errorf("%s, %v, least %v, want %s, least 10", text, err, got.LeastCPU, want)
	}
}

func TestPublish(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	rows := []row{{Program: "floor", Face: "grpc", Upstream: "h2", InFlight: 64, CPU: 47}}
	os.WriteFile(page, []byte("# Page\n\n"+lastRun+"\n\nold\n"), 0o600)
	if err := publish(page, table(rows), rows); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(page)
	if got := string(text); !strings.HasPrefix(got, "# Page\n\n"+lastRun+"\n") || strings.Contains(got, "old") ||
		!strings.Contains(got, "(page.svg)") || !strings.HasSuffix(got, table(rows)) {
		t.Errorf("%s", got)
	}
	if drawn, _ := os.ReadFile(strings.Replace(page, ".md", ".svg", 1)); !strings.Contains(string(drawn), "floor, grpc") {
		t.Errorf("%s", drawn)
	}
	os.WriteFile(page, []byte("# Another\n"), 0o600)
	if err := publish(page, "", rows); err == nil {
		t.Error("a page without the heading was written to")
	}
}
