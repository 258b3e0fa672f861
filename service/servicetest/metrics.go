package servicetest

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Get asks the admin listener of a service.
func (p *Process) Get(path string) string {
	p.t.Helper()
	response, err := http.Get("http://" + p.Admin + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		p.t.Fatalf("%s gets %d, %v", path, response.StatusCode, err)
	}
	return string(text)
}

// Metrics is what /metrics says at one moment.
type Metrics string

// Metrics scrapes the service.
func (p *Process) Metrics() Metrics {
	p.t.Helper()
	return Metrics(p.Get("/metrics"))
}

// Metric scrapes the service for one metric, as Sum says.
func (p *Process) Metric(name string) float64 {
	p.t.Helper()
	return p.Metrics().Sum(p.t, name)
}

// Sum adds up all series of a name. If the name has labels in braces, it is that of one series. It reads the text by
// itself: the format is simple, and the tests need no library that the service does not.
func (m Metrics) Sum(t testing.TB, name string) float64 {
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
