package sandbox_test

import (
	"context"
	"errors"
	"fmt"
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

// TestFaultResponses injects faults as a program in another language does.
func TestFaultResponses(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	for _, test := range []struct {
		fault                         string
		status                        int
		body, contentType, retryAfter string
	}{
		{`{"status":503`, 503, "", "", ""},
		{`{"status":502,"body":"<html>","content_type":"text/html"`, 502, "<html>", "text/html", ""},
		{`{"status":200,"body":"{}","header":{"retry-after":"7"}`, 200, "{}", "application/json", "7"},
		{`{"status":504,"delay_ms":20`, 504, "", "", ""},
	} {
		for _, noID := range []bool{false, true} {
			g.send("POST", "/_sandbox/faults", fmt.Sprintf(`%s,"path":"/client_sessions/list","times":1,"no_request_id":%t}`, test.fault, noID)).ok()
			g.send("GET", "/", "").fails(notFound) // The fault is for another path.
			start := time.Now()
			res := g.api("GET", "list", "")
			if strings.Contains(test.fault, "delay") && time.Since(start) < 20*time.Millisecond {
				t.Error("no delay")
			}
			_, hasType := res.header["Content-Type"]
			_, hasID := res.header["Seam-Request-Id"]
			if res.status != test.status || string(res.body) != test.body || res.header.Get("Retry-After") != test.retryAfter ||
				res.header.Get("Content-Type") != test.contentType || hasType != (test.contentType != "") || hasID == noID {
				t.Errorf("%s: got %d %q %v", test.fault, res.status, res.body, res.header)
			}
			g.api("GET", "list", "").ok()
		}
	}
	g.send("POST", "/_sandbox/faults", `{"rate_limit":true,"retry_after":3,"times":1}`).ok()
	res := g.api("GET", "list", "")
	res.fails("429 too_many_requests: Too many requests")
	if res.header.Get("Retry-After") != "3" {
		t.Errorf("headers %v", res.header)
	}
	g.send("POST", "/_sandbox/faults", `{"disconnect":"reset"}`).ok()
	if _, err := g.try(t.Context(), "GET", "/client_sessions/list", ""); err == nil {
		t.Error("no reset")
	}
	g.send("DELETE", "/_sandbox/faults", "").ok()
	g.api("GET", "list", "").ok()
	for _, body := range []string{
		``, `{`, `[]`, `{}{}`, `{"delay":1}`, `{"delay_ms":-1}`, `{"delay_ms":3600001}`, `{"times":"1"}`, `{"status":1}`,
	} {
		if res := g.send("POST", "/_sandbox/faults", body); res.status != 400 || !strings.Contains(string(res.body), `"invalid_input"`) {
			t.Errorf("%s: got %d %s", body, res.status, res.body)
		}
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
	}{
		{"/client_sessions/list", 502},
		{"/client_sessions/get", 501},
		{"/client_sessions/list", 200},
		{"//client_sessions/get", 501},
		{"/client_sessions/get", 503},
		{"/client_sessions/list", 503},
		{"/client_sessions/list", 503},
	}
	for i, step := range steps {
		if res := g.send("POST", step.path, "", withKey()...); res.status != step.status {
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
	overEachProtocol(t, func(t *testing.T, g *harness) {
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
	overEachProtocol(t, func(t *testing.T, g *harness) {
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
	overEachProtocol(t, func(t *testing.T, g *harness) {
		g.inject(sandbox.Fault{Disconnect: sandbox.DisconnectEndless, Times: 2})
		get := func() *http.Response {
			res, err := g.client.Get(g.URL() + "/client_sessions/list")
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
	overEachProtocol(t, func(t *testing.T, g *harness) {
		g.inject(sandbox.Fault{Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := g.try(ctx, "GET", "/client_sessions/list", ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := g.Shutdown(ctx); err != nil { // It waits for requests.
			t.Errorf("the delay goes on without the client: %v", err)
		}
	})
}
