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

// harness polls two files and records what was applied. A content with "bad" in it is invalid.
type harness struct {
	t        *testing.T
	dir      string
	failures counter
	stop     func()

	mu      sync.Mutex
	applied []string
	log     bytes.Buffer
}

// counter is a counter whose value can be read, which Prometheus's own does not allow.
type counter struct {
	prometheus.Counter

	n atomic.Int64
}

func (c *counter) Inc() { c.n.Add(1) }

func start(t *testing.T, dir string) *harness {
	t.Helper()
	r := &harness{t: t, dir: dir}
	files, err := reload.Read("the pair", []string{r.path("a"), r.path("b")}, &r.failures, r.apply)
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

func (r *harness) apply(contents [][]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := string(bytes.Join(contents, []byte("+")))
	if strings.Contains(text, "bad") {
		return errors.New("it is invalid")
	}
	r.applied = append(r.applied, text)
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

// wantApplied ends the poll and compares all that was applied from the start on.
func (r *harness) wantApplied(want ...string) {
	r.t.Helper()
	r.stop()
	if got := strings.Join(r.applied, " "); got != strings.Join(want, " ") {
		r.t.Errorf("applied %q, want %q; log:\n%s", got, want, r.logged())
	}
}

func (r *harness) failed() int64 { return r.failures.n.Load() }

// awaitReload waits for the nth reload in the log.
func (r *harness) awaitReload(n int) {
	r.t.Helper()
	eventually(r.t, "it is reloaded", func() bool { return strings.Count(r.logged(), "msg=reloaded") >= n })
}

// awaitFailures waits for n failures more than there were.
func (r *harness) awaitFailures(n int64) {
	r.t.Helper()
	before := r.failed()
	eventually(r.t, "polls fail", func() bool { return r.failed() >= before+n })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

// write replaces a file atomically, so that no poll reads half of it.
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

func TestUnchangedContentIsNotAppliedAgain(t *testing.T) {
	r := start(t, pair(t))
	// The same text in a new file with a later time.
	write(t, r.path("a"), "a1")
	// A failure and its end prove that there were polls.
	write(t, r.path("b"), "bad")
	r.awaitFailures(2)
	write(t, r.path("b"), "b1")
	r.awaitReload(1)
	r.wantApplied("a1+b1")
	if !strings.Contains(r.logged(), "msg=reloaded what=\"the pair\" changed=false") {
		t.Errorf("the log does not say that the failure is over:\n%s", r.logged())
	}
}

func TestChangedContentIsAppliedOnce(t *testing.T) {
	r := start(t, pair(t))
	write(t, r.path("b"), "b2")
	r.awaitReload(1)
	write(t, r.path("a"), "a2")
	r.awaitReload(2)
	r.wantApplied("a1+b1", "a1+b2", "a2+b2")
	if r.failed() != 0 {
		t.Errorf("%v failures were counted", r.failed())
	}
}

func TestInvalidContentKeepsPrevious(t *testing.T) {
	r := start(t, pair(t))
	write(t, r.path("a"), "bad secret")
	r.awaitFailures(3) // Each poll counts, so that an alert lasts until the file is fixed.
	write(t, r.path("a"), "a2")
	r.awaitReload(1)
	r.wantApplied("a1+b1", "a2+b1")
	log := r.logged()
	if !strings.Contains(log, "level=ERROR") || !strings.Contains(log, `what="the pair" cause="it is invalid"`) {
		t.Errorf("the log does not say what is wrong:\n%s", log)
	}
	if strings.Contains(log, "secret") {
		t.Errorf("the log quotes the file:\n%s", log)
	}
}

func TestDeletedFileKeepsPrevious(t *testing.T) {
	r := start(t, pair(t))
	if err := os.Remove(r.path("b")); err != nil {
		t.Fatal(err)
	}
	r.awaitFailures(2)
	write(t, r.path("b"), "b2")
	r.awaitReload(1)
	r.wantApplied("a1+b1", "a1+b2")
	if !strings.Contains(r.logged(), r.path("b")) {
		t.Errorf("the log does not name the file:\n%s", r.logged())
	}
}

// TestSymlinkSwap replaces files as Kubernetes replaces mounted files: they are symbolic links through a link to a
// directory, and only that link is replaced. The files' own links never change.
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
	eventually(t, "the new files are applied", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.applied[len(r.applied)-1] == "a2+b2"
	})
}

func TestReadFailsForInvalidFiles(t *testing.T) {
	r := &harness{t: t, dir: pair(t)}
	_, err := reload.Read("--pair", []string{r.path("a"), r.path("none")}, &r.failures, r.apply)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "--pair: open "+r.path("none")) {
		t.Errorf("a missing file gets %v", err)
	}
	write(t, r.path("b"), "bad")
	_, err = reload.Read("--pair", []string{r.path("a"), r.path("b")}, &r.failures, r.apply)
	if err == nil || err.Error() != "--pair: it is invalid" {
		t.Errorf("a bad file gets %v", err)
	}
	if len(r.applied) != 0 {
		t.Errorf("applied %q", r.applied)
	}
	// Of several errors each line has the name, and that of a single file its path.
	_, err = reload.Read("--pair", []string{r.path("none"), r.path("neither")}, &r.failures, r.apply)
	if err == nil || strings.Count("\n"+err.Error(), "\n--pair: open ") != 2 {
		t.Errorf("two missing files get %v", err)
	}
	twoFaults := func([][]byte) error { return errors.Join(errors.New("one"), errors.New("two")) }
	_, err = reload.Read("--pair", []string{r.path("a")}, &r.failures, twoFaults)
	if err == nil || strings.ReplaceAll(err.Error(), r.path("a"), "A") != "--pair: A: one\n--pair: A: two" {
		t.Errorf("a file with two errors gets %v", err)
	}
}
