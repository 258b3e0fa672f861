package sandbox_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/sandbox"
)

func (g *harness) inject(f sandbox.Fault) {
	g.t.Helper()
	if err := g.Inject(f); err != nil {
		g.t.Fatal(err)
	}
}

func TestFaultResponses(t *testing.T) {
	tests := []struct {
		name        string
		fault       sandbox.Fault
		status      int
		body        string
		contentType string
		header      map[string]string
	}{
		{"empty 503", sandbox.Fault{Status: 503}, 503, "", "", nil},
		{"html", sandbox.Fault{Status: 502, Body: "<html>", ContentType: "text/html"}, 502, "<html>", "text/html", nil},
		{
			"json",
			sandbox.Fault{Status: 200, Body: "{}", Header: map[string]string{"retry-after": "7"}},
			200, "{}", "application/json",
			map[string]string{"Retry-After": "7"},
		},
		{"delayed", sandbox.Fault{Status: 504, Delay: 20 * time.Millisecond}, 504, "", "", nil},
	}
	for _, test := range tests {
		for _, noID := range []bool{false, true} {
			t.Run(test.name, func(t *testing.T) {
				g := newHarness(t, sandbox.Options{})
				test.fault.NoRequestID = noID
				g.inject(test.fault)
				start := time.Now()
				res := g.api("GET", "list", "")
				if time.Since(start) < test.fault.Delay {
					t.Error("no delay")
				}
				_, hasType := res.header["Content-Type"]
				if res.status != test.status || string(res.body) != test.body ||
					res.header.Get("Content-Type") != test.contentType || hasType != (test.contentType != "") {
					t.Errorf("got %d %q %v", res.status, res.body, res.header)
				}
				for name, want := range test.header {
					if res.header.Get(name) != want {
						t.Errorf("%s is %q", name, res.header.Get(name))
					}
				}
				if _, hasID := res.header["Seam-Request-Id"]; hasID == noID {
					t.Errorf("headers %v", res.header)
				}
			})
		}
	}
}

func TestFaultRateLimit(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	g.inject(sandbox.Fault{RateLimit: true, RetryAfter: 3, Times: 1})
	res := g.api("GET", "list", "")
	res.fails(429, "too_many_requests", "Too many requests")
	if res.header.Get("Retry-After") != "3" {
		t.Errorf("headers %v", res.header)
	}
	g.api("GET", "list", "").ok()
}

func TestFaultQueue(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	g.inject(sandbox.Fault{Status: 501, Times: 2, Path: "/client_sessions/get"})
	g.inject(sandbox.Fault{Status: 502, Times: 1})
	g.inject(sandbox.Fault{Delay: time.Millisecond, Times: 1})
	g.inject(sandbox.Fault{Status: 503})
	steps := []struct {
		path   string
		status int
	}{{"list", 502}, {"get", 501}, {"list", 200}, {"/get", 501}, {"get", 503}, {"list", 503}, {"list", 503}}
	for i, step := range steps {
		target := "/client_sessions/" + step.path
		if rest, doubled := strings.CutPrefix(step.path, "/"); doubled {
			target = "//client_sessions/" + rest
		}
		res := g.send("POST", target, "", "Authorization", "Bearer "+sandbox.APIKey)
		if res.status != step.status {
			t.Errorf("step %d: status %d", i, res.status)
		}
	}
	g.ClearFaults()
	g.api("GET", "list", "").ok()
	if n := len(g.Requests()); n != len(steps)+1 {
		t.Errorf("%d requests", n)
	}
}

func TestInjectRefusesInvalidFaults(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	for _, f := range []sandbox.Fault{
		{Status: 99},
		{Status: 600},
		{Status: 101},
		{Times: -1},
		{Delay: -1},
		{RetryAfter: -1, RateLimit: true},
		{Disconnect: "maybe"},
		{Status: 500, RateLimit: true},
		{Status: 500, Disconnect: sandbox.DisconnectReset},
		{Body: "x"},
		{ContentType: "x"},
		{Header: map[string]string{"a": "b"}},
		{RetryAfter: 1},
	} {
		if err := s.Inject(f); err == nil {
			t.Errorf("%+v is accepted", f)
		}
	}
}

func TestFaultReset(t *testing.T) {
	overEachProtocol(t, func(t *testing.T, g *harness, _ *sandbox.Server) {
		g.api("GET", "list", "").ok() // Whoever writes while the reset comes gets it, and the reader gets an EOF.
		g.inject(sandbox.Fault{Disconnect: sandbox.DisconnectReset, Times: 1})
		_, err := g.try(t.Context(), "POST", "/client_sessions/list", `{}`)
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v", err)
		}
		g.api("GET", "list", "").ok()
	})
}

func TestFaultTruncate(t *testing.T) {
	overEachProtocol(t, func(t *testing.T, g *harness, _ *sandbox.Server) {
		g.inject(sandbox.Fault{Disconnect: sandbox.DisconnectTruncate, Times: 1})
		res, err := g.try(t.Context(), "POST", "/client_sessions/list", `{}`)
		reset := err != nil && strings.Contains(err.Error(), "stream error") // HTTP/2's.
		if !errors.Is(err, io.ErrUnexpectedEOF) && !reset || res.status != 200 || len(res.body) == 0 {
			t.Errorf("got %v, %d, %q", err, res.status, res.body)
		}
		if res.header.Get("seam-request-id") == "" || res.header.Get("Content-Type") != "application/json" {
			t.Errorf("headers %v", res.header)
		}
	})
}

func TestFaultEndless(t *testing.T) {
	overEachProtocol(t, func(t *testing.T, g *harness, _ *sandbox.Server) {
		g.inject(sandbox.Fault{Disconnect: sandbox.DisconnectEndless, Times: 2})
		get := func() *http.Response {
			res, err := g.client.Get(g.url + "/client_sessions/list")
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
		res := get()
		n, err := io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if n < 60<<20 || n > 66<<20 || err == nil {
			t.Errorf("read %d bytes, %v", n, err)
		}
		// The body ends when the client closes the connection or resets the stream: Close of the server
		// waits for handlers, so it would hang on one that still writes.
		res = get()
		if _, err := io.CopyN(io.Discard, res.Body, 1<<10); err != nil {
			t.Error(err)
		}
		res.Body.Close()
	})
}

func TestFaultDelayEndsWhenClientCancels(t *testing.T) {
	overEachProtocol(t, func(t *testing.T, g *harness, server *sandbox.Server) {
		g.inject(sandbox.Fault{Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := g.try(ctx, "GET", "/client_sessions/list", ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil { // It waits for requests.
			t.Errorf("the delay goes on without the client: %v", err)
		}
	})
}
