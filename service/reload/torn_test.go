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

// TestOnlySettledContentIsUsed shows that content is not used before a second look in a row has found it: whoever
// writes it may be in the middle of that. The looks are those of one file, in turn; - stands for no file.
func TestOnlySettledContentIsUsed(t *testing.T) {
	for name, test := range map[string]struct {
		looks, used string
		failures    int64
	}{
		"seen twice":                {"b,b", "a,b", 0},
		"seen once":                 {"b", "a", 0},
		"seen once, then as before": {"b,a,b,a,a", "a", 0},
		"never twice the same":      {"b,c,d,e,b,c", "a", 0},
		"half, then whole":          {"b,bc,bc", "a,bc", 0},
		"half, more, then whole":    {"b,bc,bcd,bcd,bcd", "a,bcd", 0},
		"gone in between":           {"b,-,b", "a", 1},
		"gone, then new":            {"-,b,b", "a,b", 1},
		"used, then new":            {"b,b,b,c,c", "a,b,c", 0},
		"bad, seen once":            {"bad,b,b", "a,b", 0},
		"bad at every look":         {"bad,bad,bad,b,b", "a,b", 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &harness{t: t, dir: t.TempDir()}
				write(t, r.path("a"), "a")
				files, err := reload.Read("the file", []string{r.path("a")}, &r.failures, r.use)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go files.Poll(ctx, time.Second, slog.New(slog.DiscardHandler))
				time.Sleep(time.Second / 2)
				for content := range strings.SplitSeq(test.looks, ",") {
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
				if !slices.Equal(r.used, strings.Split(test.used, ",")) || r.failed() != test.failures {
					t.Errorf("used %q and failed %d times, want %s and %d", r.used, r.failed(), test.used, test.failures)
				}
			})
		})
	}
}
