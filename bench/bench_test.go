package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

func TestMedian(t *testing.T) {
	for name, test := range map[string]struct {
		values []float64
		want   float64
	}{
		"one":  {[]float64{3}, 3},
		"odd":  {[]float64{9, 1, 5}, 5},
		"even": {[]float64{9, 1, 5, 3}, 4},
	} {
		if got := median(test.values); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for name, test := range map[string]struct {
		sorted []time.Duration
		p      int
		want   time.Duration
	}{
		"one value":          {hundred[:1], 99, 1},
		"half of a hundred":  {hundred, 50, 50},
		"99 of a hundred":    {hundred, 99, 99},
		"99 of ten is all":   {hundred[:10], 99, 10},
		"half of an odd lot": {hundred[:3], 50, 2},
	} {
		if got := percentile(test.sorted, test.p); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestNamedValue(t *testing.T) {
	text := "# TYPE calls counter\ncalls_total 7\ncalls 1.5e+06\nVmRSS:\t   2048 kB\n"
	for name, want := range map[string]float64{"calls": 1.5e6, "calls_total": 7, "VmRSS:": 2048} {
		if got, err := namedValue(text, name); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	if got, err := namedValue(text, "call"); err == nil {
		t.Errorf("a name that is not there: %v", got)
	}
}

// The clock of the process agrees with getrusage, which reads the same account for the process itself.
func TestCPUTime(t *testing.T) {
	usage := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	const rounded = 2 * time.Microsecond // getrusage rounds each of its two figures down.
	before := usage()
	got, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after := usage(); got < before || got > after+rounded {
		t.Errorf("%v, want %v to %v", got, before, after)
	}
}

// The floor's message says what the upstream's JSON does, so that it writes as many bytes as the others.
func TestGrantResponse(t *testing.T) {
	got := new(clientsessionv1.GrantAccessResponse)
	if err := protojson.Unmarshal([]byte(grantResponseJSON()), got); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, grantResponse()) {
		t.Errorf("%v, want %v", got, grantResponse())
	}
	list := new(clientsessionv1.ListResponse)
	if err := protojson.Unmarshal([]byte(listResponseJSON(3)), list); err != nil || len(list.GetClientSessions()) != 3 {
		t.Errorf("a list of 3: %v, %v", list, err)
	}
}

func TestByComponent(t *testing.T) {
	top := `Type: cpu
Showing nodes accounting for 1000ms, 100% of 1000ms total
      flat  flat%   sum%        cum   cum%
     400ms 40.00% 40.00%      400ms 40.00%  internal/runtime/syscall.Syscall6
     200ms 20.00% 60.00%      300ms 30.00%  runtime.mallocgc
     200ms 20.00% 80.00%      300ms 30.00%  google.golang.org/grpc/internal/transport.(*loopyWriter).run
     150ms 15.00% 95.00%      300ms 30.00%  github.com/clientsession/client-session-service/service/seam.(*Client).Do (inline)
      50ms  5.00%  100%        50ms  5.00%  runtime.schedule
         0     0%  100%       950ms 95.00%  runtime.mstart
`
	got, err := byComponent(strings.NewReader(top))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"kernel": 40, "allocation and garbage collection": 20, "grpc-go": 20, "the service's own code": 15,
		"scheduler and the rest of the runtime": 5,
	} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
}

func TestSummarize(t *testing.T) {
	round := func(cpu float64, errors int, first string) sample {
		return sample{loadResult: loadResult{Errors: errors, FirstError: first, RPS: 100, P50: 1, P99: 2}, cpuUS: cpu}
	}
	rounds := []sample{round(30, 0, ""), round(10, 2, "refused"), round(20, 1, "reset")}
	got := summarize(target{program: "nginx", face: "rest", process: &process{}}, 64, rounds)
	if got.CPU != 20 || got.LeastCPU != 10 || got.Errors != 3 || got.FirstError != "refused" {
		t.Errorf("%+v", got)
	}
	if failedCalls([]row{got}) == nil {
		t.Error("calls that failed do not fail the run")
	}
	text, err := json.Marshal(got)
	const want = `{"program":"nginx","face":"rest","in_flight":64,"cpu_us":20,"allocs":null,"bytes":null,"rps":100,` +
		`"p50_us":1,"p99_us":2,"errors":3}`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
}

func TestPublish(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	write := func(text string) {
		if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rows := []row{{Program: "floor", Face: "grpc", InFlight: 64, CPU: 47}}
	write("# Page\n\nProse.\n\n" + lastRun + "\n\nold\n")
	if err := publish(options{update: page}, table(rows), rows); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(page)
	if got := string(text); !strings.HasPrefix(got, "# Page\n\nProse.\n\n"+lastRun) || strings.Contains(got, "old") ||
		!strings.Contains(got, "(page.svg)") || !strings.HasSuffix(got, table(rows)) {
		t.Errorf("%s", got)
	}
	drawn, _ := os.ReadFile(filepath.Join(filepath.Dir(page), "page.svg"))
	if !strings.Contains(string(drawn), "floor, grpc") {
		t.Errorf("%s", drawn)
	}
	write("# Another\n")
	if err := publish(options{update: page}, "", rows); err == nil {
		t.Error("a page without the lastRun was written to")
	}
}
