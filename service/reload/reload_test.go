package reload_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/clientsession/client-session-service/service/reload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter is a counter whose value can be read, which Prometheus's own does not allow.
type counter struct {
	prometheus.Counter

	n int
}

func (c *counter) Inc() { c.n++ }

// harness has the files a and b, and records what is applied of them. A content with "bad" in it is invalid.
type harness struct {
	t        *testing.T
	dir      string
	failures counter
	applied  []string
	log      bytes.Buffer
}

func (r *harness) path(name string) string { return filepath.Join(r.dir, name) }

func (r *harness) apply(contents [][]byte) error {
	text := string(bytes.Join(contents, []byte("+")))
	if text == "panic" {
		panic("a secret")
	}
	if strings.Contains(text, "bad") {
		return errors.New("it is invalid")
	}
	r.applied = append(r.applied, text)
	return nil
}

// write writes the contents of the files, with a + between them. For - it removes the file.
func (r *harness) write(contents string) {
	r.t.Helper()
	for i, content := range strings.Split(contents, "+") {
		path := r.path("ab"[i : i+1])
		err := os.WriteFile(path, []byte(content), 0o600)
		if content == "-" {
			err = os.Remove(path)
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// poll polls the files every second, half a second after each change. It must run in a bubble.
func (r *harness) poll(paths []string, changes ...func()) {
	r.t.Helper()
	files, err := reload.Read("the files", paths, &r.failures, r.apply)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	go files.Poll(ctx, time.Second, slog.New(slog.NewTextHandler(&r.log, nil)))
	time.Sleep(time.Second / 2)
	for _, change := range changes {
		change()
		time.Sleep(time.Second)
		synctest.Wait()
	}
}

// events names the lines of the log, which must have no others: a failure tells the cause, and quotes no content.
func (r *harness) events() string {
	r.t.Helper()
	const failed = `level=ERROR msg="reload failed: the previous contents stay in use" what="the files" cause="`
	var events []string
	for line := range strings.Lines(strings.ReplaceAll(r.log.String(), r.dir, "DIR")) {
		_, text, _ := strings.Cut(line, " ")
		event, known := map[string]string{
			failed + `DIR/a: it is invalid"`:                             "invalid",
			failed + `it is invalid"`:                                    "invalid",
			failed + `the files: panic with a value of type string"`:     "panic",
			failed + `the files: the contents change all the time"`:      "unsettled",
			failed + `the files: open DIR/a: no such file or directory"`: "missing",
			failed + `the files: open DIR/b: no such file or directory"`: "missing b",
			`level=INFO msg=reloaded what="the files" changed=true`:      "reloaded",
			`level=INFO msg=reloaded what="the files" changed=false`:     "recovered",
		}[strings.TrimSpace(text)]
		if !known {
			r.t.Errorf("the log has %s", line)
		}
		events = append(events, event)
	}
	return strings.Join(events, ",")
}

// TestContentIsAppliedAtSecondPoll shows that content is applied when a second poll in a row has read it: at the first
// one the file may still be being written. The first of the contents is read at the start, the others by a poll each.
// A failed poll is counted and logged, each one, so that an alert lasts until the file is fixed.
func TestContentIsAppliedAtSecondPoll(t *testing.T) {
	for name, test := range map[string]struct{ contents, applied, events string }{
		"unchanged":                 {"a,a,a", "a", ""},
		"seen twice":                {"a,b,b", "a,b", "reloaded"},
		"seen once":                 {"a,b", "a", ""},
		"seen once, then as before": {"a,b,a,b,a,a", "a", ""},
		"never twice the same":      {"a,b,c,d,e,b,b,c", "a,d,e,b", "reloaded,reloaded,reloaded"},
		"half, then whole":          {"a,b,bc,bc", "a,bc", "reloaded"},
		"half, more, then whole":    {"a,b,bc,bcd,bcd,bcd", "a,bcd", "reloaded"},
		"gone in between":           {"a,b,-,b", "a", "missing"},
		"gone, then new":            {"a,-,b,b", "a,b", "missing,reloaded"},
		"applied, then new":         {"a,b,b,b,c,c", "a,b,c", "reloaded,reloaded"},
		"bad, seen once":            {"a,bad,b,b", "a,b", "reloaded"},
		"bad at every poll":         {"a,bad-secret,bad-secret,bad-secret,b,b", "a,b", "invalid,invalid,reloaded"},
		"a panic over them":         {"a,panic,panic,b,b", "a,b", "panic,reloaded"},
		"bad, then as before":       {"a,bad,bad,a,a", "a", "invalid,recovered"},
		"one of two":                {"a+b,a+c,a+c,d+c,d+c", "a+b,a+c,d+c", "reloaded,reloaded"},
		"one of two is bad":         {"a+b,a+bad,a+bad,a+bad,a+b,a+b", "a+b", "invalid,invalid,recovered"},
		"one of two is gone":        {"a+b,a+-,a+c,a+c", "a+b,a+c", "missing b,reloaded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &harness{t: t, dir: t.TempDir()}
				var changes []func()
				contents := strings.Split(test.contents, ",")
				for _, content := range contents[1:] {
					changes = append(changes, func() { r.write(content) })
				}
				r.write(contents[0])
				r.poll([]string{r.path("a"), r.path("b")}[:strings.Count(contents[0], "+")+1], changes...)
				failures := len(regexp.MustCompile("invalid|missing|panic").FindAllString(test.events, -1))
				if applied := strings.Join(r.applied, ","); applied != test.applied || r.failures.n != failures {
					t.Errorf("applied %s, want %s; %d failures", applied, test.applied, r.failures.n)
				}
				if events := r.events(); events != test.events {
					t.Errorf("the log has %s, want %s", events, test.events)
				}
			})
		})
	}
}

// TestContentsThatNeverSettle shows that contents which change faster than they settle are not applied, and that the log
// and the counter of failures tell of them.
func TestContentsThatNeverSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &harness{t: t, dir: t.TempDir()}
		r.write("a")
		const last = 49
		r.poll([]string{r.path("a")}, func() {
			for i := range last { // Never at the instant of a poll.
				r.write(strings.Repeat("x", i+1))
				time.Sleep(70 * time.Millisecond)
			}
		})
		for _, content := range r.applied[1:] {
			if len(content) != last {
				t.Errorf("applied %s while it was changing", content)
			}
		}
		if events := r.events(); !strings.HasPrefix(events, "unsettled") || r.failures.n == 0 {
			t.Errorf("the log has %s, %d failures", events, r.failures.n)
		}
	})
}

// TestSymlinkSwap replaces files as Kubernetes replaces mounted files: they are symbolic links through a link to a
// directory, and only that link is replaced. The files' own links never change.
func TestSymlinkSwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, young, r := &harness{t: t, dir: t.TempDir()}, &harness{t: t, dir: t.TempDir()}, &harness{t: t, dir: t.TempDir()}
		old.write("a1+b1")
		young.write("a2+b2")
		for link, target := range map[string]string{"..data": old.dir, "a": "..data/a", "b": "..data/b", "..data_tmp": young.dir} {
			if err := os.Symlink(target, r.path(link)); err != nil {
				t.Fatal(err)
			}
		}
		swap := func() {
			if err := os.Rename(r.path("..data_tmp"), r.path("..data")); err != nil {
				t.Fatal(err)
			}
		}
		r.poll([]string{r.path("a"), r.path("b")}, swap, func() {})
		if applied := strings.Join(r.applied, ","); applied != "a1+b1,a2+b2" {
			t.Errorf("applied %s", applied)
		}
	})
}

func TestReadFailsForInvalidFiles(t *testing.T) {
	r := &harness{t: t, dir: t.TempDir()}
	r.write("a+bad")
	_, err := reload.Read("--pair", []string{r.path("a"), r.path("none")}, &r.failures, r.apply)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "--pair: open "+r.path("none")) {
		t.Errorf("a missing file gets %v", err)
	}
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
