package rest_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service"
	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/rest"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seamjson"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	grantPath = "/client_sessions/grant_access"
	byID      = `{"client_session_id":"` + sandbox.SessionID + `",` +
		`"connected_account_ids":["` + sandbox.ConnectedAccountID + `"]}`
	// own is an origin whose pages are allowed, and evil any other.
	own, evil = "https://app.example.com", "https://evil.example"
)

// harness is the REST face over TLS, with the handlers in front of a sandbox of its own, and a caller.
type harness struct {
	t       *testing.T
	url     *url.URL
	client  *http.Client
	sandbox *sandbox.Sandbox
	// stop ends the face and waits for its requests, and log is to be read after that.
	stop func()
	log  bytes.Buffer
}

// start serves the face until the test ends. change may alter its configuration. The callers' credentials go to Seam in
// any case: whose credential it is, is nothing to the face.
func start(t *testing.T, change ...func(*rest.Config)) *harness {
	t.Helper()
	h := &harness{t: t, sandbox: sandbox.New(sandbox.Options{})}
	logger, registry := slog.New(slog.NewJSONHandler(&h.log, nil)), prometheus.NewRegistry()
	contract := clientsessionv1.File_seam_clientsession_v1_client_session_service_proto
	codec, err := seamjson.New(contract, clientsessionv1.File_seam_clientsession_v1_client_session_proto)
	h.must(err)
	rules, err := call.NewRules(contract.Messages())
	h.must(err)
	config := rest.Config{
		Methods: h.methods(seam.Config{Codec: codec, Logger: logger, Registry: registry}),
		Headers: []string{call.HeaderCallID}, Codec: codec, Logger: logger, Registry: registry,
	}
	for _, header := range seam.Headers() {
		config.Headers = append(config.Headers, header.Name)
	}
	for _, f := range change {
		f(&config)
	}
	served := call.Served{
		Description: &clientsessionv1.ClientSessionService_ServiceDesc, Faces: []string{call.FaceREST},
	}
	config.Calls = call.NewServer(call.Config{
		Logger: logger, Registry: registry, Served: []call.Served{served},
		Panics:        prometheus.NewCounter(prometheus.CounterOpts{Name: "panics"}),
		InFlight:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "in_flight"}),
		Refused:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "refused"}, []string{"limit"}),
		Authenticator: auth.NewPassThrough(), Rules: rules,
		MaxInFlight: 8, DefaultTimeout: time.Minute, MaxTimeout: time.Minute,
	})
	face, err := rest.New(config)
	h.must(err)
	server := httptest.NewUnstartedServer(face)
	server.EnableHTTP2 = true
	server.StartTLS()
	h.url, err = url.Parse(server.URL)
	h.must(err)
	h.client = server.Client()
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.client.Transport.(*http.Transport).DisableCompression = true
	h.stop = sync.OnceFunc(server.Close)
	t.Cleanup(h.stop)
	return h
}

// methods returns the handlers, in front of the sandbox.
func (h *harness) methods(config seam.Config) []*call.Method {
	h.t.Helper()
	upstream, err := sandbox.ListenTLS("127.0.0.1:0", h.sandbox)
	h.must(err)
	config.Endpoint, err = url.Parse(upstream.URL())
	h.must(err)
	config.CAs = x509.NewCertPool()
	config.CAs.AppendCertsFromPEM(upstream.AuthorityPEM())
	client := seam.New(config)
	h.t.Cleanup(func() {
		client.Close()
		_ = upstream.Close()
	})
	return service.New(client, prometheus.NewCounter(prometheus.CounterOpts{Name: "refused"})).Methods()
}

func (h *harness) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// response is what came back.
type response struct {
	status int
	header http.Header
	text   string
}

// send makes one request. The headers are pairs, and an empty value takes one away that is there by default.
func (h *harness) send(method, path, body string, headers ...string) response {
	h.t.Helper()
	request, err := http.NewRequestWithContext(h.t.Context(), method, h.url.String(), strings.NewReader(body))
	h.must(err)
	path, request.URL.RawQuery, _ = strings.Cut(path, "?")
	request.URL.RawPath = path // It goes out as it is written, with its slashes.
	request.URL.Path, err = url.PathUnescape(path)
	h.must(err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+sandbox.APIKey)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			request.Header.Del(headers[i])
		}
	}
	request.Host = request.Header.Get("Host")
	request.Header.Del("Host")
	got, err := h.client.Do(request)
	h.must(err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	h.must(err)
	return response{got.StatusCode, got.Header, string(text)}
}

// grant posts a grant.
func (h *harness) grant(body string, headers ...string) response {
	h.t.Helper()
	return h.send(http.MethodPost, grantPath, body, headers...)
}

// failure returns the `error` member of a response, empty for a success.
func (r response) failure(t *testing.T) map[string]any {
	t.Helper()
	var members struct{ Error map[string]any }
	if err := json.Unmarshal([]byte(r.text), &members); err != nil {
		t.Errorf("%d %q is no JSON: %v", r.status, r.text, err)
	}
	return members.Error
}
