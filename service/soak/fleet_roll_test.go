//go:build fleet

package soak_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestFleetRollingRestart shows that a restart of all replicas, one after the other, loses no call on either face.
func TestFleetRollingRestart(t *testing.T) {
	f := startFleet(t)
	began := time.Now()
	stop := f.load(fleetDeadline)
	time.Sleep(2 * time.Second)
	for _, address := range f.running() {
		took := f.stop(address)
		f.startAt(address)
		t.Logf("%s: drained in %s, Envoy sends it calls again %s after its start", address, milliseconds(took),
			milliseconds(f.envoy.await(t, f.running()...)))
	}
	time.Sleep(time.Second)
	f.checkNoneLost(stop(), began)
}

// TestFleetUpgrade shows the same of an upgrade from the last release to this checkout as Kubernetes does it: a new replica
// starts at an address of its own, and when it is ready, an old one leaves DNS and drains. Meanwhile both serve.
func TestFleetUpgrade(t *testing.T) {
	f := startFleetBehind(t, lastRelease(t), envoyFile(t, "envoy.yaml"), nil)
	f.program = servicetest.Binary(t)
	began := time.Now()
	stop := f.load(fleetDeadline)
	time.Sleep(2 * time.Second)
	old := f.running()
	for i, address := range old {
		f.start(replica(i + 4))
		f.envoy.await(t, f.running()...)
		f.names.remove(address)
		f.stop(address)
		f.envoy.await(t, f.running()...)
	}
	time.Sleep(time.Second)
	lines := f.checkNoneLost(stop(), began)
	// The first of the new and the last of the old ran side by side.
	var first, last time.Time
	for _, line := range lines {
		if line.at(replica(4)) && first.IsZero() {
			first = line.Start
		}
		if line.at(old[2]) {
			last = line.Start
		}
	}
	t.Logf("old and new served side by side for %s", milliseconds(last.Sub(first)))
	if first.IsZero() || last.Sub(first) < time.Second {
		t.Errorf("the first new replica had calls from %s, and the last old one to %s", first, last)
	}
}

// checkNoneLost checks that every call succeeded.
func (f *fleet) checkNoneLost(calls *tally, began time.Time) []forwarded {
	f.t.Helper()
	lines := f.report(calls, began)
	if lost := calls.that(not(ok)); len(lost) > 0 {
		f.t.Errorf("%d calls are lost, such as:\n%s", len(lost), lost.examples())
	}
	return lines
}

// lastRelease builds the program of the last release, which make names.
func lastRelease(t *testing.T) string {
	t.Helper()
	revision := os.Getenv("LAST_RELEASE")
	if revision == "" {
		t.Fatal("LAST_RELEASE does not name the release to upgrade from: run make test-fleet, in a clone of the repository")
	}
	t.Logf("upgrade from %s", revision)
	folder := t.TempDir()
	program := filepath.Join(folder, "last-release")
	const build = `git -C ../.. archive "$0" | tar -x -C "$1" && go -C "$1" build -trimpath -o "$2" ./cmd/client-session-service`
	if text, err := exec.Command("sh", "-c", build, revision, folder, program).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", revision, err, text)
	}
	return program
}
