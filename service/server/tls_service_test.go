package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// startShop starts the whole service over TLS. It holds the key, and its one caller proves itself by a certificate.
func startShop(t *testing.T, cfg config.Config) *Server {
	t.Helper()
	callers := filepath.Join(t.TempDir(), "callers.yaml")
	if err := os.WriteFile(callers, []byte("callers: [{name: shop, dns_name: shop.example.com, rpcs: ['*']}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.GRPCListen, cfg.HTTPListen, cfg.AdminListen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	StartSeam(t, sandbox.New(sandbox.Options{}), &cfg)
	cfg.DefaultTimeout, cfg.MaxTimeout = 10*time.Second, 10*time.Second
	cfg.MaxInFlight, cfg.DrainTimeout = 16, 10*time.Second
	cfg.SeamAPIKey, cfg.CallersFile = sandbox.APIKey, callers
	log := &tlsHarness{t: t}
	s, err := New(cfg, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log.logged())
		}
	})
	return s
}

// shopOnHTTP and shopOnGRPC return what lists sessions over one connection, and tells the status of the response, the
// number of connections that it took up to then, and what went wrong otherwise.
func shopOnHTTP(t *testing.T, s *Server, client *tls.Config) func() (code, connections int, err error) {
	t.Helper()
	client, connections := counting(client)
	transport := &http.Transport{TLSClientConfig: client, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return func() (int, int, error) {
		response, err := (&http.Client{Transport: transport}).Post(
			"https://"+s.Addresses().HTTP+"/client_sessions/list", "application/json", strings.NewReader("{}"))
		if err != nil {
			return 0, int(connections.Load()), err
		}
		text, err := io.ReadAll(response.Body)
		if err = errors.Join(err, response.Body.Close()); err == nil && response.ProtoMajor != 2 {
			err = errors.New(response.Proto + " " + string(text))
		}
		return response.StatusCode, int(connections.Load()), err
	}
}

func shopOnGRPC(t *testing.T, s *Server, client *tls.Config) func() (code, connections int, err error) {
	t.Helper()
	client, connections := counting(client)
	connection, err := grpc.NewClient(s.Addresses().GRPC, grpc.WithTransportCredentials(credentials.NewTLS(client)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return func() (int, int, error) {
		_, err := clientsessionv1.NewClientSessionServiceClient(connection).List(t.Context(), &clientsessionv1.ListRequest{})
		switch status.Code(err) {
		case codes.OK:
			return http.StatusOK, int(connections.Load()), nil
		case codes.Unauthenticated:
			return http.StatusUnauthorized, int(connections.Load()), nil
		default:
			return 0, int(connections.Load()), err
		}
	}
}

// counting returns the configuration of a client that counts its handshakes.
func counting(client *tls.Config) (*tls.Config, *atomic.Int64) {
	handshakes := &atomic.Int64{}
	client = client.Clone()
	client.VerifyConnection = func(tls.ConnectionState) error {
		handshakes.Add(1)
		return nil
	}
	return client, handshakes
}

// TestServiceWithCertificates shows that the service authenticates a caller by its certificate.
func TestServiceWithCertificates(t *testing.T) {
	_, ours, cfg := goodFiles(t)
	s := startShop(t, cfg)
	for name, test := range map[string]struct {
		signer *seamtest.Authority
		code   int
	}{
		"with a certificate":    {ours, http.StatusOK},
		"without a certificate": {nil, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			client := ours.Client(t, test.signer)
			if code, _, err := shopOnHTTP(t, s, client)(); err != nil || code != test.code {
				t.Errorf("REST: %d, %v", code, err)
			}
			if code, _, err := shopOnGRPC(t, s, client)(); err != nil || code != test.code {
				t.Errorf("gRPC: %d, %v", code, err)
			}
		})
	}
}

// TestChangedAuthoritiesOnOpenConnections shows that a caller whose authority is trusted no more cannot go on over the
// connection that it has, and that it can once the authority is back.
func TestChangedAuthoritiesOnOpenConnections(t *testing.T) {
	_, ours, cfg := goodFiles(t)
	s := startShop(t, cfg)
	client := ours.Client(t, ours)
	for name, list := range map[string]func() (int, int, error){
		"REST": shopOnHTTP(t, s, client), "gRPC": shopOnGRPC(t, s, client),
	} {
		for _, step := range []struct {
			trusted *seamtest.Authority
			code    int
		}{
			{ours, http.StatusOK},
			{seamtest.NewAuthority(t, "others"), http.StatusUnauthorized},
			{ours, http.StatusOK},
		} {
			if err := s.certificates.useClientCAs([][]byte{step.trusted.PEM}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if code, connections, err := list(); err != nil || code != step.code || connections != 1 {
					t.Errorf("%s: %d over connection %d, %v", name, code, connections, err)
				}
			}
		}
	}
}

// TestExpiryOnOpenConnections shows the same of a certificate that expires. The first lifetime may be too short for a
// slow machine to make even a call.
func TestExpiryOnOpenConnections(t *testing.T) {
	t.Parallel() // Certificates of two seconds expire.
	_, ours, cfg := goodFiles(t)
	s := startShop(t, cfg)
	for name, on := range map[string]func(*testing.T, *Server, *tls.Config) func() (int, int, error){
		"REST": shopOnHTTP, "gRPC": shopOnGRPC,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for lifetime := 2 * time.Second; lifetime < time.Minute; lifetime *= 2 {
				mortal := *ours
				mortal.Lifetime = lifetime
				list := on(t, s, ours.Client(t, &mortal))
				if code, _, err := list(); err != nil || code != http.StatusOK {
					continue
				}
				time.Sleep(lifetime)
				if code, connections, err := list(); err != nil || code != http.StatusUnauthorized || connections != 1 {
					t.Errorf("after it has expired: %d over connection %d, %v", code, connections, err)
				}
				return
			}
			t.Error("no lifetime is long enough for a call")
		})
	}
}

func TestServiceDoesNotStartWithInvalidFiles(t *testing.T) {
	cfg := config.Config{
		GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0",
		SeamEndpoint: &url.URL{Scheme: "https", Host: "seam.example.com"}, SeamCAFile: filepath.Join(t.TempDir(), "none"),
	}
	_, err := New(cfg, slog.New(slog.DiscardHandler))
	refused(t, err, "--seam-ca-file: open "+cfg.SeamCAFile)
	cfg.SeamCAFile, cfg.TLSCertFile, cfg.TLSKeyFile = "", cfg.SeamCAFile, cfg.SeamCAFile
	_, err = New(cfg, slog.New(slog.DiscardHandler))
	refused(t, err, "--tls-cert-file and --tls-key-file: open "+cfg.TLSCertFile)
}
