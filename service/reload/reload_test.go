package reload_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/clientsession/client-session-service/service/reload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness polls two files and notes what was used. A content that has "bad" in it is refused.
type harness struct {
	t        *testing.T
	dir      string
	failures counter
	stop     func()

	mu   sync.Mutex
	used []string
	log  bytes.Buffer
}

// counter tells what it has counted, which Prometheus's own does not.
type counter struct {
	prometheus.Counter

	n atomic.Int64
}

func (c *counter) Inc() { c.n.Add(1) }

func start(t *testing.T, dir string) *harness {
	t.Helper()
	r := &harness{t: t, dir: dir}
	files, err := reload.Read("the pair", []string{r.path("a"), r.path("b")}, &r.failures, r.use)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		files.Poll(ctx, time.Millisecond, slog.New(slog.NewTextHandler(r, nil)))
	}()
	r.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(r.stop)
	return r
}

func (r *harness) path(name string) string { return filepath.Join(r.dir, name) }

func (r *harness) use(contents [][]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := string(bytes.Join(contents, []byte("+")))
	if strings.Contains(text, "bad") {
		return errors.New("it is no good")
	}
	r.used = append(r.used, text)
	return nil
}

func (r *harness) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *harness) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// wantUsed ends the poll and says what was used from the start on, no more and no less.
func (r *harness) wantUsed(want ...string) {
	r.t.Helper()
	r.stop()
	if got := strings.Join(r.used, " "); got != strings.Join(want, " ") {
		r.t.Errorf("used %q, want %q; log:\n%s", got, want, r.logged())
	}
}

func (r *harness) failed() int64 { return r.failures.n.Load() }

// awaitReload waits until the log says so for the nth time.
func (r *harness) awaitReload(n int) {
	r.t.Helper()
	eventually(r.t, "it is reloaded", func() bool { return strings.Count(r.logged(), "msg=reloaded") >= n })
}

// awaitFailures waits for n failures more than there were.
func (r *harness) awaitFailures(n int64) {
	r.t.Helper()
	before := r.failed()
	eventually(r.t, "looks fail", func() bool { return r.failed() >= before+n })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// write replaces a file at one stroke, as a look must not see it half written.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func pair(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "a1")
	write(t, filepath.Join(dir, "b"), "b1")
	return dir
}

func TestUnchangedContentIsNotUsedAgain(t *testing.T) {
	r := start(t, pair(t))
	// The same text in a file that is new and younger.
	write(t, r.path("a"), "a1")
	// A failure and its end prove that looks have happened.
	write(t, r.path("b"), "bad")
	r.awaitFailures(2)
	write(t, r.path("b"), "b1")
	r.awaitReload(1)
	r.wantUsed("a1+b1")
	if !strings.Contains(r.logged(), "msg=reloaded what=\"the pair\" changed=false") {
		t.Errorf("the log does not say that the failure is over:\n%s", r.logged())
	}
}

func TestChangedContentIsUsedOnce(t *testing.T) {
	r := start(t, pair(t))
	write(t, r.path("b"), "b2")
	r.awaitReload(1)
	write(t, r.path("a"), "a2")
	r.awaitReload(2)
	r.wantUsed("a1+b1", "a1+b2", "a2+b2")
	if r.failed() != 0 {
		t.Errorf("%v failures were counted", r.failed())
	}
}

func TestFaultyContentKeepsTheOld(t *testing.T) {
	r := start(t, pair(t))
	write(t, r.path("a"), "bad secret")
	r.awaitFailures(3) // Each look counts, so that an alert goes on until somebody mends it.
	write(t, r.path("a"), "a2")
	r.awaitReload(1)
	r.wantUsed("a1+b1", "a2+b1")
	log := r.logged()
	if !strings.Contains(log, "level=ERROR") || !strings.Contains(log, `what="the pair" cause="it is no good"`) {
		t.Errorf("the log does not say what is wrong:\n%s", log)
	}
	if strings.Contains(log, "secret") {
		t.Errorf("the log quotes the file:\n%s", log)
	}
}

func TestDeletedFileKeepsTheOldUntilItIsBack(t *testing.T) {
	r := start(t, pair(t))
	if err := os.Remove(r.path("b")); err != nil {
		t.Fatal(err)
	}
	r.awaitFailures(2)
	write(t, r.path("b"), "b2")
	r.awaitReload(1)
	r.wantUsed("a1+b1", "a1+b2")
	if !strings.Contains(r.logged(), r.path("b")) {
		t.Errorf("the log does not name the file:\n%s", r.logged())
	}
}

// TestSymlinkSwap does what Kubernetes does to mounted files: they are links by way of a link to a folder, and that one
// link is replaced. The files' own links never change.
func TestSymlinkSwap(t *testing.T) {
	dir := t.TempDir()
	old, young := pair(t), pair(t)
	write(t, filepath.Join(young, "a"), "a2")
	write(t, filepath.Join(young, "b"), "b2")
	for link, target := range map[string]string{"..data": old, "a": "..data/a", "b": "..data/b", "..data_tmp": young} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	r := start(t, dir)
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new files are used", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.used[len(r.used)-1] == "a2+b2"
	})
}

func TestReadFailsForFilesThatCannotBeUsed(t *testing.T) {
	r := &harness{t: t, dir: pair(t)}
	_, err := reload.Read("--pair", []string{r.path("a"), r.path("none")}, &r.failures, r.use)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "--pair: open "+r.path("none")) {
		t.Errorf("a missing file gets %v", err)
	}
	write(t, r.path("b"), "bad")
	_, err = reload.Read("--pair", []string{r.path("a"), r.path("b")}, &r.failures, r.use)
	if err == nil || err.Error() != "--pair: it is no good" {
		t.Errorf("a bad file gets %v", err)
	}
	if len(r.used) != 0 {
		t.Errorf("used %q", r.used)
	}
	// Of several faults each line has the name.
	_, err = reload.Read("--pair", []string{r.path("none"), r.path("neither")}, &r.failures, r.use)
	if err == nil || strings.Count("\n"+err.Error(), "\n--pair: open ") != 2 {
		t.Errorf("two missing files get %v", err)
	}
	twoFaults := func([][]byte) error { return errors.Join(errors.New("one"), errors.New("two")) }
	_, err = reload.Read("--pair", []string{r.path("a")}, &r.failures, twoFaults)
	if err == nil || err.Error() != "--pair: one\n--pair: two" {
		t.Errorf("a file with two faults gets %v", err)
	}
}
