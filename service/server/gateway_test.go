package server_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// The tests of this file are about what grpc-gateway does by default and Seam does not. What is about a failing
// request stands in the table of failures: unknown members, trailing bytes, wrong types, wrong methods, unknown paths,
// bodies that are too large or no JSON, 429 and 401.

// TestResponseHeaders shows that a response has Seam's headers, one against caches and the id of the call, whatever is asked for.
func TestResponseHeaders(t *testing.T) {
	h := start(t)
	allowed := []string{"Cache-Control", "Content-Length", "Content-Type", "Date", "Seam-Request-Id", "X-Request-Id"}
	for name, got := range map[string]restResponse{
		"good":     h.grant(byID, "TE", "trailers"),
		"bad":      h.grant(`{}`, "TE", "trailers"),
		"no match": h.send(http.MethodGet, "/nothing", "", "Accept", "application/grpc"),
	} {
		for header := range got.header {
			if !slices.Contains(allowed, header) {
				t.Errorf("%s: the response has the header %s", name, header)
			}
		}
	}
}

// TestForwardedHeaders shows which headers reach Seam: those on the list, once, and empty ones not at all.
func TestForwardedHeaders(t *testing.T) {
	sent := map[string]string{
		"authorization": "Bearer " + sandbox.APIKey, "seam-workspace": sandbox.WorkspaceID,
		"seam-sdk-name": "seamapi/javascript", "seam-sdk-version": "1.2.3", "seam-lts-version": "1.0.0",
		"user-identifier-key": "jane_doe", "seam-user-identifier-key": "", "client-session-token": "",
		// None of these is Seam's business.
		"cookie": "a=seam_secretcookie", "x-forwarded-for": "1.2.3.4", "grpc-metadata-authorization": "Bearer forged",
		"grpc-metadata-seam-workspace": "forged", "grpcgateway-authorization": "forged", "x-api-key": "secret",
		"x-request-id": "caller-1", "forwarded": "for=1.2.3.4", "traceparent": "00-0-0-00", "accept-encoding": "gzip",
	}
	reach := []string{
		"Authorization", "Seam-Workspace", "Seam-Sdk-Name", "Seam-Sdk-Version", "Seam-Lts-Version", "User-Identifier-Key",
	}
	own := map[string]string{
		"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "client-session-service/test",
	}
	check := func(t *testing.T, h *harness) {
		requests := h.sandbox.Requests()
		if len(requests) != 1 {
			t.Fatalf("%d requests reached Seam", len(requests))
		}
		for name, values := range requests[0].Header {
			switch {
			case name == "Content-Length":
			case slices.Contains(reach, name):
				if len(values) != 1 || values[0] != sent[strings.ToLower(name)] {
					t.Errorf("Seam got %s %d times: %q", name, len(values), values)
				}
			case len(values) != 1 || values[0] != own[name]:
				t.Errorf("Seam got %s: %q", name, values)
			}
		}
		for _, name := range reach {
			if requests[0].Header.Get(name) == "" {
				t.Errorf("Seam did not get %s", name)
			}
		}
		if err := h.stop(); err != nil {
			t.Error(err)
		}
		if calls := h.log.calls(t); len(calls) != 1 || calls[0]["call_id"] != "caller-1" {
			t.Errorf("the caller's request id is not in the log: %v", calls)
		}
	}
	t.Run("rest", func(t *testing.T) {
		h := start(t)
		var pairs []string
		for name, value := range sent {
			if value != "" {
				pairs = append(pairs, name, value)
			}
		}
		if got := h.grant(byID, pairs...); got.status != http.StatusOK {
			t.Fatalf("got %d %s", got.status, got.text)
		}
		check(t, h)
	})
	t.Run("grpc", func(t *testing.T) {
		h := start(t)
		ctx := metadata.NewOutgoingContext(t.Context(), metadata.New(sent))
		if _, err := h.client().GrantAccess(ctx, grantByID()); err != nil {
			t.Fatal(err)
		}
		check(t, h)
	})
}

// TestEmptyCredentials shows that a header with an empty value is an absent one: some SDKs send every header they know.
func TestEmptyCredentials(t *testing.T) {
	h := start(t)
	connection, err := net.Dial("tcp", h.at.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_, err = connection.Write([]byte("POST //client_sessions/grant_access HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" +
		"Authorization: Bearer " + sandbox.APIKey + "\r\nseam-workspace:\r\nclient-session-token:\r\n" +
		"seam-client-session-token:\r\nContent-Type: application/json; charset=utf-8\r\n" +
		"Content-Length: " + strconv.Itoa(len(byID)) + "\r\n\r\n" + byID))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("status %d", response.StatusCode)
	}
}

// TestPaths shows which spellings of a path are the path.
func TestPaths(t *testing.T) {
	h := start(t)
	for path, want := range map[string]int{
		"/client_sessions/grant_access":         http.StatusOK,
		"//client_sessions/grant_access":        http.StatusOK, // Some clients join URLs so. Never a redirect.
		"/client_sessions%2Fgrant_access":       http.StatusNotFound,
		"/client_sessions/%67rant_access":       http.StatusNotFound,
		"/client_sessions/grant_access/":        http.StatusNotFound,
		"/client_sessions//grant_access":        http.StatusNotFound,
		"/client_sessions/./grant_access":       http.StatusNotFound,
		"/x/../client_sessions/grant_access":    http.StatusNotFound,
		"/client_sessions/grant_access:grant":   http.StatusNotFound,
		"/seam.clientsession.v1/GrantAccess":    http.StatusNotFound,
		"/_sandbox/requests":                    http.StatusNotFound,
		"/CLIENT_SESSIONS/grant_access":         http.StatusNotFound,
		"/client_sessions/grant_access;a=b":     http.StatusNotFound,
		"/client_sessions/grant_access%00":      http.StatusNotFound,
		"/" + sandbox.SessionToken + "/a":       http.StatusNotFound,
		"/client_sessions/" + sandbox.APIKey:    http.StatusNotFound,
		"//////client_sessions/grant_access":    http.StatusOK,
		"/%2Fclient_sessions/grant_access":      http.StatusNotFound,
		"//evil.example//client_sessions/grant": http.StatusNotFound,
	} {
		if got := h.send(http.MethodPost, path, byID); got.status != want {
			t.Errorf("%s gets %d %s, want %d", path, got.status, got.text, want)
		}
	}
	for _, secret := range secrets() {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log holds the secret %s out of a path", secret)
		}
	}
}

// TestMethods shows that a wrong method names the right ones, and that no header makes another one of it.
func TestMethods(t *testing.T) {
	h := start(t)
	for _, method := range []string{"GET", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "GRANT"} {
		got := h.send(method, grantPath, "", "X-HTTP-Method-Override", "POST")
		if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "PATCH, POST" {
			t.Errorf("%s gets %d, Allow %q", method, got.status, got.header.Get("Allow"))
		}
	}
	got := h.grant("", "X-HTTP-Method-Override", "PATCH", "Content-Type", "application/x-www-form-urlencoded")
	if got.status != http.StatusBadRequest || got.failure(t)["type"] != "invalid_input" {
		t.Errorf("a form that asks for another method gets %d %s", got.status, got.text)
	}
}

// TestDeadlineOverREST shows that a REST caller's Grpc-Timeout is nothing: neither a longer deadline than the
// service's nor an invalid one counts.
func TestDeadlineOverREST(t *testing.T) {
	t.Parallel()
	h := start(t, func(cfg *config.Config) { cfg.DefaultTimeout = time.Second })
	if got := h.grant(byID, "Grpc-Timeout", "x"); got.status != http.StatusOK {
		t.Errorf("an invalid timeout gets %d %s", got.status, got.text)
	}
	if got := h.grant(byID, "Grpc-Timeout", "1n"); got.status != http.StatusOK {
		t.Errorf("a nanosecond gets %d %s", got.status, got.text)
	}
	if err := h.sandbox.Inject(sandbox.Fault{Delay: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if got := h.grant(byID, "Grpc-Timeout", "9H"); got.status != http.StatusGatewayTimeout {
		t.Errorf("nine hours get %d %s", got.status, got.text)
	}
}

// TestDeadlineOverGRPC shows that a caller's deadline counts, but no longer than the limit.
func TestDeadlineOverGRPC(t *testing.T) {
	t.Parallel()
	h := start(t, func(cfg *config.Config) { cfg.MaxTimeout = 200 * time.Millisecond })
	if err := h.sandbox.Inject(sandbox.Fault{Delay: time.Minute}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(authorized(t), time.Hour)
	defer cancel()
	_, err := h.client().GrantAccess(ctx, grantByID())
	if d := details(t, status.Convert(err)); status.Code(err) != codes.DeadlineExceeded ||
		d.info.GetReason() != "UPSTREAM_TIMEOUT" {
		t.Errorf("over the limit: got %v, want the service's own DEADLINE_EXCEEDED", err)
	}
	// Many, because a stream that is reset at the deadline looks like a cancellation to the caller now and then.
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(authorized(t), 50*time.Millisecond)
			defer cancel()
			if _, err := h.client().GrantAccess(ctx, grantByID()); status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("the caller's own: got %v", err)
			}
		})
	}
	calls.Wait()
}

// TestUnauthenticatedHeader shows the fixed text of WWW-Authenticate; the gateway would put the message there.
func TestUnauthenticatedHeader(t *testing.T) {
	h := start(t)
	got := h.grant(byID, "Authorization", "Bearer seam_unknown")
	if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("got %d, WWW-Authenticate %q", got.status, got.header.Get("WWW-Authenticate"))
	}
}
