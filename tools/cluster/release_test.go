package cluster_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	chart = "../../deploy/chart"
	// pods selects those of the service.
	pods = "--selector=app.kubernetes.io/name=client-session-service"
)

// release is a release of the chart in a namespace of its own.
type release struct {
	*testing.T

	cluster   *cluster
	namespace string
}

func newRelease(t *testing.T, c *cluster, name string) *release {
	t.Helper()
	r := &release{t, c, name + time.Now().UTC().Format("-150405")}
	run(t, "kubectl", "create", "namespace", r.namespace)
	t.Cleanup(func() { run(t, "kubectl", "delete", "namespace", r.namespace, "--wait=false") })
	r.kubectl("label", "namespace", r.namespace, "pod-security.kubernetes.io/enforce=restricted")
	return r
}

func (r *release) kubectl(args ...string) string {
	r.Helper()
	return run(r.T, "kubectl", append(args, "--namespace="+r.namespace)...)
}

// upgrade installs or upgrades the release, and waits until its rollout has ended.
func (r *release) upgrade(args ...string) {
	r.Helper()
	if out, err := r.tryUpgrade("2m", args...); err != nil {
		r.Fatalf("helm upgrade: %v\n%s\n%s", err, out, r.kubectl("describe", "pods"))
	}
}

func (r *release) tryUpgrade(timeout string, args ...string) (out string, err error) {
	return output(r.T, "", r.cluster.helm, append([]string{
		"upgrade", "--install", "sessions", chart, "--namespace", r.namespace, "--wait", "--timeout", timeout,
		"--set", "image.repository=docker.io/library/client-session-service",
		"--set-string", "image.tag=" + os.Getenv("VERSION"),
	}, args...)...)
}

// replicas are the names of the pods of the service that do not end.
func (r *release) replicas() []string {
	r.Helper()
	return strings.Fields(r.kubectl("get", "pods", pods, "--output=go-template={{range .items}}"+
		"{{if not .metadata.deletionTimestamp}}{{.metadata.name}} {{end}}{{end}}"))
}

// evict asks until the PodDisruptionBudget allows it.
func (r *release) evict(pod string) {
	r.Helper()
	eviction := fmt.Sprintf(
		`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, pod, r.namespace)
	at := fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/eviction", r.namespace, pod)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		out, err := output(r.T, eviction, "kubectl", "create", "--raw", at, "--filename=-")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			r.Fatalf("evict %s: %s", pod, out)
		}
	}
}

// count is of the calls of a client, and of those that were lost.
type count struct{ calls, lost int }

// counts returns those of each client of the load so far. The load prints them each second.
func (r *release) counts() map[string]count {
	r.Helper()
	result := map[string]count{}
	for _, container := range []string{"go", "python"} {
		for line := range strings.Lines(r.kubectl("logs", "deployment/load", "--container="+container, "--since=5s")) {
			var client string
			var calls, lost int
			if n, _ := fmt.Sscan(line, &client, &calls, &lost); n == 3 {
				result[client] = count{calls, lost}
			}
		}
	}
	return result
}

// logLost logs the first lost calls, with their errors.
func (r *release) logLost() {
	r.Helper()
	n := 0
	for line := range strings.Lines(r.kubectl("logs", "deployment/load", "--all-containers", "--timestamps")) {
		if strings.Contains(line, " lost ") && n < 20 {
			n++
			r.Log(strings.TrimSpace(line))
		}
	}
}

// run returns the output of a program that has to succeed.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := output(t, "", program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}

func output(t *testing.T, input, program string, args ...string) (string, error) {
	t.Helper()
	command := exec.Command(program, args...)
	command.Stdin = strings.NewReader(input)
	out, err := command.CombinedOutput()
	return string(out), err
}
