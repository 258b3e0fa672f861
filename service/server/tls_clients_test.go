package server

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestClientCertificates shows that the service authenticates a caller by its certificate, and refuses that of another
// authority in the handshake.
func TestClientCertificates(t *testing.T) {
	_, ours, cfg := goodFiles(t)
	h, untrusted := startTLS(t, cfg), servicetest.NewAuthority(t, "untrusted")
	h.onBoth(t, func(t *testing.T, on func(*tls.Config) tlsCall) {
		on(ours.Client(t, ours)).want(t, http.StatusOK)
		on(ours.Client(t, nil)).want(t, http.StatusUnauthorized)
		// Over TLS 1.3 the client has sent its request when the refusal comes, so that its error may be about that.
		const why = "certificate signed by unknown authority"
		before := strings.Count(h.log.String(), why)
		if _, err := on(ours.Client(t, untrusted))(); err == nil {
			t.Error("a certificate of another authority is accepted")
		}
		seamtest.Eventually(t, "the log says why", func() bool { return strings.Count(h.log.String(), why) > before })
	})
}

// TestNoResumptionPastChangedAuthorities has a client that keeps its sessions. Where certificates decide, there are
// none to resume; where they do not, there are.
func TestNoResumptionPastChangedAuthorities(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			_, ours, cfg := goodFiles(t)
			cfg.TLSMinVersion = tls.VersionTLS12
			without := cfg
			without.TLSClientCAFile = ""
			twice := func(h *tlsHarness, client *tls.Config) *tls.ConnectionState {
				t.Helper()
				client.MaxVersion, client.ClientSessionCache = version, tls.NewLRUClientSessionCache(10)
				if _, err := h.onHTTP(client)(); err != nil {
					t.Fatal(err)
				}
				got, err := h.onHTTP(client)()
				if err != nil {
					t.Fatal(err)
				}
				return got.state
			}
			if !twice(startTLS(t, without), ours.Client(t, nil)).DidResume {
				t.Error("a client without a certificate could not resume")
			}
			h, client, others := startTLS(t, cfg), ours.Client(t, ours), servicetest.NewAuthority(t, "others")
			if twice(h, client).DidResume {
				t.Error("a client with a certificate resumed")
			}
			if err := h.certificates.useClientCAs([][]byte{others.PEM}); err != nil {
				t.Fatal(err)
			}
			if _, err := h.onHTTP(client)(); err == nil {
				t.Error("the old authority is accepted")
			}
			h.onHTTP(ours.Client(t, others)).want(t, http.StatusOK)
		})
	}
}

// TestChangedAuthoritiesOnOpenConnections shows that a caller whose authority is trusted no more cannot go on over the
// connection that it has, and that it can once the authority is back.
func TestChangedAuthoritiesOnOpenConnections(t *testing.T) {
	_, ours, cfg := goodFiles(t)
	h := startTLS(t, cfg)
	h.onBoth(t, func(t *testing.T, on func(*tls.Config) tlsCall) {
		list := on(ours.Client(t, ours))
		for _, step := range []struct {
			trusted *servicetest.Authority
			status  int
		}{
			{ours, http.StatusOK},
			{servicetest.NewAuthority(t, "others"), http.StatusUnauthorized},
			{ours, http.StatusOK},
		} {
			if err := h.certificates.useClientCAs([][]byte{step.trusted.PEM}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got, err := list(); err != nil || got.status != step.status || got.connections != 1 {
					t.Errorf("%d over connection %d, %v", got.status, got.connections, err)
				}
			}
		}
	})
}
