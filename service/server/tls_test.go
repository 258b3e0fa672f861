package server

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// reply is what a face responds to a call.
type reply struct {
	// caller is the name in the client's certificate as the face knows it.
	caller string
	// text is the protocol, for REST only.
	text  string
	state *tls.ConnectionState
}

// faceCall calls one face over one connection, which it keeps if it can.
type faceCall func() (reply, error)

// onHTTP and onGRPC return callers that share no connection with others.
func (r *tlsHarness) onHTTP(client *tls.Config) faceCall {
	transport := &http.Transport{TLSClientConfig: client.Clone(), ForceAttemptHTTP2: len(client.NextProtos) == 0}
	r.t.Cleanup(transport.CloseIdleConnections)
	return func() (reply, error) {
		request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "https://"+r.http, http.NoBody)
		if err != nil {
			return reply{}, err
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			return reply{}, err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		return reply{response.Header.Get("Caller"), string(text), response.TLS}, err
	}
}

func (r *tlsHarness) onGRPC(client *tls.Config) faceCall {
	return r.dial(credentials.NewTLS(client))
}

func (r *tlsHarness) dial(transport credentials.TransportCredentials) faceCall {
	connection, err := grpc.NewClient(r.grpc, grpc.WithTransportCredentials(transport))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = connection.Close() })
	return func() (reply, error) {
		ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
		defer cancel()
		var header metadata.MD
		_, err := healthv1.NewHealthClient(connection).Check(ctx, &healthv1.HealthCheckRequest{}, grpc.Header(&header))
		return reply{caller: strings.Join(header.Get("caller"), " ")}, err
	}
}

// onBoth runs a test for each face.
func (r *tlsHarness) onBoth(t *testing.T, test func(t *testing.T, on func(*tls.Config) faceCall)) {
	t.Helper()
	for name, on := range map[string]func(*tls.Config) faceCall{"REST": r.onHTTP, "gRPC": r.onGRPC} {
		t.Run(name, func(t *testing.T) { test(t, on) })
	}
}

func refused(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an error with %q", err, want)
	}
}

func TestTLSVersions(t *testing.T) {
	ours, dir := seamtest.NewAuthority(t, "ours"), t.TempDir()
	writePair(t, dir, ours)
	for name, test := range map[string]struct {
		least, client uint16
		good          bool
	}{
		"1.3 by default":      {0, tls.VersionTLS13, true},
		"1.2 not by default":  {0, tls.VersionTLS12, false},
		"1.2 not if 1.3":      {tls.VersionTLS13, tls.VersionTLS12, false},
		"1.2 if asked for":    {tls.VersionTLS12, tls.VersionTLS12, true},
		"1.3 beside 1.2":      {tls.VersionTLS12, tls.VersionTLS13, true},
		"1.1 not even beside": {tls.VersionTLS12, tls.VersionTLS11, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := tlsConfig(dir)
			cfg.TLSMinVersion = test.least
			startTLS(t, cfg).onBoth(t, func(t *testing.T, on func(*tls.Config) faceCall) {
				client := ours.Client(t, nil)
				client.MinVersion, client.MaxVersion = test.client, test.client
				got, err := on(client)()
				if !test.good {
					refused(t, err, "protocol version")
				} else if err != nil || got.state != nil && got.state.Version != test.client {
					t.Errorf("got %+v, %v", got, err)
				}
			})
		})
	}
}

// TestTLS12Suites shows that TLS 1.2 takes AEAD suites only: CBC's padding has been a way in more than once.
func TestTLS12Suites(t *testing.T) {
	ours, dir := seamtest.NewAuthority(t, "ours"), t.TempDir()
	writePair(t, dir, ours)
	cfg := tlsConfig(dir)
	cfg.TLSMinVersion = tls.VersionTLS12
	r := startTLS(t, cfg)
	for name, test := range map[string]struct {
		suite uint16
		good  bool
	}{
		"AES-128-GCM":       {tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true},
		"AES-256-GCM":       {tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, true},
		"ChaCha20-Poly1305": {tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, true},
		"AES-128-CBC":       {tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
		"AES-256-CBC":       {tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, false},
	} {
		// Over HTTP/2 other parts refuse CBC too, so REST is called over HTTP/1.1, and gRPC by its handshake alone.
		for face, protocol := range map[string]string{r.http: "http/1.1", r.grpc: "h2"} {
			client := ours.Client(t, nil)
			client.MaxVersion, client.CipherSuites, client.NextProtos = tls.VersionTLS12, []uint16{test.suite}, []string{protocol}
			connection, err := tls.Dial("tcp", face, client)
			if !test.good {
				refused(t, err, "handshake failure")
			} else if err != nil || connection.ConnectionState().CipherSuite != test.suite {
				t.Errorf("%s over %s: %v", name, protocol, err)
			}
			if err == nil {
				_ = connection.Close()
			}
		}
	}
}

func TestTLSProtocols(t *testing.T) {
	ours, dir := seamtest.NewAuthority(t, "ours"), t.TempDir()
	writePair(t, dir, ours)
	r := startTLS(t, tlsConfig(dir))
	if got, err := r.onHTTP(ours.Client(t, nil))(); err != nil || got.text != "HTTP/2.0" {
		t.Errorf("a client that speaks HTTP/2 gets %q, %v", got.text, err)
	}
	client := ours.Client(t, nil)
	client.NextProtos = []string{"http/1.1"}
	if got, err := r.onHTTP(client)(); err != nil || got.text != "HTTP/1.1" {
		t.Errorf("a client that speaks HTTP/1.1 gets %q, %v", got.text, err)
	}
	// Go lets such a client finish its handshake; gRPC then ends the connection.
	connection, err := tls.Dial("tcp", r.grpc, client)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if n, err := connection.Read(make([]byte, 1)); err == nil {
		t.Errorf("the gRPC face sent %d bytes to a client that does not speak HTTP/2", n)
	}
}

// TestHTTP2Limits reads the settings that the REST face opens a connection with.
func TestHTTP2Limits(t *testing.T) {
	ours, dir := seamtest.NewAuthority(t, "ours"), t.TempDir()
	writePair(t, dir, ours)
	r := startTLS(t, tlsConfig(dir))
	client := ours.Client(t, nil)
	client.NextProtos = []string{"h2"}
	connection, err := tls.Dial("tcp", r.http, client)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	emptySettings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	if _, err := io.WriteString(connection, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+emptySettings); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 9)
	if _, err := io.ReadFull(connection, head); err != nil || head[3] != 4 {
		t.Fatalf("the first frame is %v, %v", head, err)
	}
	frame := make([]byte, int(head[1])<<8+int(head[2]))
	if _, err := io.ReadFull(connection, frame); err != nil {
		t.Fatal(err)
	}
	settings := map[uint16]uint32{}
	for ; len(frame) > 0; frame = frame[6:] {
		settings[binary.BigEndian.Uint16(frame)] = binary.BigEndian.Uint32(frame[2:])
	}
	if settings[3] != 250 || settings[5] != 64<<10 || settings[4] != 64<<10 {
		t.Errorf("streams %d, frame %d, window %d", settings[3], settings[5], settings[4])
	}
}

func TestPlainTextIsRefused(t *testing.T) {
	ours, dir := seamtest.NewAuthority(t, "ours"), t.TempDir()
	writePair(t, dir, ours)
	r := startTLS(t, tlsConfig(dir))
	response, err := http.Get("http://" + r.http)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "HTTP request to an HTTPS server") {
		t.Errorf("got %d %q", response.StatusCode, text)
	}
	_, err = r.dial(insecure.NewCredentials())()
	if status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
	seamtest.Eventually(t, "the log says why", func() bool {
		return strings.Contains(r.logged(), "first record does not look like a TLS handshake")
	})
}

func TestWithoutFilesIsPlainText(t *testing.T) {
	if i, err := newServerCertificates(config.Config{}, nil); i != nil || err != nil {
		t.Errorf("got %v, %v", i, err)
	}
	r := startTLS(t, config.Config{})
	if _, err := r.dial(insecure.NewCredentials())(); err != nil {
		t.Error(err)
	}
	response, err := http.Get("http://" + r.http)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}

// noKeys fails if the text has anything of a key.
func noKeys(t *testing.T, text string, keys ...[]byte) {
	t.Helper()
	for _, key := range keys {
		for line := range strings.Lines(string(key)) {
			if strings.Contains(text, strings.TrimSpace(line)) {
				t.Errorf("key material in %q", text)
			}
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
