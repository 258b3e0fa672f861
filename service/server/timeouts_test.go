package server

import (
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/config"
)

// TestTimeoutsOfREST shows that no connection of the REST face lasts for long without a request or a response in
// progress. To wait for these timeouts would take minutes.
func TestTimeoutsOfREST(t *testing.T) {
	s, err := New(config.Config{
		GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", MaxInFlight: 1,
		DefaultTimeout: time.Minute, MaxTimeout: time.Minute, HTTPIdleTimeout: 620 * time.Second,
		SeamEndpoint: &url.URL{Scheme: "https", Host: "seam.invalid"},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.closeListeners()
	defer s.grpcServer.Stop()
	defer s.seamClient.Close()
	for name, timeout := range map[string]struct{ got, least, most time.Duration }{
		"headers":  {s.httpServer.ReadHeaderTimeout, time.Second, 10 * time.Second},
		"request":  {s.httpServer.ReadTimeout, 10 * time.Second, 15 * time.Second},
		"response": {s.httpServer.WriteTimeout, time.Minute, 2 * time.Minute},
		"idle":     {s.httpServer.IdleTimeout, 620 * time.Second, 620 * time.Second},
		// No setting changes that of the admin listener.
		"idle, admin listener": {s.adminServer.IdleTimeout, time.Minute, 2 * time.Minute},
	} {
		if timeout.got < timeout.least || timeout.got > timeout.most {
			t.Errorf("%s: %s, want from %s to %s", name, timeout.got, timeout.least, timeout.most)
		}
	}
}
