package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// StartSeam runs a sandbox until the test ends, over TLS and HTTP/2 as Seam is reached, and has a service use it. The
// client trusts it.
func StartSeam(t testing.TB, s *sandbox.Sandbox, cfg *config.Config) (at string, client *http.Transport) {
	t.Helper()
	seam, err := sandbox.ListenTLS("127.0.0.1:0", s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = seam.Close() })
	cfg.SeamCAFile = filepath.Join(t.TempDir(), "seam.pem")
	if err := os.WriteFile(cfg.SeamCAFile, seam.AuthorityPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if cfg.SeamEndpoint, err = url.Parse(seam.URL()); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(seam.AuthorityPEM())
	return seam.URL(), &http.Transport{DisableCompression: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
}

// tlsHarness is a server of each face with the certificate in a folder. Both tell who called by the certificate.
type tlsHarness struct {
	t          *testing.T
	grpc, http string
	failures   failureCounter

	mu  sync.Mutex
	log bytes.Buffer
}

type failureCounter struct {
	prometheus.Counter

	n atomic.Int64
}

func (c *failureCounter) Inc() { c.n.Add(1) }

func (r *tlsHarness) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *tlsHarness) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// tlsConfig names the files in dir: tls.crt and tls.key, and ca.crt if it is there.
func tlsConfig(dir string) config.Config {
	cfg := config.Config{TLSCertFile: filepath.Join(dir, "tls.crt"), TLSKeyFile: filepath.Join(dir, "tls.key")}
	if path := filepath.Join(dir, "ca.crt"); fileExists(path) {
		cfg.TLSClientCAFile = path
	}
	return cfg
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func startTLS(t *testing.T, cfg config.Config) *tlsHarness {
	t.Helper()
	r := &tlsHarness{t: t}
	i, err := newServerCertificates(cfg, &r.failures)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(r, nil))
	grpcServer := grpc.NewServer(append(i.grpcOptions(logger), grpc.UnaryInterceptor(tellCaller))...)
	healthv1.RegisterHealthServer(grpcServer, health.NewServer())
	httpServer := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Caller", caller(r.TLS))
			_, _ = io.WriteString(w, r.Proto)
		}),
		ErrorLog: slog.NewLogLogger(StandardLog{logger.Handler()}, slog.LevelWarn),
	}
	var running sync.WaitGroup
	serve := func(at *string, serve func(net.Listener) error) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*at = listener.Addr().String()
		running.Go(func() {
			if err := serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
	}
	serve(&r.grpc, grpcServer.Serve)
	serve(&r.http, func(listener net.Listener) error { return i.serveHTTP(httpServer, listener) })
	ctx, cancel := context.WithCancel(context.Background())
	if i != nil {
		for _, files := range i.files {
			running.Go(func() { files.Poll(ctx, time.Millisecond, logger) })
		}
	}
	t.Cleanup(func() {
		cancel()
		grpcServer.Stop()
		_ = httpServer.Close()
		running.Wait()
	})
	return r
}

func caller(state *tls.ConnectionState) string {
	if state == nil || len(state.VerifiedChains) == 0 {
		return ""
	}
	return state.VerifiedChains[0][0].Subject.CommonName
}

func tellCaller(ctx context.Context, in any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	from, _ := peer.FromContext(ctx)
	if info, ok := from.AuthInfo.(credentials.TLSInfo); ok {
		_ = grpc.SetHeader(ctx, metadata.Pairs("caller", caller(&info.State)))
	}
	return next(ctx, in)
}

// writeFiles replaces files of a folder, each at one stroke.
func writeFiles(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}

// writePair writes a new certificate of the authority and returns the PEM of its key.
func writePair(t *testing.T, dir string, signer *servicetest.Authority) []byte {
	t.Helper()
	certificate, key := signer.Issue(t, "server")
	writeFiles(t, dir, map[string][]byte{"tls.crt": certificate, "tls.key": key})
	return key
}
