package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/text"
)

// serverCertificates is the certificate of both faces and the authorities of the callers' certificates, kept up to date
// with their files. A nil *serverCertificates stands for plain text.
//
// A reload applies to new connections. Open ones continue, but a client certificate is valid on them only for as long
// as it would be in a new handshake: each call is authenticated with the authorities of its time.
type serverCertificates struct {
	minVersion  uint16
	certificate atomic.Pointer[tls.Certificate]
	// clientCAs is nil when client certificates are not accepted.
	clientCAs atomic.Pointer[x509.CertPool]
}

// readCertificates reads the certificate and the authorities of client certificates, where they are configured. The
// error names every invalid file. They are two sets of files, so that an invalid bundle of authorities does not keep an
// expiring certificate in use.
func (s *Server) readCertificates() error {
	cfg := s.cfg
	if cfg.TLSCertFile == "" {
		return nil
	}
	// The default for callers that set no version is the safe one.
	used := &serverCertificates{minVersion: cmp.Or(cfg.TLSMinVersion, tls.VersionTLS13)}
	s.certificates = used
	usePair := func(contents [][]byte) error { return used.usePair(cfg.TLSCertFile, contents) }
	what := cfg.Label("tls-cert-file") + " and " + cfg.Label("tls-key-file")
	err := s.read(what, []string{cfg.TLSCertFile, cfg.TLSKeyFile}, usePair)
	if cfg.TLSClientCAFile != "" {
		err = errors.Join(err, s.read(cfg.Label("tls-client-ca-file"), []string{cfg.TLSClientCAFile}, used.useClientCAs))
	}
	return err
}

// usePair applies the contents of the certificate file at path and of its key file. The errors of crypto/tls quote
// neither. An expired certificate is an error, since no client would accept it: it stops a start, and at a reload the
// previous one stays in use. One that expires while it is in use stays in use too.
func (s *serverCertificates) usePair(path string, contents [][]byte) error {
	if block, _ := pem.Decode(contents[1]); block != nil &&
		(block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")) {
		return errors.New("the key is encrypted: decrypt it, as with openssl pkey")
	}
	certificate, err := tls.X509KeyPair(contents[0], contents[1])
	if err != nil {
		return err
	}
	if end := certificate.Leaf.NotAfter; time.Now().After(end) {
		return fmt.Errorf("the certificate in %s expired on %s: renew it", path, end.UTC().Format(time.RFC3339))
	}
	s.certificate.Store(&certificate)
	return nil
}

// expiration is when the certificate expires, in seconds since 1970, 0 for plain text.
func (s *serverCertificates) expiration() float64 {
	if s == nil {
		return 0
	}
	return float64(s.certificate.Load().Leaf.NotAfter.Unix())
}

func (s *serverCertificates) useClientCAs(contents [][]byte) error {
	pool := x509.NewCertPool()
	if err := addCAs(pool, contents[0]); err != nil {
		return err
	}
	s.clientCAs.Store(pool)
	return nil
}

// aeadSuites are the AEAD cipher suites of TLS 1.2 with forward secrecy. All suites of TLS 1.3 are such and cannot be
// configured.
func aeadSuites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}

// authorities returns the authorities of client certificates, nil when these are not accepted.
func (s *serverCertificates) authorities() *x509.CertPool {
	if s == nil {
		return nil
	}
	return s.clientCAs.Load()
}

// config returns the configuration for a face that speaks the protocols.
func (s *serverCertificates) config(protocols ...string) *tls.Config {
	// The inner configuration is made for each handshake, so it is always the newest. The cost is negligible.
	current := func(*tls.ClientHelloInfo) (*tls.Config, error) {
		inner := &tls.Config{
			MinVersion:   s.minVersion,
			CipherSuites: aeadSuites(),
			NextProtos:   protocols,
			Certificates: []tls.Certificate{*s.certificate.Load()},
		}
		if authorities := s.clientCAs.Load(); authorities != nil {
			inner.ClientCAs = authorities
			// A caller may have a bearer token in place of a certificate. A certificate that is sent must be valid.
			inner.ClientAuth = tls.VerifyClientCertIfGiven
			// The keys of session tickets are those of the outer configuration, as the inner one sets none, so they
			// outlive the authorities: a ticket would resume a client certificate from a handshake with other
			// authorities. On resumption Go verifies the root again, but not the rest. Without tickets every connection
			// verifies its client certificate, and over TLS 1.3 a full handshake takes no more round trips.
			inner.SessionTicketsDisabled = true
		}
		return inner, nil
	}
	return &tls.Config{MinVersion: s.minVersion, NextProtos: protocols, GetConfigForClient: current}
}

// grpcOptions returns the options for TLS on the gRPC server.
func (s *serverCertificates) grpcOptions(logger *slog.Logger) []grpc.ServerOption {
	if s == nil {
		return nil
	}
	return []grpc.ServerOption{grpc.Creds(loggedCredentials{credentials.NewTLS(s.config("h2")), logger})}
}

// loggedCredentials logs failed handshakes, as net/http does on the other face: a client in plain text sees only a
// closed connection.
type loggedCredentials struct {
	credentials.TransportCredentials

	logger *slog.Logger
}

func (c loggedCredentials) ServerHandshake(connection net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure, info, err := c.TransportCredentials.ServerHandshake(connection)
	if err != nil {
		level := slog.LevelWarn
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			level = slog.LevelDebug // The client left at once, as health checks of TCP do.
		}
		c.logger.LogAttrs(context.Background(), level, "TLS handshake failed",
			slog.String("peer", connection.RemoteAddr().String()), slog.String("cause", text.Foreign(err.Error())))
	}
	return secure, info, err
}

// serveHTTP serves on the listener until the server is shut down.
func (s *serverCertificates) serveHTTP(server *http.Server, listener net.Listener) error {
	if s == nil {
		return server.Serve(listener)
	}
	server.TLSConfig = s.config("h2", "http/1.1")
	server.HTTP2 = http2Limits()
	// The certificate is in the configuration, so that no file is named here.
	return server.ServeTLS(listener, "", "")
}

// http2Limits bounds the resources of one HTTP/2 connection of the REST face. Clients get HTTP/2 over TLS only.
func http2Limits() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: 100,
		// The largest request takes a few frames. Each connection has memory for a few such requests.
		MaxReadFrameSize:              64 << 10,
		MaxReceiveBufferPerStream:     64 << 10,
		MaxReceiveBufferPerConnection: 4 * call.MaxRequestBytes,
		MaxDecoderHeaderTableSize:     4 << 10,
		MaxEncoderHeaderTableSize:     4 << 10,
		// Pings detect a dead client, and a full buffer detects one that does not read.
		SendPingTimeout:  30 * time.Second,
		PingTimeout:      15 * time.Second,
		WriteByteTimeout: 30 * time.Second,
	}
}
