package server

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
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
)

// authority signs certificates for a test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
	// lifetime is that of what it signs from now on, an hour if it does not say.
	lifetime time.Duration
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.certificate, a.key = a.sign(t, template)
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
	return a
}

// sign completes a certificate. An authority without a key as yet has it sign itself.
func (a *authority) sign(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(cmp.Or(a.lifetime, time.Hour))
	parent, signer := a.certificate, a.key
	if signer == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

// issue returns a certificate for name, a server's or a client's, as PEM.
func (a *authority) issue(t *testing.T, name string) (certificatePEM, keyPEM []byte) {
	t.Helper()
	certificate, key := a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"shop.example.com"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// tlsClient returns the configuration of a client that trusts the authority. It gives the certificate that client has
// issued to it, if any, also to a server that did not name client as one it trusts.
func (a *authority) tlsClient(t *testing.T, client *authority) *tls.Config {
	t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(a.certificate)
	if client != nil {
		pair, err := tls.X509KeyPair(client.issue(t, "caller"))
		if err != nil {
			t.Fatal(err)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return config
}

// tlsRig is a server of each face with the certificate in a folder. Both tell who called by the certificate.
type tlsRig struct {
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

func (r *tlsRig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *tlsRig) logged() string {
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

func startTLS(t *testing.T, cfg config.Config) *tlsRig {
	t.Helper()
	r := &tlsRig{t: t}
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
func writePair(t *testing.T, dir string, signer *authority) []byte {
	t.Helper()
	certificate, key := signer.issue(t, "server")
	writeFiles(t, dir, map[string][]byte{"tls.crt": certificate, "tls.key": key})
	return key
}
