//go:build fleet

package soak_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/servicetest"
)

// envoy is an Envoy with the configuration of deploy/envoy.
type envoy struct {
	*process

	admin     string
	accessLog string
}

// The ports in that configuration, which the test replaces by free ones: those of Envoy, of the replicas and of the rate
// limit service.
const (
	envoyGRPC, envoyREST, envoyAdmin       = "10000", "10001", "9901"
	replicaGRPC, replicaREST, replicaAdmin = "9090", "8080", "9091"
	rateLimitGRPC                          = "8081"
)

// resolver is the one line that is not in the configuration: where the names of the replicas are looked up.
const resolver = `{typed_dns_resolver_config: {name: envoy.network.dns_resolver.cares, typed_config: {
	"@type": type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig,
	resolvers: [{socket_address: {address: 127.0.0.1, port_value: %d}}],
	dns_resolver_options: {no_default_search_domain: true}}}}`

// envoyFile reads a file of deploy/envoy.
func envoyFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../deploy/envoy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// startEnvoy starts it with the ports and returns when it is up, which it is before it knows a replica.
func startEnvoy(t *testing.T, configuration string, names *nameServer, ports map[string]string) *envoy {
	t.Helper()
	for port, replacement := range ports {
		before := configuration
		configuration = regexp.MustCompile(`\bport_value: `+port+`\b`).ReplaceAllString(before, "port_value: "+replacement)
		if configuration == before {
			t.Fatalf("the configuration of Envoy has no port %s", port)
		}
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "envoy.yaml")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	accessLog, err := os.Create(filepath.Join(folder, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer accessLog.Close()
	e := &envoy{admin: "http://127.0.0.1:" + ports[envoyAdmin], accessLog: accessLog.Name()}
	command := exec.Command("../../.tools/envoy/bin/envoy", "--config-path", file, "--concurrency", "1",
		"--log-level", "warning", "--use-dynamic-base-id",
		"--config-yaml", fmt.Sprintf(resolver, names.conn.LocalAddr().(*net.UDPAddr).Port))
	command.Stdout, command.Env = accessLog, []string{}
	e.process = servicetest.Start(t, command)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, err := e.get("/ready")
		if err == nil {
			return e
		}
		if e.Ended() || time.Now().After(deadline) {
			t.Fatalf("Envoy was not ready within a minute: %v\n%s", err, e.Log())
		}
	}
}

// get asks the admin listener.
func (e *envoy) get(path string) ([]byte, error) {
	response, err := http.Get(e.admin + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s gets %d %s", path, response.StatusCode, text)
	}
	return text, err
}

// healthy returns the addresses of the replicas to which Envoy sends calls of both faces.
func (e *envoy) healthy(t *testing.T) []string {
	t.Helper()
	text, err := e.get("/clusters?format=json")
	if err != nil {
		t.Fatal(err)
	}
	var clusters struct {
		Statuses []struct {
			Hosts []struct {
				Address struct {
					Socket struct {
						Address string `json:"address"`
					} `json:"socket_address"`
				} `json:"address"`
				Health struct {
					EDS      string `json:"eds_health_status"`
					Check    bool   `json:"failed_active_health_check"`
					Outlier  bool   `json:"failed_outlier_check"`
					Pending  bool   `json:"pending_active_hc"`
					Removing bool   `json:"pending_dynamic_removal"`
				} `json:"health_status"`
			} `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	if err := json.Unmarshal(text, &clusters); err != nil {
		t.Fatal(err)
	}
	faces := map[string]int{}
	for _, cluster := range clusters.Statuses {
		for _, host := range cluster.Hosts {
			if h := host.Health; h.EDS == "HEALTHY" && !h.Check && !h.Outlier && !h.Pending {
				faces[host.Address.Socket.Address]++
			}
		}
	}
	var both []string
	for address, count := range faces {
		if count == 2 {
			both = append(both, address)
		}
	}
	slices.Sort(both)
	return both
}

// await waits until Envoy sends calls to exactly these replicas, and returns how long that took.
func (e *envoy) await(t *testing.T, want ...string) time.Duration {
	t.Helper()
	slices.Sort(want)
	began := time.Now()
	for {
		got := e.healthy(t)
		if slices.Equal(got, want) {
			return time.Since(began)
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("Envoy sends calls to %q, and not to %q, for half a minute", got, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// forwarded is a line of the access log.
type forwarded struct {
	Start    time.Time `json:"start"`
	Duration int       `json:"duration_ms"`
	Flags    string    `json:"flags"`
	Attempts int       `json:"attempts"`
	Replica  string    `json:"replica"`
}

func (f forwarded) ended() time.Time {
	return f.Start.Add(time.Duration(f.Duration) * time.Millisecond)
}

// lost says that a replica was lost while it had the call, whether or not another one then had it.
func (f forwarded) lost() bool { return f.Attempts > 1 || f.Flags != "" && f.Flags != "-" }

// at says which replica had the call last, by its address.
func (f forwarded) at(replica string) bool { return strings.HasPrefix(f.Replica, replica+":") }

// forwarded reads the access log, of calls that began since then. Envoy writes it every ten seconds, or when it ends.
func (e *envoy) forwarded(t *testing.T, since time.Time) []forwarded {
	t.Helper()
	text, err := os.ReadFile(e.accessLog)
	if err != nil {
		t.Fatal(err)
	}
	var lines []forwarded
	for line := range strings.Lines(string(text)) {
		var f forwarded
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("line %q of the access log: %v", line, err)
		}
		if !f.Start.Before(since.Truncate(time.Millisecond)) {
			lines = append(lines, f)
		}
	}
	return lines
}
