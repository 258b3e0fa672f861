package server_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

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

// TestHTTPIdleTimeout shows that a connection without a request is closed after --http-idle-timeout, and not before.
func TestHTTPIdleTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 300 * time.Millisecond
	h := start(t, func(cfg *config.Config) { cfg.HTTPIdleTimeout = timeout })
	connection := dial(t, h.at.HTTP)
	defer connection.Close()
	began := time.Now()
	if _, err := io.WriteString(connection, "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(connection)
	if took := time.Since(began); err != nil || !strings.HasPrefix(string(reply), "HTTP/1.1 200 OK\r\n") || took < timeout {
		t.Errorf("the connection is closed after %s and %q, %v", took, reply, err)
	}
}

// TestHTTP2WithoutTLS shows that a client that speaks HTTP/2 without TLS to the REST face is told of in one line of the
// log, which says what it did wrong, and that its connection is closed.
func TestHTTP2WithoutTLS(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*config.Config){
		"pass-through":       func(*config.Config) {},
		"a guarded Host":     func(cfg *config.Config) { cfg.SeamAPIKey = sandbox.APIKey },
		"pages of an origin": func(cfg *config.Config) { cfg.CORSOrigins = []string{"https://app.example.com"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, change)
			connection := dial(t, h.at.HTTP)
			defer connection.Close()
			framer := http2.NewFramer(connection, connection)
			_, err := io.WriteString(connection, http2.ClientPreface)
			if err := errors.Join(err, framer.WriteSettings()); err != nil {
				t.Fatal(err)
			}
			reply, _ := io.ReadAll(connection) // The end can be a reset: net/http does not read the frames.
			h.end()
			const line = `"level":"INFO","msg":"HTTP/2 without TLS is not served","http_method":"PRI"`
			if n := strings.Count(h.log.String(), line); n != 1 || !strings.HasPrefix(string(reply), "HTTP/1.1 40") {
				t.Errorf("%d lines, and the reply %.100q", n, reply)
			}
		})
	}
}
