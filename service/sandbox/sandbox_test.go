package sandbox_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/clientsession/client-session-service/service/sandbox"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// harness is a sandbox on a real listener together with a client for it.
type harness struct {
	*sandbox.Sandbox
	t      *testing.T
	url    string
	client *http.Client
	http2  bool
}

// startTime has more digits than the API's format, so that the test sees rounding.
var startTime = time.Date(2026, 1, 2, 3, 4, 5, 678_912_345, time.UTC)

// protocols are the ways to reach a sandbox: how it listens, and what the client speaks.
var protocols = map[string]struct {
	listen func(string, *sandbox.Sandbox) (*sandbox.Server, error)
	http2  bool
}{
	"plain text":    {sandbox.Listen, false},
	"TLS, HTTP/1.1": {sandbox.ListenTLS, false},
	"TLS, HTTP/2":   {sandbox.ListenTLS, true},
}

// newHarness is reached in plain text.
func newHarness(t *testing.T, options sandbox.Options) *harness {
	t.Helper()
	g, _ := listen(t, "plain text", options)
	return g
}

// overEachProtocol runs a test for each of the protocols.
func overEachProtocol(t *testing.T, test func(*testing.T, *harness, *sandbox.Server)) {
	t.Helper()
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			g, server := listen(t, protocol, sandbox.Options{})
			test(t, g, server)
		})
	}
}

func listen(t *testing.T, protocol string, options sandbox.Options) (*harness, *sandbox.Server) {
	t.Helper()
	if options.Now == nil {
		options.Now = func() time.Time { return startTime }
	}
	s, over := sandbox.New(options), protocols[protocol]
	server, err := over.listen("127.0.0.1:0", s)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(server.AuthorityPEM())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: over.http2}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	client := &http.Client{
		Transport: transport,
		Timeout:   20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	return &harness{Sandbox: s, t: t, url: server.URL(), client: client, http2: over.http2}, server
}

// reply is a response with its whole body.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// send sends a request with headers, as name and value in turn. A body
// gets the content type of JSON unless the headers have another.
func (g *harness) send(method, target, body string, headers ...string) reply {
	g.t.Helper()
	res, err := g.try(g.t.Context(), method, target, body, headers...)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, target, err)
	}
	return res
}

func (g *harness) try(ctx context.Context, method, target, body string, headers ...string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, g.url+target, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header[http.CanonicalHeaderKey(headers[i])] = []string{headers[i+1]}
	}
	res, err := g.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return reply{t: g.t, status: res.StatusCode, header: res.Header, body: content}, err
}

// api sends an API request with the API key of the default workspace.
func (g *harness) api(method, endpoint, body string, headers ...string) reply {
	g.t.Helper()
	headers = append([]string{"Authorization", "Bearer " + sandbox.APIKey}, headers...)
	return g.send(method, "/client_sessions/"+endpoint, body, headers...)
}

func (r reply) json() map[string]any {
	r.t.Helper()
	var v map[string]any
	if err := json.Unmarshal(r.body, &v); err != nil {
		r.t.Fatalf("status %d: %v in %q", r.status, err, r.body)
	}
	return v
}

func (r reply) ok() map[string]any {
	r.t.Helper()
	r.checkHead()
	v := r.json()
	if r.status != 200 || v["ok"] != true {
		r.t.Fatalf("status %d, body %s", r.status, r.body)
	}
	return v
}

func (r reply) session() map[string]any {
	r.t.Helper()
	s, _ := r.ok()["client_session"].(map[string]any)
	if s == nil {
		r.t.Fatalf("no client_session in %s", r.body)
	}
	return s
}

// ids lists the ids of the sessions in the response to a list.
func (r reply) ids() []string {
	r.t.Helper()
	ids := []string{}
	for _, s := range r.ok()["client_sessions"].([]any) {
		ids = append(ids, s.(map[string]any)["client_session_id"].(string))
	}
	return ids
}

func (r reply) checkHead() {
	r.t.Helper()
	if got := r.header.Get("Content-Type"); got != "application/json" {
		r.t.Errorf("content type %q", got)
	}
	if _, err := uuid.Parse(r.header.Get("seam-request-id")); err != nil {
		r.t.Errorf("seam-request-id: %v", err)
	}
}

// fails checks the whole error but for its validation errors.
func (r reply) fails(status int, kind, message string) map[string]any {
	r.t.Helper()
	r.checkHead()
	v := r.json()
	e, _ := v["error"].(map[string]any)
	if r.status != status || v["ok"] != false || e["type"] != kind || e["message"] != message {
		r.t.Errorf("got status %d, body %s\nwant %d, %s, %s", r.status, r.body, status, kind, message)
	}
	if e["request_id"] != r.header.Get("seam-request-id") {
		r.t.Errorf("request_id %v is not the header's %v", e["request_id"], r.header.Get("seam-request-id"))
	}
	return e
}

func sameJSON(t *testing.T, got any, want string) {
	t.Helper()
	var w any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, w) {
		text, _ := json.Marshal(got)
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestRawJSON(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	tests := []struct {
		name, method, endpoint, body, want string
	}{
		{
			"unset members", "GET", "get?client_session_id=" + sandbox.KeylessSessionID, "",
			`{"client_session":{"client_session_id":"0b9c8d7e-6f5a-4432-9c1b-0a1b2c3d4e03",` +
				`"connect_webview_ids":[],"connected_account_ids":[],"created_at":"2025-12-23T04:04:05.678Z",` +
				`"device_count":0,"expires_at":"2026-12-23T04:04:05.678Z",` +
				`"token":"seam_cst1SandboxKeyless000000000000000000","user_identifier_key":null,` +
				`"user_identity_ids":[],"workspace_id":"5f1a7c3e-8d24-4b69-9e0a-2c6b7d8e9f01"},"ok":true}`,
		},
		{
			"documented grant", "PATCH", "grant_access",
			`{"client_session_id":"3ada79d3-2848-4320-b2ef-a82e1e6dafac","user_identifier_key":"jane_doe",` +
				`"connected_account_ids":["c35ecf64-474a-466a-95a6-7b35cb4c8bb4"],` +
				`"connect_webview_ids":["dad03fb2-f801-449c-ab88-0529728c7c38"],` +
				`"user_identity_id":"bde98963-3615-4e92-943e-17de3017232b"}`,
			`{"client_session":{"client_session_id":"3ada79d3-2848-4320-b2ef-a82e1e6dafac",` +
				`"connect_webview_ids":["dad03fb2-f801-449c-ab88-0529728c7c38"],` +
				`"connected_account_ids":["c35ecf64-474a-466a-95a6-7b35cb4c8bb4"],` +
				`"created_at":"2025-12-23T03:04:05.678Z","device_count":2,"expires_at":"2026-12-23T03:04:05.678Z",` +
				`"token":"seam_cst1SandboxFirst00000000000000000000","user_identifier_key":"jane_doe",` +
				`"user_identity_id":"bde98963-3615-4e92-943e-17de3017232b",` +
				`"user_identity_ids":["bde98963-3615-4e92-943e-17de3017232b"],` +
				`"workspace_id":"5f1a7c3e-8d24-4b69-9e0a-2c6b7d8e9f01"},"ok":true}`,
		},
		{"revoke", "POST", "revoke", `{"client_session_id":"` + sandbox.KeylessSessionID + `"}`, `{"ok":true}`},
		{"empty list", "GET", "list?user_identifier_key=%3Cnobody%3E", "", `{"client_sessions":[],"ok":true}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			res := g.api(test.method, test.endpoint, test.body)
			res.ok()
			if string(res.body) != test.want {
				t.Errorf("got  %s\nwant %s", res.body, test.want)
			}
		})
	}
}

func TestExtraMembers(t *testing.T) {
	g := newHarness(t, sandbox.Options{ExtraMembers: true})
	revoked := g.api("GET", "get?client_session_id="+sandbox.RevokedSessionID, "").session()
	if revoked["revoked_at"] != "2026-01-02T02:04:05.678Z" || revoked["publishable_key"] != nil || revoked["api_key_id"] == nil {
		t.Errorf("got %v", revoked)
	}
	created := g.send("PUT", "/client_sessions/create", `{"user_identifier_key":"x"}`,
		"seam-publishable-key", sandbox.PublishableKey).session()
	for name, want := range map[string]any{"publishable_key": sandbox.PublishableKey, "revoked_at": nil, "api_key_id": nil} {
		if got, present := created[name]; !present || got != want {
			t.Errorf("%s is %v, %t", name, got, present)
		}
	}
}

// Two runs after a reset must be the same to the byte.
func TestResetIsDeterministic(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	run := func() string {
		var all bytes.Buffer
		for _, key := range []string{"a", "b"} {
			all.Write(g.api("PUT", "create", `{"user_identifier_key":"`+key+`"}`).body)
		}
		g.api("POST", "delete", `{"client_session_id":"`+sandbox.SessionID+`"}`).ok()
		all.Write(g.api("POST", "create", "").body)
		all.Write(g.api("GET", "list", "").body)
		return all.String()
	}
	first := run()
	if err := g.Inject(sandbox.Fault{Status: 500}); err != nil {
		t.Fatal(err)
	}
	g.Reset()
	if n := len(g.Requests()); n != 0 {
		t.Errorf("%d requests after a reset", n)
	}
	if second := run(); second != first {
		t.Errorf("first  %s\nsecond %s", first, second)
	}
}

func TestRequests(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	g.api("POST", "list?_strict=true", `{}`, "seam-sdk-name", "test").ok()
	g.send("GET", "//elsewhere", "")
	got := g.Requests()
	if len(got) != 2 {
		t.Fatalf("%d requests", len(got))
	}
	first := got[0]
	if first.Method != "POST" || first.Path != "/client_sessions/list" || first.RawQuery != "_strict=true" ||
		first.Header.Get("seam-sdk-name") != "test" || string(first.Body) != "{}" {
		t.Errorf("got %+v", first)
	}
	if got[1].Path != "//elsewhere" {
		t.Errorf("path %q", got[1].Path)
	}
	first.Header.Set("seam-sdk-name", "changed")
	if g.Requests()[0].Header.Get("seam-sdk-name") != "test" {
		t.Error("the caller can change the log")
	}
	g.ClearRequests()
	if len(g.Requests()) != 0 {
		t.Error("the log is not empty")
	}
}

func TestRequestsAreBounded(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	for range 10_001 {
		req, _ := http.NewRequest(http.MethodGet, "http://sandbox/a", http.NoBody)
		s.ServeHTTP(discard{}, req)
	}
	req, _ := http.NewRequest(http.MethodGet, "http://sandbox/last", http.NoBody)
	s.ServeHTTP(discard{}, req)
	got := s.Requests()
	if len(got) != 10_000 || got[len(got)-1].Path != "/last" {
		t.Errorf("%d requests", len(got))
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

func TestShutdown(t *testing.T) {
	for _, test := range []struct {
		name    string
		timeout time.Duration
		delay   time.Duration
		fails   bool
	}{
		{"waits for the response", 10 * time.Second, 100 * time.Millisecond, false},
		{"ends with the context", 50 * time.Millisecond, time.Hour, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			overEachProtocol(t, func(t *testing.T, g *harness, server *sandbox.Server) {
				g.inject(sandbox.Fault{Delay: test.delay})
				served := make(chan error)
				go func() {
					_, err := g.try(context.WithoutCancel(t.Context()), "GET", "/", "")
					served <- err
				}()
				for len(g.Requests()) == 0 {
					time.Sleep(time.Millisecond)
				}
				ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
				defer cancel()
				if err := server.Shutdown(ctx); (err != nil) != test.fails {
					t.Errorf("shutdown: %v", err)
				}
				if err := <-served; (err != nil) != test.fails {
					t.Errorf("request: %v", err)
				}
				if err := server.Close(); err != nil {
					t.Errorf("close again: %v", err)
				}
			})
		})
	}
}

// TestProtocols shows what a client gets that trusts the authority, by the address and by the name of the machine, and
// that another client gets nothing.
func TestProtocols(t *testing.T) {
	overEachProtocol(t, func(t *testing.T, g *harness, server *sandbox.Server) {
		for _, url := range []string{g.url, strings.Replace(g.url, "127.0.0.1", "localhost", 1)} {
			res, err := g.client.Get(url + "/client_sessions/get")
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != 401 || (res.ProtoMajor == 2) != g.http2 {
				t.Errorf("%s: %s over %s", url, res.Status, res.Proto)
			}
		}
		g.send("GET", "/_sandbox/requests", "", "Origin", g.url).ok()
		secured := server.AuthorityPEM() != nil
		if scheme, _, _ := strings.Cut(g.url, ":"); (scheme == "https") != secured {
			t.Errorf("the URL is %s, the authority %q", g.url, server.AuthorityPEM())
		}
		g.client.Transport = &http.Transport{DisableKeepAlives: true}
		var untrusted *tls.CertificateVerificationError
		if _, err := g.try(t.Context(), "GET", "/", ""); errors.As(err, &untrusted) != secured {
			t.Errorf("a client that trusts nobody gets %v", err)
		}
	})
}

func TestListenFails(t *testing.T) {
	for name, protocol := range protocols {
		if _, err := protocol.listen("127.0.0.1:-1", sandbox.New(sandbox.Options{})); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
