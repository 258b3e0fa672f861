package sandbox_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/sandbox"
)

func TestShutdown(t *testing.T) {
	for name, test := range map[string]struct {
		timeout, delay time.Duration
		fails          bool
	}{
		"waits for the response": {10 * time.Second, 100 * time.Millisecond, false},
		"ends with the context":  {50 * time.Millisecond, time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			overEachProtocol(t, func(t *testing.T, g *harness) {
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
				if err := g.Shutdown(ctx); (err != nil) != test.fails {
					t.Errorf("shutdown: %v", err)
				}
				if err := <-served; (err != nil) != test.fails {
					t.Errorf("request: %v", err)
				}
				if err := g.Close(); err != nil {
					t.Errorf("close again: %v", err)
				}
			})
		})
	}
}

// TestProtocols shows what a client gets that trusts the authority, by the address and by the name of the machine, and
// that another client gets nothing.
func TestProtocols(t *testing.T) {
	overEachProtocol(t, func(t *testing.T, g *harness) {
		for _, url := range []string{g.URL(), strings.Replace(g.URL(), "127.0.0.1", "localhost", 1)} {
			res, err := g.client.Get(url + "/client_sessions/get")
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != 401 || (res.ProtoMajor == 2) != g.http2 {
				t.Errorf("%s: %s over %s", url, res.Status, res.Proto)
			}
		}
		g.send("GET", "/_sandbox/requests", "", "Origin", g.URL()).ok()
		secured := g.AuthorityPEM() != nil
		if strings.HasPrefix(g.URL(), "https://") != secured {
			t.Errorf("the URL is %s, the authority %q", g.URL(), g.AuthorityPEM())
		}
		g.client.Transport = &http.Transport{DisableKeepAlives: true}
		var untrusted *tls.CertificateVerificationError
		if _, err := g.try(t.Context(), "GET", "/", ""); errors.As(err, &untrusted) != secured {
			t.Errorf("a client that trusts nobody gets %v", err)
		}
	})
	for name, protocol := range protocols {
		if _, err := protocol.listen("127.0.0.1:-1", sandbox.New(sandbox.Options{})); err == nil {
			t.Errorf("%s: no error for an address that is none", name)
		}
	}
}
