package server_test

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// usage is the resources of the process that a fault could leak.
type usage struct{ goroutines, files int }

// settled returns the usage once it stands still.
func settled(t *testing.T) usage {
	t.Helper()
	var last usage
	same := 0
	seamtest.Eventually(t, "the goroutines to stand still", func() bool {
		now := usage{runtime.NumGoroutine(), openFiles(t)}
		if now == last {
			same++
		} else {
			same = 0
		}
		last = now
		return same == 10
	})
	return last
}

// restored checks that no more is in use than before.
func (u usage) restored(t *testing.T) {
	t.Helper()
	var now usage
	began := time.Now()
	for now = (usage{runtime.NumGoroutine(), openFiles(t)}); now.goroutines > u.goroutines || now.files > u.files; {
		if time.Since(began) > 20*time.Second {
			stacks := make([]byte, 1<<20)
			t.Errorf("%+v before, %+v after\n%s", u, now, stacks[:runtime.Stack(stacks, true)])
			return
		}
		time.Sleep(5 * time.Millisecond)
		now = usage{runtime.NumGoroutine(), openFiles(t)}
	}
}

// openFiles is how many files and sockets the process has open, 0 on a system that does not tell.
func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil && runtime.GOOS == "linux" {
		t.Fatal(err)
	}
	return len(files)
}
