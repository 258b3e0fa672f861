package sandbox_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/clientsession/client-session-service/service/sandbox"
)

// harness is a sandbox on a real listener together with a client for it.
type harness struct {
	*sandbox.Sandbox
	*sandbox.Server

	t      *testing.T
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
	return listen(t, "plain text", options)
}

// within returns the harness for a subtest.
func (g *harness) within(t *testing.T) *harness {
	t.Helper()
	inner := *g
	inner.t = t
	return &inner
}

// overEachProtocol runs a test for each of the protocols.
func overEachProtocol(t *testing.T, test func(*testing.T, *harness)) {
	t.Helper()
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) { test(t, listen(t, protocol, sandbox.Options{})) })
	}
}

func listen(t *testing.T, protocol string, options sandbox.Options) *harness {
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
		Transport:     transport,
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &harness{s, server, t, client, over.http2}
}

// reply is a response with its whole body, and the request that it is to.
type reply struct {
	t      *testing.T
	to     string
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
	req, err := http.NewRequestWithContext(ctx, method, g.URL()+target, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	if body != "" && req.Header["Content-Type"] == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := g.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	to := fmt.Sprintf("%s %s %.99s %q", method, target, body, headers)
	return reply{g.t, to, res.StatusCode, res.Header, content}, err
}

// withKey are the headers with the API key of the default workspace, and any others.
func withKey(headers ...string) []string {
	return append([]string{"Authorization", "Bearer " + sandbox.APIKey}, headers...)
}

// api sends an API request with that API key.
func (g *harness) api(method, endpoint, body string, headers ...string) reply {
	g.t.Helper()
	return g.send(method, "/client_sessions/"+endpoint, body, withKey(headers...)...)
}

// responds checks the body and head of a response: its status and, for an error, the type and message too.
func (r reply) responds(want string) map[string]any {
	r.t.Helper()
	id := r.header.Get("seam-request-id")
	if _, err := uuid.Parse(id); err != nil || r.header.Get("Content-Type") != "application/json" {
		r.t.Errorf("%s: headers %v", r.to, r.header)
	}
	var v map[string]any
	if err := json.Unmarshal(r.body, &v); err != nil {
		r.t.Fatalf("%s: status %d, %v in %q", r.to, r.status, err, r.body)
	}
	got := fmt.Sprint(r.status)
	e, failed := v["error"].(map[string]any)
	if failed {
		got += fmt.Sprintf(" %v: %v", e["type"], e["message"])
	}
	if got != want || v["ok"] != !failed || failed && e["request_id"] != id {
		r.t.Errorf("%s: got %s\nwant %s\nbody %s", r.to, got, want, r.body)
	}
	return v
}

func (r reply) ok() map[string]any {
	r.t.Helper()
	return r.responds("200")
}

// fails returns the error.
func (r reply) fails(want string) map[string]any {
	r.t.Helper()
	e, _ := r.responds(want)["error"].(map[string]any)
	return e
}

// session checks members of the session in a response. One that is wanted as "absent" is not to be there.
func (r reply) session(want string) map[string]any {
	r.t.Helper()
	s, _ := r.ok()["client_session"].(map[string]any)
	var members map[string]any
	if err := json.Unmarshal([]byte(want), &members); err != nil || s == nil {
		r.t.Fatalf("%s: want %s (%v), got %s", r.to, want, err, r.body)
	}
	for name, member := range members {
		if got, present := s[name]; present == (member == "absent") || present && !reflect.DeepEqual(got, member) {
			r.t.Errorf("%s: %s is %v, want %v", r.to, name, got, member)
		}
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
