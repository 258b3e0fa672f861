// Package cluster_test runs the chart in the cluster that KUBECONFIG names, by `make test-cluster`.
package cluster_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// cluster is what the releases share.
type cluster struct {
	// helm is that which the module of the chart's tests pins.
	helm string

	mu sync.Mutex
	// rows are those of the table of what was measured.
	rows []string
}

// TestCluster shows that neither rollouts nor disruptions of the chart lose a call, and that faults leave the old
// replicas as they are.
func TestCluster(t *testing.T) {
	for _, variable := range []string{"KUBECONFIG", "CLUSTER_LOAD", "VERSION"} {
		if os.Getenv(variable) == "" {
			t.Fatalf("%s is not set: run make test-cluster", variable)
		}
	}
	importImages(t)
	c := &cluster{helm: helm(t)}
	tests := map[string]func(*release){"rollouts": rollouts, "disruptions": disruptions, "faults": faults}
	t.Run("releases", func(t *testing.T) { // Which ends with the last of those within.
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(newRelease(t, c, name))
			})
		}
	})
	slices.Sort(c.rows)
	_, _ = fmt.Fprintf(os.Stdout, "\n| lost of all calls | gRPC, Go | gRPC, Python | REST |\n|---|---|---|---|\n%s\n",
		strings.Join(c.rows, ""))
}

// helm returns the program.
func helm(t *testing.T) string {
	t.Helper()
	command := exec.Command("go", "tool", "-n", "helm")
	command.Dir = "../chart"
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func rollouts(r *release) {
	r.install()
	run(r.T, r.cluster.helm, "test", "sessions", "--namespace", r.namespace)
	r.measure("rolling update", func(old []string) []string {
		r.upgrade("--set", "config.sandbox=true", "--set", "podAnnotations.revision=two")
		return old
	})
	r.measure("rollback", func(old []string) []string {
		run(r.T, r.cluster.helm, "rollback", "sessions", "1", "--namespace", r.namespace, "--wait")
		return old
	})
}

func disruptions(r *release) {
	r.install()
	r.measure("delete of a replica", func(old []string) []string {
		r.kubectl("delete", "pod", old[0], "--wait=false")
		return old[:1]
	})
	r.measure("eviction of both replicas in turn", func(old []string) []string {
		for _, pod := range old {
			r.evict(pod)
		}
		return old
	})
}

// install installs the release with the defaults and the sandbox, and starts the load.
func (r *release) install() {
	r.Helper()
	r.upgrade("--set", "config.sandbox=true")
	r.kubectl("apply", "--filename=testdata/load.yaml")
	r.kubectl("rollout", "status", "deployment/load")
	time.Sleep(5 * time.Second) // Until each client has printed a line.
	if len(r.counts()) < 3 {
		r.Fatalf("the load does not run:\n%s", r.kubectl("logs", "deployment/load", "--all-containers", "--tail=5"))
	}
}

// measure makes a row of the table, of what the load lost from what happens until the replicas that end by it are gone.
func (r *release) measure(name string, happen func(old []string) (ended []string)) {
	r.Helper()
	before := r.counts()
	for _, pod := range happen(r.replicas()) {
		r.kubectl("wait", "--for=delete", "pod/"+pod, "--timeout=2m")
	}
	time.Sleep(12 * time.Second) // A call that waits is lost at its deadline, after 10 s.
	row := "| " + name
	after := r.counts()
	for _, client := range []string{"go", "python", "rest"} {
		calls, lost := after[client].calls-before[client].calls, after[client].lost-before[client].lost
		row += fmt.Sprintf(" | %d of %d", lost, calls)
		if lost != 0 || calls < 2000 {
			r.Errorf("%s: %s: %d of %d calls were lost", name, client, lost, calls)
		}
	}
	if r.Failed() {
		r.logLost()
	}
	r.cluster.mu.Lock()
	defer r.cluster.mu.Unlock()
	r.cluster.rows = append(r.cluster.rows, row+" |\n")
}

// faults shows that a new replica that does not start leaves the old ones as they are, and that Helm keeps them also
// when autoscaling is switched on.
func faults(r *release) {
	r.kubectl("create", "secret", "generic", "seam-api-key",
		"--from-literal=api-key=seam_testSand_sandboxsandboxsandboxsan")
	r.kubectl("create", "configmap", "bad-callers", "--from-literal=callers.yaml=callers: [{name: door-service}]")
	healthy := []string{
		"--set", "serviceCredential.secretName=seam-api-key", "--set", "config.allow-anonymous=true",
		"--set", "config.drain-delay=1s",
	}
	r.upgrade(healthy...)
	old := r.replicas()
	for _, test := range []struct {
		name, value string
		// want is in what the new replica says.
		want string
	}{
		{"missing Secret", "serviceCredential.secretName=absent", `secret "absent" not found`},
		{"bad callers file", "callers.configMapName=bad-callers", "name the RPCs that it may call"},
	} {
		if out, err := r.tryUpgrade("20s", append(healthy, "--set", test.value)...); err == nil {
			r.Errorf("%s: helm upgrade succeeds: %s", test.name, out)
		}
		if said := r.kubectl("describe", "pods", pods); !strings.Contains(said, test.want) {
			r.Errorf("%s: the new replica does not say %s:\n%s", test.name, test.want, said)
		}
		// The old replicas go on.
		r.kubectl(append([]string{"wait", "--for=condition=Ready", "--timeout=1s", "pod"}, old...)...)
	}

	autoscaled := append(healthy, "--set", "autoscaling.enabled=true") //nolint:gocritic // Nothing else appends to it.
	r.upgrade(autoscaled...)
	// A moment with one replica would have replaced the other.
	if now := r.replicas(); !slices.Equal(now, old) {
		r.Errorf("with autoscaling switched on the replicas are %v, and were %v", now, old)
	}

	r.kubectl("rollout", "undo", "deployment/sessions-client-session-service")
	if out, err := r.tryUpgrade("2m", autoscaled...); err == nil || !strings.Contains(out, "conflict") {
		r.Errorf("helm upgrade after kubectl rollout undo: %v: %s", err, out)
	}
	r.upgrade(append(autoscaled, "--force-conflicts")...)
}
