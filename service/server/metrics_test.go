package server_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"
)

var updateMetrics = flag.Bool("update", false, "write testdata/metrics.golden")

const metricsGolden = "testdata/metrics.golden"

// family is a metric with its type and the values of its labels.
type family struct {
	kind   string
	labels map[string]map[string]bool
}

// String is the line of the golden file.
func (f family) String() string {
	line := f.kind
	for _, label := range slices.Sorted(maps.Keys(f.labels)) {
		line += " " + label + "=" + strings.Join(slices.Sorted(maps.Keys(f.labels[label])), "|")
	}
	return line
}

var (
	seriesPattern = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$`)
	labelPattern  = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
)

// families reads the metrics in Prometheus's text format, by their names.
func families(t *testing.T, text string) map[string]family {
	t.Helper()
	all, name := map[string]family{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if kind, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ = strings.Cut(kind, " ")
			all[name] = family{kind, map[string]map[string]bool{}}
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		series := seriesPattern.FindStringSubmatch(line)
		if series == nil || !strings.HasPrefix(series[1], name) {
			t.Fatalf("not a series of %s: %s", name, line)
		}
		for _, pair := range labelPattern.FindAllStringSubmatch(series[2], -1) {
			label, value := pair[1], pair[2]
			if label == "version" {
				value = "*" // That of the build.
			}
			if all[name].labels[label] == nil {
				all[name].labels[label] = map[string]bool{}
			}
			all[name].labels[label][value] = true
		}
	}
	return all
}

// TestMetricNames shows that the names, types and labels of the metrics are those of the golden file, which dashboards
// and alerts depend on, and that all series are there before the first call.
func TestMetricNames(t *testing.T) {
	_, text := start(t).admin("/metrics")
	var got bytes.Buffer
	found := families(t, text)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintln(&got, name, found[name])
	}
	if *updateMetrics {
		if err := os.WriteFile(metricsGolden, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(metricsGolden)
	if err != nil {
		t.Fatal(err)
	}
	// What is known of the process depends on the system.
	linesOf := func(text string) []string {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		return slices.DeleteFunc(lines, func(line string) bool {
			return strings.HasPrefix(line, "process_") && runtime.GOOS != "linux"
		})
	}
	wanted, gotten := linesOf(string(want)), linesOf(got.String())
	for _, line := range wanted {
		if !slices.Contains(gotten, line) {
			t.Errorf("missing: %s", line)
		}
	}
	for _, line := range gotten {
		if !slices.Contains(wanted, line) {
			t.Errorf("not in %s: %s", metricsGolden, line)
		}
	}
	if t.Failed() {
		t.Log("go test ./service/server -run '^TestMetricNames$' -update writes the file")
	}
}

// TestMetricsAreBounded shows that nothing that callers make up becomes a series.
func TestMetricsAreBounded(t *testing.T) {
	h := startWithCredential(t)
	h.check(t) // So that both faces have been used before.
	before := seriesOf(h.metrics(t))
	for i := range 300 {
		own := fmt.Sprintf("x%dx", i)
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", own, "x-request-id", own,
			"seam-workspace", own, "user-agent", own, "seam-sdk-name", own)
		service := "/seam.clientsession.v1.ClientSessionService/"
		rpc := []string{service + own, "/" + own + "/GrantAccess", service + "GrantAccess"}[i%3]
		if err := h.conn.Invoke(ctx, rpc, &emptypb.Empty{}, &emptypb.Empty{}); err == nil {
			t.Errorf("%s succeeds", rpc)
		}
		method := []string{http.MethodPost, "M" + own}[i%2]
		path := []string{"/" + own, "/client_sessions/" + own, grantPath}[i%3]
		got := h.send(method, path+"?"+own+"=1", own, "Authorization", own, "X-Request-Id", own,
			"Seam-Workspace", own, "User-Agent", own, "Origin", own, "Content-Type", own)
		if got.status < http.StatusBadRequest {
			t.Errorf("%s %s gets %d", method, path, got.status)
		}
	}
	for series := range seriesOf(h.metrics(t)) {
		if !before[series] {
			t.Errorf("new series: %s", series)
		}
	}
}

// seriesOf are the series in a text, without their values.
func seriesOf(text string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(text) {
		if series, _, ok := strings.Cut(line, " "); ok && !strings.HasPrefix(line, "#") {
			all[series] = true
		}
	}
	return all
}
