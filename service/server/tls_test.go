package server

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/servicetest"
)

func TestTLSVersions(t *testing.T) {
	ours, dir := servicetest.NewAuthority(t, "ours"), t.TempDir()
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
			startTLS(t, cfg).onBoth(t, func(t *testing.T, on func(*tls.Config) tlsCall) {
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
	ours, dir := servicetest.NewAuthority(t, "ours"), t.TempDir()
	writePair(t, dir, ours)
	cfg := tlsConfig(dir)
	cfg.TLSMinVersion = tls.VersionTLS12
	h := startTLS(t, cfg)
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
		for face, protocol := range map[string]string{h.Addresses().HTTP: "http/1.1", h.Addresses().GRPC: "h2"} {
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
	h, ours, _ := startWithPair(t)
	if got, err := h.onHTTP(ours.Client(t, nil))(); err != nil || got.proto != "HTTP/2.0" {
		t.Errorf("a client that speaks HTTP/2 gets %q, %v", got.proto, err)
	}
	client := ours.Client(t, nil)
	client.NextProtos = []string{"http/1.1"}
	if got, err := h.onHTTP(client)(); err != nil || got.proto != "HTTP/1.1" {
		t.Errorf("a client that speaks HTTP/1.1 gets %q, %v", got.proto, err)
	}
	// Go lets such a client finish its handshake; gRPC then ends the connection.
	connection, err := tls.Dial("tcp", h.Addresses().GRPC, client)
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
	h, ours, _ := startWithPair(t)
	client := ours.Client(t, nil)
	client.NextProtos = []string{"h2"}
	connection, err := tls.Dial("tcp", h.Addresses().HTTP, client)
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
	if settings[3] != 100 || settings[5] != 64<<10 || settings[4] != 64<<10 {
		t.Errorf("streams %d, frame %d, window %d", settings[3], settings[5], settings[4])
	}
}

func TestPlainTextIsRefused(t *testing.T) {
	h, _, _ := startWithPair(t)
	if got, err := h.onHTTP(nil)(); err != nil || got.status != http.StatusBadRequest {
		t.Errorf("REST: %d, %v", got.status, err)
	}
	if _, err := h.onGRPC(nil)(); status.Code(err) != codes.Unavailable {
		t.Errorf("gRPC: %v", err)
	}
	seamtest.Eventually(t, "the log says why", func() bool {
		return strings.Contains(h.log.String(), "first record does not look like a TLS handshake")
	})
}

// TestFailedHandshakeIsOneShortLine shows that no text of a client in a handshake is logged, over either face:
// crypto/tls quotes the names of protocols that it does not know, which can be 50 KB.
func TestFailedHandshakeIsOneShortLine(t *testing.T) {
	h, ours, _ := startWithPair(t)
	client := ours.Client(t, nil)
	for range 200 {
		client.NextProtos = append(client.NextProtos, "offered"+strings.Repeat("x", 240))
	}
	for _, address := range []string{h.Addresses().GRPC, h.Addresses().HTTP} {
		if connection, err := tls.Dial("tcp", address, client); err == nil {
			t.Error("the handshake succeeds")
			_ = connection.Close()
		}
	}
	seamtest.Eventually(t, "two lines about handshakes", func() bool {
		return strings.Count(h.log.String(), "TLS handshake") == 2
	})
	for line := range strings.Lines(h.log.String()) {
		if len(line) > 400 || strings.Contains(line, "offered") {
			t.Errorf("a line of %d bytes: %.1000s", len(line), line)
		}
	}
}

// TestServiceDoesNotStartWithInvalidFiles shows that the error names the setting, whichever it is.
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
