package server

import (
	"bytes"
	"cmp"
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
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
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

// Start runs a service until stop is called, which returns how it ended.
func Start(t testing.TB, cfg config.Config, logger *slog.Logger) (s *Server, stop func() error) {
	t.Helper()
	s, err := New(cfg, logger)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return s, sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
}

// Methods are the methods that the gRPC face serves.
func Methods(s *Server) []string {
	var methods []string
	for service, info := range s.grpcServer.GetServiceInfo() {
		for _, method := range info.Methods {
			methods = append(methods, "/"+service+"/"+method.Name)
		}
	}
	return methods
}

// LogText keeps what is logged.
type LogText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *LogText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *LogText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// tlsHarness is a service with certificates. Where it has the authorities of client certificates, it holds the key, and
// its one caller proves itself by a certificate.
type tlsHarness struct {
	*Server

	t   *testing.T
	log *LogText
	// authorization is the credential of the callers, none if empty.
	authorization string
}

// tlsConfig names the files in dir: tls.crt and tls.key, and ca.crt if it is there.
func tlsConfig(dir string) config.Config {
	cfg := config.Config{TLSCertFile: filepath.Join(dir, "tls.crt"), TLSKeyFile: filepath.Join(dir, "tls.key")}
	path := filepath.Join(dir, "ca.crt")
	if _, err := os.Stat(path); err == nil {
		cfg.TLSClientCAFile = path
	}
	return cfg
}

// startTLS runs the service until the test ends.
func startTLS(t *testing.T, cfg config.Config) *tlsHarness {
	t.Helper()
	h := &tlsHarness{t: t, log: &LogText{}, authorization: "Bearer " + sandbox.APIKey}
	cfg.GRPCListen, cfg.HTTPListen, cfg.AdminListen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	StartSeam(t, sandbox.New(sandbox.Options{}), &cfg)
	cfg.DefaultTimeout, cfg.MaxTimeout = 10*time.Second, 10*time.Second
	cfg.MaxInFlight, cfg.DrainTimeout = 16, 10*time.Second
	cfg.MaxConnectionAge = cmp.Or(cfg.MaxConnectionAge, 5*time.Minute)
	if cfg.TLSClientCAFile != "" {
		h.authorization, cfg.SeamAPIKey, cfg.CallersFile = "", sandbox.APIKey, filepath.Join(t.TempDir(), "callers.yaml")
		const shop = "callers: [{name: shop, dns_name: shop.example.com, rpcs: ['*']}]"
		if err := os.WriteFile(cfg.CallersFile, []byte(shop), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stop func() error
	h.Server, stop = Start(t, cfg, slog.New(slog.NewTextHandler(h.log, nil)))
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(h.log)
		}
	})
	return h
}

// startWithPair runs the service with a certificate of the authority in the folder.
func startWithPair(t *testing.T) (h *tlsHarness, ours *servicetest.Authority, dir string) {
	t.Helper()
	ours, dir = servicetest.NewAuthority(t, "ours"), t.TempDir()
	writePair(t, dir, ours)
	return startTLS(t, tlsConfig(dir)), ours, dir
}

// tlsReply is what a face responds to a call.
type tlsReply struct {
	status int
	// connections is how many connections the caller has made.
	connections int
	// proto and state are those of REST only.
	proto string
	state *tls.ConnectionState
}

// tlsCall lists sessions over one connection, which it keeps if it can.
type tlsCall func() (tlsReply, error)

// counting returns a dialer that counts.
func counting() (dial func(context.Context, string) (net.Conn, error), dials *atomic.Int64) {
	dials = &atomic.Int64{}
	return func(ctx context.Context, address string) (net.Conn, error) {
		dials.Add(1)
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}, dials
}

// onHTTP and onGRPC return callers that share no connection with others, in plain text without a configuration.
func (h *tlsHarness) onHTTP(client *tls.Config) tlsCall {
	dial, dials := counting()
	transport := &http.Transport{
		TLSClientConfig: client.Clone(), ForceAttemptHTTP2: client != nil && len(client.NextProtos) == 0,
		MaxIdleConnsPerHost: 16,
		DialContext:         func(ctx context.Context, _, address string) (net.Conn, error) { return dial(ctx, address) },
	}
	h.t.Cleanup(transport.CloseIdleConnections)
	scheme := "https://"
	if client == nil {
		scheme = "http://"
	}
	return func() (tlsReply, error) {
		request, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost,
			scheme+h.Addresses().HTTP+"/client_sessions/list", strings.NewReader("{}"))
		if err != nil {
			return tlsReply{}, err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", h.authorization)
		response, err := transport.RoundTrip(request)
		if err != nil {
			return tlsReply{}, err
		}
		_, err = io.Copy(io.Discard, response.Body)
		err = errors.Join(err, response.Body.Close())
		return tlsReply{response.StatusCode, int(dials.Load()), response.Proto, response.TLS}, err
	}
}

func (h *tlsHarness) onGRPC(client *tls.Config) tlsCall {
	dial, dials := counting()
	transport := insecure.NewCredentials()
	if client != nil {
		transport = credentials.NewTLS(client)
	}
	connection, err := grpc.NewClient("passthrough:///"+h.Addresses().GRPC,
		grpc.WithTransportCredentials(transport), grpc.WithContextDialer(dial))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = connection.Close() })
	return func() (tlsReply, error) {
		ctx := metadata.AppendToOutgoingContext(h.t.Context(), "authorization", h.authorization)
		_, err := clientsessionv1.NewClientSessionServiceClient(connection).List(ctx, &clientsessionv1.ListRequest{})
		reply := tlsReply{status: http.StatusOK, connections: int(dials.Load())}
		if status.Code(err) == codes.Unauthenticated {
			reply.status, err = http.StatusUnauthorized, nil
		}
		return reply, err
	}
}

// onBoth runs a test for each face.
func (h *tlsHarness) onBoth(t *testing.T, test func(t *testing.T, on func(*tls.Config) tlsCall)) {
	t.Helper()
	for name, on := range map[string]func(*tls.Config) tlsCall{"REST": h.onHTTP, "gRPC": h.onGRPC} {
		t.Run(name, func(t *testing.T) { test(t, on) })
	}
}

// want fails unless a call gets the status.
func (call tlsCall) want(t *testing.T, status int) {
	t.Helper()
	if got, err := call(); err != nil || got.status != status {
		t.Errorf("got %d, %v, want %d", got.status, err, status)
	}
}

func refused(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an error with %q", err, want)
	}
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

// goodFiles returns a folder of valid files.
func goodFiles(t *testing.T) (dir string, ours *servicetest.Authority, cfg config.Config) {
	t.Helper()
	dir, ours = t.TempDir(), servicetest.NewAuthority(t, "ours")
	writePair(t, dir, ours)
	writeFiles(t, dir, map[string][]byte{"ca.crt": ours.PEM})
	return dir, ours, tlsConfig(dir)
}
