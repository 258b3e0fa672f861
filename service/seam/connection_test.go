package seam_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// Each call that dials anew costs a TLS handshake, so connections must be kept: through errors as well as responses.
func TestConnectionIsReused(t *testing.T) {
	t.Parallel()
	overBoth(t, testConnectionIsReused)
}

func testConnectionIsReused(t *testing.T, over string) {
	t.Helper()
	for name, handler := range map[string]http.HandlerFunc{
		"responses":       responding(200, seamtest.Success),
		"empty responses": responding(200, ``),
		"errors":          responding(404, `{"error":{"type":"t","message":"m"}}`),
		"redirects":       responding(307, `moved`, "location", "/elsewhere"),
		"malformed JSON":  responding(200, `{"ok":`),
		"long errors":     responding(503, strings.Repeat("x", 1<<20)),
		"without lengths": flushing(seamtest.Success),
	} {
		t.Run(name, func(t *testing.T) {
			u := serveOver(t, over, handler)
			client := newClient(t, u.URL)
			// Once each, and fewer than open the circuit breaker.
			for range 15 {
				grantOnce(t.Context(), t, client)
			}
			// Go gives up a connection whose writer does not get to run for 50 ms, which happens on a busy machine.
			if n := u.connections.Load(); n > 5 || u.requests.Load() != 15 {
				t.Errorf("%d connections for %d requests, want few for 15", n, u.requests.Load())
			}
		})
	}
}

// Over HTTP/1.1 as many connections are kept as calls were in flight; Go's default would keep two of them.
func TestConnectionsOfParallelCallsAreReused(t *testing.T) {
	const calls = 50
	var inFlight sync.WaitGroup // Makes each wave have all its calls in flight at once.
	u := serveOver(t, overHTTP1, func(w http.ResponseWriter, _ *http.Request) {
		inFlight.Done()
		inFlight.Wait()
		_, _ = io.WriteString(w, seamtest.Success)
	})
	client := newClient(t, u.URL)
	for wave := range 4 {
		inFlight.Add(calls)
		var done sync.WaitGroup
		errs := make(chan *seamerr.Error, calls)
		for range calls {
			done.Go(func() {
				if _, _, err := grant(t.Context(), t, client); err != nil {
					errs <- err
				}
			})
		}
		done.Wait()
		close(errs)
		for err := range errs {
			t.Fatal(err, err.Cause)
		}
		if n := u.connections.Load(); n > calls*3/2 {
			t.Fatalf("%d connections after wave %d of %d calls", n, wave+1, calls)
		}
	}
}

func startTLS(t *testing.T, h2 bool, certificates ...tls.Certificate) (*upstream, chan string) {
	t.Helper()
	protocols := make(chan string, 100)
	u := &upstream{}
	u.Server = u.unstarted(func(w http.ResponseWriter, r *http.Request) {
		protocols <- r.Proto
		_, _ = io.WriteString(w, seamtest.Success)
	})
	u.EnableHTTP2 = h2
	u.TLS = &tls.Config{Certificates: certificates}
	u.StartTLS()
	t.Cleanup(u.Close)
	return u, protocols
}

func TestTLS(t *testing.T) {
	for name, test := range map[string]struct {
		h2       bool
		want     string
		warnings int
	}{
		"HTTP/2 where it is spoken": {true, "HTTP/2.0", 0},
		"HTTP/1.1 where it is not":  {false, "HTTP/1.1", 1},
	} {
		t.Run(name, func(t *testing.T) {
			u, protocols := startTLS(t, test.h2)
			var log bytes.Buffer
			client := newClient(t, u.URL, func(c *seam.Config) {
				c.Logger = slog.New(slog.NewTextHandler(&log, nil))
				c.MaxConnectionAge = time.Nanosecond // Each call has a new connection.
			})
			for range 10 {
				if _, out, err := grant(t.Context(), t, client); err != nil || !out.GetOk() {
					t.Fatalf("response %v, error %v", out, err)
				}
				if got := <-protocols; got != test.want {
					t.Fatalf("protocol is %s", got)
				}
			}
			if n := strings.Count(log.String(), "does not speak HTTP/2"); n != test.warnings {
				t.Errorf("%d warnings in the log:\n%s", n, &log)
			}
		})
	}
}

// The plain row: a sandbox, or a proxy on the same machine, may be reached without TLS.
func TestPlainText(t *testing.T) {
	u := servePlain(t, responding(200, seamtest.Success))
	client := newClient(t, u.URL)
	for range 3 {
		if _, out, err := grant(t.Context(), t, client); err != nil || !out.GetOk() {
			t.Errorf("response %v, error %v", out, err)
		}
	}
	if n := u.connections.Load(); n != 1 {
		t.Errorf("%d connections for 3 calls", n)
	}
}

// An upstream whose certificate is not valid for Seam gets neither the request nor the credential.
func TestTLSFailure(t *testing.T) {
	t.Parallel()
	untrusted, _ := startTLS(t, true, servicetest.NewAuthority(t, "untrusted").Pair(t, "seam"))
	trusted, _ := startTLS(t, true)
	plain := servePlain(t, responding(200, seamtest.Success))
	for name, test := range map[string]struct {
		u   *upstream
		url string
	}{
		"unknown CA":     {untrusted, untrusted.URL},
		"wrong name":     {trusted, strings.Replace(trusted.URL, "127.0.0.1", "localhost", 1)},
		"not TLS at all": {plain, strings.Replace(plain.URL, "http://", "https://", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			response, _, err := grant(t.Context(), t, newClient(t, test.url))
			wantError(t, err, "upstream_unreachable", codes.Unavailable)
			if response.HTTPStatus != 0 || err.Cause == nil {
				t.Errorf("response %+v, cause %v", response, err.Cause)
			}
			if n := test.u.requests.Load(); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
}
