package server

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/reload"
)

// TestTornCallersFile cuts a callers file, while it is written, where what there is of it is a good file in which a
// caller is held to less: it is never used. The whole file is in use 10 seconds after it was written, whenever that
// was.
func TestTornCallersFile(t *testing.T) {
	const old = "callers: [{name: old, dns_name: old.example.com, rpcs: [Get]}]"
	const torn = `
callers:
  - name: deploy
    rpcs: ["*"]
    jwt:
      issuer: https://issuer.example.com
      audience: sessions
      subject: deploy
`
	const whole = torn + "      claims: {environment: production}\n"
	for _, begin := range []time.Duration{
		pollInterval / 2, pollInterval - time.Millisecond, pollInterval + time.Millisecond, 2*pollInterval + time.Millisecond,
	} {
		for _, pause := range []time.Duration{time.Millisecond, pollInterval / 2, pollInterval - time.Millisecond} {
			t.Run(begin.String()+", "+pause.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					path := filepath.Join(t.TempDir(), "callers.yaml")
					write := func(content string) {
						if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
							t.Fatal(err)
						}
					}
					write(old)
					callers := auth.NewCallers(RPCs(), http.DefaultClient, (*serverCertificates)(nil).authorities, time.Now)
					if err := callers.Load([]byte(torn)); err != nil {
						t.Fatalf("the part is no good by itself: %v", err)
					}
					var used []string
					files, err := reload.Read("callers file", []string{path}, prometheus.NewCounter(prometheus.CounterOpts{}),
						func(contents [][]byte) error {
							used = append(used, string(contents[0]))
							return callers.Load(contents[0])
						})
					if err != nil {
						t.Fatal(err)
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					go files.Poll(ctx, pollInterval, slog.New(slog.DiscardHandler))
					time.Sleep(begin)
					write(torn)
					time.Sleep(pause)
					write(whole)
					time.Sleep(10 * time.Second)
					synctest.Wait()
					if !slices.Equal(used, []string{old, whole}) {
						t.Errorf("used\n%s", strings.Join(used, "\nand\n"))
					}
				})
			})
		}
	}
}
