package server_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// TestSettingsOfREST shows that the settings about pages, hosts and the API page reach the REST face. The tests of
// service/rest show what the face makes of them.
func TestSettingsOfREST(t *testing.T) {
	t.Parallel()
	const origin, evil, host = "https://app.example.com", "https://evil.example", "sessions.example.com"
	origins := func(cfg *config.Config) { cfg.CORSOrigins = []string{origin} }
	noCallers := func(cfg *config.Config) { cfg.SeamAPIKey, cfg.AllowedHosts = sandbox.APIKey, []string{host} }
	passThrough, listed := start(t), start(t, origins)
	withCallers, anonymous := startWithCredential(t, origins).harness, start(t, noCallers)
	docs := start(t, func(cfg *config.Config) { cfg.APIDocs = true })
	builtIn := start(t, func(cfg *config.Config) { cfg.Sandbox, cfg.SandboxListen = true, "127.0.0.1:0" })
	const get, list, docsPage = "/client_sessions/get", "/client_sessions/list", "/docs"
	preflight := []string{"Origin", origin, "Access-Control-Request-Method", "POST"}
	for name, c := range map[string]struct {
		h            *harness
		method, path string
		header       []string
		status       int
	}{
		"no page by default":           {passThrough, http.MethodOptions, grantPath, preflight, 405},
		"a listed origin":              {listed, http.MethodOptions, grantPath, preflight, 204},
		"a page without the key":       {passThrough, http.MethodGet, get, []string{"Origin", evil}, 401},
		"the same with the key":        {withCallers, http.MethodGet, get, []string{"Origin", evil}, 403},
		"a listed one with the key":    {withCallers, http.MethodGet, get, []string{"Origin", origin}, 401},
		"any host where callers are":   {withCallers, http.MethodGet, get, []string{"Host", "evil.example"}, 401},
		"a host where there are none":  {anonymous, http.MethodGet, list, []string{"Host", "evil.example"}, 403},
		"an address that is not ours":  {anonymous, http.MethodGet, list, []string{"Host", "192.0.2.1"}, 403},
		"an allowed host":              {anonymous, http.MethodGet, list, []string{"Host", host}, 200},
		"no API page by default":       {passThrough, http.MethodGet, docsPage, nil, 404},
		"the API page":                 {docs, http.MethodGet, docsPage, nil, 200},
		"the API page and the sandbox": {builtIn, http.MethodGet, docsPage, nil, 200},
	} {
		if got, text := c.h.ask(c.method, "http://"+c.h.at.HTTP+c.path, "", c.header...); got != c.status {
			t.Errorf("%s: %d %s", name, got, text)
		}
	}
}

// TestDrainEndsStreams shows that a health watch reports the drain and does not delay it.
func TestDrainEndsStreams(t *testing.T) {
	t.Parallel()
	h := start(t)
	watch, err := healthv1.NewHealthClient(h.conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := watch.Recv(); err != nil || got.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("got %v, %v", got, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.stop() }()
	if got, err := watch.Recv(); err != nil || got.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable || errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the drain waits for the stream")
	}
}
