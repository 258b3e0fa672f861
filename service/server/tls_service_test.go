package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/service/service/config"
	"github.com/clientsession/service/service/sandbox"
)

// TestServiceWithCertificates runs the whole service over TLS. It holds the key, and its one caller proves itself by
// the certificate alone.
func TestServiceWithCertificates(t *testing.T) {
	dir, ours, cfg := goodFiles(t)
	callers := filepath.Join(dir, "callers.yaml")
	if err := os.WriteFile(callers, []byte("callers: [{name: shop, dns_name: shop.example.com, rpcs: ['*']}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.GRPCListen, cfg.HTTPListen, cfg.AdminListen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Sandbox, cfg.SandboxListen, cfg.SeamEndpoint = true, "127.0.0.1:0", &url.URL{Scheme: "https", Host: "seam.example.com"}
	cfg.DefaultTimeout, cfg.MaxTimeout = 10*time.Second, 10*time.Second
	cfg.MaxInFlight, cfg.DrainTimeout = 16, 10*time.Second
	cfg.SeamAPIKey, cfg.CallersFile = sandbox.APIKey, callers
	log := &tlsRig{t: t}
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

	for name, test := range map[string]struct {
		signer *authority
		http   int
		code   codes.Code
	}{
		"with a certificate":    {ours, http.StatusOK, codes.OK},
		"without a certificate": {nil, http.StatusUnauthorized, codes.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			client := ours.tlsClient(t, test.signer)
			transport := &http.Transport{TLSClientConfig: client.Clone(), ForceAttemptHTTP2: true}
			defer transport.CloseIdleConnections()
			response, err := (&http.Client{Transport: transport}).Post(
				"https://"+s.Addresses().HTTP+"/client_sessions/list", "application/json", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(response.Body)
			if err = errors.Join(err, response.Body.Close()); err != nil ||
				response.StatusCode != test.http || response.ProtoMajor != 2 {
				t.Errorf("REST: %s %d %s, %v", response.Proto, response.StatusCode, text, err)
			}
			connection, err := grpc.NewClient(s.Addresses().GRPC, grpc.WithTransportCredentials(credentials.NewTLS(client)))
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			_, err = clientsessionv1.NewClientSessionServiceClient(connection).
				List(t.Context(), &clientsessionv1.ListRequest{})
			if status.Code(err) != test.code {
				t.Errorf("gRPC: %v", err)
			}
		})
	}
}

func TestServiceDoesNotStartWithFaultyFiles(t *testing.T) {
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
