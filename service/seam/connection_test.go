package seam

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// TestConnectionIsReused shows that a connection is kept through errors as well as responses, and that it outlives the
// deadlines of its calls: each call that dials anew costs a TLS handshake.
func TestConnectionIsReused(t *testing.T) {
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
			overBoth(t, handler, func(t *testing.T, b *bubble) {
				for range 15 { // Once each, and fewer than open the circuit breaker.
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					once(ctx, b.Client)
					<-ctx.Done()
				}
				requests, _ := b.requests()
				if opened, _ := b.connections(t); opened != 1 || requests != 15 {
					t.Errorf("%d connections for %d requests, want one for 15", opened, requests)
				}
			})
		})
	}
}

// TestTLS shows that HTTP/2 is used where it is spoken, and that the log warns, once, where it is not.
func TestTLS(t *testing.T) {
	var log bytes.Buffer
	var protocol string
	respond := responding(200, seamtest.Success)
	overBoth(t, func(w http.ResponseWriter, r *http.Request) {
		protocol = r.Proto
		respond(w, r)
	}, func(t *testing.T, b *bubble) {
		log.Reset()
		for range 10 {
			if _, out, err := call(t.Context(), b.Client, GrantAccess()); err != nil || !out.GetOk() {
				t.Fatalf("response %v, error %v", out, err)
			}
			time.Sleep(time.Second) // Each call has a new connection.
		}
		want, warnings := "HTTP/2.0", 0
		if strings.HasSuffix(t.Name(), overHTTP1) {
			want, warnings = "HTTP/1.1", 1
		}
		if n := strings.Count(log.String(), "does not speak HTTP/2"); n != warnings || protocol != want {
			t.Errorf("the protocol is %s, with %d warnings in the log:\n%s", protocol, n, &log)
		}
	}, func(c *Config) {
		c.Logger, c.MaxConnectionAge = slog.New(slog.NewTextHandler(&log, nil)), time.Nanosecond
	})
}

// TestTLSTrust shows that an upstream whose certificate is not valid for Seam gets neither the request nor the
// credential.
func TestTLSTrust(t *testing.T) {
	good := seamtest.Say(seamtest.Response("200 OK", seamtest.Success), seamtest.KeepOpen)
	for name, test := range map[string]struct {
		tls  bool
		host string
		cas  *x509.CertPool
		code codes.Code
	}{
		"trusted":        {true, "https://127.0.0.1", nil, codes.OK},
		"no authority":   {true, "https://127.0.0.1", x509.NewCertPool(), codes.Unavailable},
		"wrong name":     {true, "https://localhost", nil, codes.Unavailable},
		"not TLS at all": {false, "https://127.0.0.1", nil, codes.Unavailable},
		// A sandbox, or a proxy on the same machine, may be reached without TLS.
		"no TLS wanted": {false, "http://127.0.0.1", nil, codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // The backoffs of two retries are waited.
			u := seamtest.New(t, seamtest.Fault{TLS: test.tls, Request: good})
			_, address, _ := strings.Cut(u.URL, "127.0.0.1")
			client := newClient(t, test.host+address, func(c *Config) { c.CAs = test.cas })
			response, _, err := call(t.Context(), client, GrantAccess())
			if test.code == codes.OK {
				if err != nil || u.Requests.Load() != 1 {
					t.Errorf("%d requests, error %v", u.Requests.Load(), err)
				}
				return
			}
			wantError(t, err, "upstream_unreachable", test.code)
			if n := u.Requests.Load(); n != 0 || response.HTTPStatus != 0 || err.Cause == nil {
				t.Errorf("%d requests were sent, response %+v, cause %v", n, response, err.Cause)
			}
		})
	}
}

// TestStrayResponse shows that what a peer sends after a response is no response to another request. Over HTTP/1.1 that
// holds for what arrives with the response. What arrives later, on an idle connection, races with the next request: see
// docs/reliability.md.
func TestStrayResponse(t *testing.T) {
	const stray = `{"ok":true,"stray":true}`
	var requests atomic.Int32
	for name, fault := range map[string]seamtest.Fault{
		overHTTP1: {TLS: true, Request: func(conn net.Conn) seamtest.Then {
			text := seamtest.Response("200 OK", seamtest.Success)
			if requests.Add(1) == 1 {
				text += seamtest.Response("200 OK", stray)
			}
			_, _ = io.WriteString(conn, text)
			return seamtest.KeepOpen
		}},
		overHTTP2: {TLS: true, Stream: func(s seamtest.Stream) seamtest.Then {
			s.Respond(seamtest.Success)
			return s.Respond(stray)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, seamtest.New(t, fault).URL)
			for range 3 {
				response, _, err := call(t.Context(), client, Create())
				if err != nil || response.Attempts != 1 || strings.Contains(string(response.Body), "stray") {
					t.Errorf("response %+v; error %v", response, err)
				}
			}
		})
	}
}

// TestClosedIdleConnection shows that an idle connection which the peer has closed fails no call, and that it is closed
// here too although no call needs it.
func TestClosedIdleConnection(t *testing.T) {
	u := seamtest.New(t, seamtest.Fault{
		TLS: true, Request: seamtest.Say(seamtest.Response("200 OK", seamtest.Success), seamtest.Close),
	})
	client := newClient(t, u.URL)
	for range 20 { // A write that is not idempotent is not retried once it was sent.
		if _, _, err := call(t.Context(), client, Create()); err != nil {
			t.Fatalf("%v, cause %v", err, err.Cause)
		}
		seamtest.Eventually(t, "the connection to be closed", func() bool {
			return value(t, client.metrics.open[protocolHTTP1]) == 0
		})
	}
}

// TestRequestIsNotSentTwice shows that a request which is lost with a connection that was kept is not sent again unseen,
// as net/http does with some: it may have created a session, and a retry would create another one.
func TestRequestIsNotSentTwice(t *testing.T) {
	u := seamtest.New(t, seamtest.Fault{TLS: true, Request: seamtest.Say("", seamtest.Close)})
	u.Heal()
	client := newClient(t, u.URL)
	if _, _, err := call(t.Context(), client, Create()); err != nil {
		t.Fatal(err, err.Cause)
	}
	u.Break()
	response, _, err := call(t.Context(), client, Create())
	wantError(t, err, "upstream_unreachable", codes.Unknown)
	if err.HTTPStatus != 424 || !err.OutcomeUnknown || !err.NoRetry {
		t.Errorf("error is %+v", err)
	}
	if n, dials := u.Requests.Load(), u.Connections.Load(); n != 1 || dials != 0 || response.Attempts != 1 {
		t.Errorf("%d requests on %d new connections for the second call, %d attempts", n, dials, response.Attempts)
	}
}
