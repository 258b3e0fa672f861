package server

import (
	"crypto/tls"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestConnectionAgeOverREST shows that a caller of the REST face is moved to a new connection when its own has its age,
// and that none of the calls that it makes meanwhile fails.
func TestConnectionAgeOverREST(t *testing.T) {
	t.Parallel() // Each of six services drains for half a second.
	ours, dir := servicetest.NewAuthority(t, "ours"), t.TempDir()
	writePair(t, dir, ours)
	secure := tlsConfig(dir)
	plainH1 := ours.Client(t, nil)
	plainH1.NextProtos = []string{"http/1.1"}
	for name, test := range map[string]struct {
		cfg    config.Config
		client *tls.Config
		proto  string
	}{
		"HTTP/1.1":          {config.Config{}, nil, "HTTP/1.1"},
		"HTTP/1.1 over TLS": {secure, plainH1, "HTTP/1.1"},
		"HTTP/2":            {secure, ours.Client(t, nil), "HTTP/2.0"},
	} {
		for age, name := range map[time.Duration]string{50 * time.Millisecond: name, time.Hour: name + ", young"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				cfg := test.cfg
				cfg.MaxConnectionAge = age
				// A client may have one connection more than it needs still in the making when the test ends. net/http
				// waits for it in vain if its handshake ends after the shutdown began.
				cfg.DrainDelay = acceptGrace
				list := startTLS(t, cfg).onHTTP(test.client)
				const callers, moves = 4, 3
				if age == time.Hour {
					for range 10 {
						if got, err := list(); err != nil || got.connections != 1 {
							t.Errorf("%d connections, %v", got.connections, err)
						}
					}
					return
				}
				var calling sync.WaitGroup
				var connections atomic.Int64
				deadline := time.Now().Add(30 * time.Second)
				for range callers {
					calling.Go(func() {
						for connections.Load() < callers*moves {
							got, err := list()
							if err != nil || got.status != http.StatusOK || got.proto != test.proto || time.Now().After(deadline) {
								t.Errorf("%s %d, %d connections, %v", got.proto, got.status, got.connections, err)
								return
							}
							connections.Store(int64(got.connections))
							time.Sleep(5 * time.Millisecond) // Others run beside it.
						}
					})
				}
				calling.Wait()
			})
		}
	}
}
