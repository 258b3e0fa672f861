package reload_test

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clientsession/client-session-service/service/reload"
)

// TestContentIsAppliedAtSecondPoll shows that content is applied when a second poll in a row has read it: at the first
// one the file may still be being written. The polls are those of one file, in turn; - stands for no file.
func TestContentIsAppliedAtSecondPoll(t *testing.T) {
	for name, test := range map[string]struct {
		polls, applied string
		failures       int64
	}{
		"seen twice":                {"b,b", "a,b", 0},
		"seen once":                 {"b", "a", 0},
		"seen once, then as before": {"b,a,b,a,a", "a", 0},
		"never twice the same":      {"b,c,d,e,b,c", "a,d,e,b,c", 0},
		"half, then whole":          {"b,bc,bc", "a,bc", 0},
		"half, more, then whole":    {"b,bc,bcd,bcd,bcd", "a,bcd", 0},
		"gone in between":           {"b,-,b", "a", 1},
		"gone, then new":            {"-,b,b", "a,b", 1},
		"applied, then new":         {"b,b,b,c,c", "a,b,c", 0},
		"bad, seen once":            {"bad,b,b", "a,b", 0},
		"bad at every poll":         {"bad,bad,bad,b,b", "a,b", 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &harness{t: t, dir: t.TempDir()}
				write(t, r.path("a"), "a")
				files, err := reload.Read("the file", []string{r.path("a")}, &r.failures, r.apply)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go files.Poll(ctx, time.Second, slog.New(slog.DiscardHandler))
				time.Sleep(time.Second / 2)
				for content := range strings.SplitSeq(test.polls, ",") {
					if content == "-" {
						err = os.Remove(r.path("a"))
					} else {
						err = os.WriteFile(r.path("a"), []byte(content), 0o600)
					}
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
					synctest.Wait()
				}
				if !slices.Equal(r.applied, strings.Split(test.applied, ",")) || r.failed() != test.failures {
					t.Errorf("applied %q and failed %d times, want %s and %d", r.applied, r.failed(), test.applied, test.failures)
				}
			})
		})
	}
}
