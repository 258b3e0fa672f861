package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// ageHarness is a service whose connections have a maximum age, and one client of its REST face.
type ageHarness struct {
	at     string
	client *http.Client
	dials  atomic.Int64
}

func startAge(t *testing.T, cfg config.Config, client *tls.Config) *ageHarness {
	t.Helper()
	cfg.GRPCListen, cfg.HTTPListen, cfg.AdminListen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	StartSeam(t, sandbox.New(sandbox.Options{}), &cfg)
	cfg.DefaultTimeout, cfg.MaxTimeout = 10*time.Second, 10*time.Second
	cfg.MaxInFlight, cfg.DrainTimeout = 16, 10*time.Second
	// A client may have one connection more than it needs still in the making when the test ends. net/http waits for it
	// in vain if its handshake ends after the shutdown began.
	cfg.DrainDelay = acceptGrace
	s, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := &ageHarness{at: "http://" + s.Addresses().HTTP}
	if client != nil {
		r.at = "https://" + s.Addresses().HTTP
	}
	transport := &http.Transport{
		TLSClientConfig: client, ForceAttemptHTTP2: client != nil && len(client.NextProtos) == 0, MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			r.dials.Add(1)
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	r.client = &http.Client{Transport: transport}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

// call makes one call that has to succeed over the protocol.
func (r *ageHarness) call(ctx context.Context, proto string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.at+"/client_sessions/list", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+sandbox.APIKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(response.Body)
	err = errors.Join(err, response.Body.Close())
	if response.StatusCode != http.StatusOK || response.Proto != proto {
		err = errors.Join(err, fmt.Errorf("got %s %d %s", response.Proto, response.StatusCode, text))
	}
	return err
}

// TestConnectionAgeOverREST shows that a caller of the REST face is moved to a new connection when its own has its age,
// and that none of the calls that it makes meanwhile fails.
func TestConnectionAgeOverREST(t *testing.T) {
	t.Parallel() // Each of six services drains for half a second.
	ours, dir := seamtest.NewAuthority(t, "ours"), t.TempDir()
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
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := test.cfg
			cfg.MaxConnectionAge = 50 * time.Millisecond
			r := startAge(t, cfg, test.client.Clone())
			const callers, moves = 4, 3
			var calling sync.WaitGroup
			deadline := time.Now().Add(30 * time.Second)
			for range callers {
				calling.Go(func() {
					for r.dials.Load() < callers*moves {
						if err := r.call(t.Context(), test.proto); err != nil {
							t.Error(err)
							return
						}
						time.Sleep(5 * time.Millisecond) // Others run beside it.
						if time.Now().After(deadline) {
							t.Errorf("%d connections", r.dials.Load())
							return
						}
					}
				})
			}
			calling.Wait()
		})
		t.Run(name+", young", func(t *testing.T) {
			t.Parallel()
			cfg := test.cfg
			cfg.MaxConnectionAge = time.Hour
			r := startAge(t, cfg, test.client.Clone())
			for range 10 {
				if err := r.call(t.Context(), test.proto); err != nil {
					t.Error(err)
				}
			}
			if n := r.dials.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}
