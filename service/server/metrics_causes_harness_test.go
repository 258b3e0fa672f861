package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// These are the causes of metricCauses, and the configurations under which they happen.

// granted makes a call over each face, with a credential of a caller of the callers file and of the sandbox: either is
// good where it counts, and what comes of the other is of no interest.
func granted(t *testing.T, h *credentialHarness) {
	t.Helper()
	for _, token := range []string{sandbox.APIKey, ordersToken} {
		h.grant(byID, "Authorization", "Bearer "+token)
		_, _ = h.client().GrantAccess(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token), grantByID())
	}
}

func unknownCall(t *testing.T, h *credentialHarness) {
	t.Helper()
	if err := h.conn.Invoke(t.Context(), "/nobody/Nothing", &emptypb.Empty{}, &emptypb.Empty{}); err == nil {
		t.Error("an unknown method is no error")
	}
}

func posting(body string) func(*testing.T, *credentialHarness) {
	return func(_ *testing.T, h *credentialHarness) { h.grant(body) }
}

func requesting(method, path string, header ...string) func(*testing.T, *credentialHarness) {
	return func(_ *testing.T, h *credentialHarness) { h.send(method, path, "", header...) }
}

// faulty makes one call over REST that meets a fault of Seam.
func faulty(fault sandbox.Fault) func(*testing.T, *credentialHarness) {
	return func(t *testing.T, h *credentialHarness) {
		t.Helper()
		h.inject(fault)
		h.grant(byID)
	}
}

func repeated(times int, cause func(*testing.T, *credentialHarness)) func(*testing.T, *credentialHarness) {
	return func(t *testing.T, h *credentialHarness) {
		t.Helper()
		for range times {
			cause(t, h)
		}
	}
}

// watching opens streams that stay open until the test ends.
func watching(streams int) func(*testing.T, *credentialHarness) {
	return func(t *testing.T, h *credentialHarness) {
		t.Helper()
		for _, conn := range h.connections(t, 1+streams/100) {
			for range min(streams, 100) {
				if _, err := healthv1.NewHealthClient(conn).Watch(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// dialing opens connections to the REST face that stay open until the test ends.
func dialing(connections int) func(*testing.T, *credentialHarness) {
	return func(t *testing.T, h *credentialHarness) {
		t.Helper()
		for range connections {
			connection := dial(t, h.at.HTTP)
			t.Cleanup(func() { _ = connection.Close() })
		}
	}
}

// incomplete sends requests over REST that lack the rest of their bodies until the test ends.
func incomplete(requests int) func(*testing.T, *credentialHarness) {
	return func(t *testing.T, h *credentialHarness) {
		t.Helper()
		for range requests {
			connection := dial(t, h.at.HTTP)
			t.Cleanup(func() { _ = connection.Close() })
			head := post(`{"client_`, "Content-Length: 100", "Authorization: Bearer "+sandbox.APIKey)
			if _, err := connection.Write([]byte(head)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// longBodies makes calls that are as long as may be, until those that Seam holds up have all of the memory for requests.
func longBodies(t *testing.T, h *credentialHarness) {
	t.Helper()
	h.inject(sandbox.Fault{Delay: time.Minute})
	body := byID + strings.Repeat(" ", 127<<10)
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); running.Wait() })
	for range 20 {
		running.Go(func() { _ = h.postGrant(ctx, body) })
	}
}

// unread opens streams of REST, to a path whose responses need no credential, without any room for the responses, until
// the service gives some up.
func unread(path string) func(*testing.T, *credentialHarness) {
	return func(t *testing.T, h *credentialHarness) {
		t.Helper()
		for range 3 {
			connection, err := tls.Dial("tcp", h.at.HTTP, &tls.Config{NextProtos: []string{"h2"}, InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = connection.Close() })
			go func() { _, _ = io.Copy(io.Discard, connection) }() // It ends when the connection is closed.
			framer := http2.NewFramer(connection, connection)
			var block bytes.Buffer
			encoder := hpack.NewEncoder(&block)
			_, prefaceErr := io.WriteString(connection, http2.ClientPreface)
			err = errors.Join(prefaceErr, framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
			for i := range uint32(100) {
				block.Reset()
				for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":path", path}, {":authority", "localhost"}} {
					_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
				}
				err = errors.Join(err, framer.WriteHeaders(http2.HeadersFrameParam{
					StreamID: 2*i + 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true,
				}))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// longLists makes calls whose responses nobody reads, until they have all of a caller's memory for responses.
func longLists(t *testing.T, h *credentialHarness) {
	t.Helper()
	h.injectList(2500)
	for range 3 {
		c := h.h2(t)
		t.Cleanup(func() { _ = c.Close() })
		if err := errors.Join(c.open(1, ":path", listMethod), c.WriteData(1, true, envelope(0, nil))); err != nil {
			t.Fatal(err)
		}
	}
}

// spoiledCallers has a callers file, which its cause makes one that cannot be read.
func spoiledCallers(series string) metricCause {
	var file string
	return metricCause{
		series: series,
		configure: func(t *testing.T, cfg *config.Config) {
			t.Helper()
			manyCallers(t, cfg)
			file = cfg.CallersFile
		},
		cause: func(t *testing.T, _ *credentialHarness) {
			t.Helper()
			if err := os.WriteFile(file, []byte("callers: {"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func maxInFlight(n int) func(*testing.T, *config.Config) {
	return func(_ *testing.T, cfg *config.Config) { cfg.MaxInFlight = n }
}

// upstream puts a faulty upstream, over TLS too, in the place of the sandbox.
func upstream(fault seamtest.Fault) func(*testing.T, *config.Config) {
	return func(t *testing.T, cfg *config.Config) {
		t.Helper()
		fault.TLS = true
		roots, err := seamtest.TrustFile(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		cfg.SeamEndpoint, cfg.SeamCAFile = parseURL(t, seamtest.New(t, fault).URL), roots
	}
}

func withCertificate(t *testing.T, cfg *config.Config) {
	t.Helper()
	folder := t.TempDir()
	certificate, key := servicetest.NewAuthority(t, "ca").Issue(t, "server")
	cfg.TLSCertFile, cfg.TLSKeyFile = filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	for file, content := range map[string][]byte{cfg.TLSCertFile: certificate, cfg.TLSKeyFile: key} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// callerCount is more than the circuit breaker of all callers needs to open.
const callerCount = 40

func callerToken(i int) string { return fmt.Sprintf("css_CALLER%020d", i) }

// manyCallers has a callers file with callerCount callers.
func manyCallers(t *testing.T, cfg *config.Config) {
	t.Helper()
	text := "callers:\n"
	for i := range callerCount {
		text += fmt.Sprintf("  - {name: caller-%d, token_sha256: [%s], rpcs: ['*']}\n", i, sha256Of(callerToken(i)))
	}
	cfg.SeamAPIKey, cfg.CallersFile = sandbox.APIKey, filepath.Join(t.TempDir(), "callers.yaml")
	if err := os.WriteFile(cfg.CallersFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
