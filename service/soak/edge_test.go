//go:build fleet

package soak_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// edgeConfiguration is an Envoy in front of Seam, with its default settings but for the addresses and the certificate.
const edgeConfiguration = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 10000}}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates: [{certificate_chain: {filename: %[1]s/cert.pem}, private_key: {filename: %[1]s/key.pem}}]
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts: [{name: seam, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: seam}}]}]
  clusters:
  - name: seam
    load_assignment:
      cluster_name: seam
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %[2]s}}}}]}]
`

// edge is a service whose Seam stands behind that Envoy.
type edge struct {
	*envoy

	sandbox *sandbox.Sandbox
	client  clientsessionv1.ClientSessionServiceClient
}

func startEdge(t *testing.T) *edge {
	t.Helper()
	e := &edge{sandbox: sandbox.New(sandbox.Options{})}
	seam, err := sandbox.Listen("127.0.0.1:0", e.sandbox)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = seam.Close() })
	_, port, _ := net.SplitHostPort(seam.Addr())
	authority, folder := servicetest.NewAuthority(t, "edge"), t.TempDir()
	certificate, key := authority.Issue(t, "seam")
	for name, text := range map[string][]byte{"cert.pem": certificate, "key.pem": key, "ca.pem": authority.PEM} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ports := map[string]string{envoyGRPC: freePort(t), envoyAdmin: freePort(t)}
	e.envoy = startEnvoy(t, fmt.Sprintf(edgeConfiguration, folder, port), startNames(t), ports)
	service := servicetest.StartReady(t, append(servicetest.Listen(), "--seam-endpoint="+"https://127.0.0.1:"+ports[envoyGRPC], "--seam-ca-file="+filepath.Join(folder, "ca.pem"))...)
	caller := newCaller(t, service.Addresses, 1, grpc.WithDisableRetry())
	e.client = clientsessionv1.NewClientSessionServiceClient(caller.conns[0])
	return e
}

// stat is one of the counters of Envoy.
func (e *edge) stat(t *testing.T, name string) int {
	t.Helper()
	text, err := e.get("/stats?filter=" + regexp.QuoteMeta(name))
	if err != nil {
		t.Fatal(err)
	}
	_, value, _ := strings.Cut(string(text), ": ")
	n, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil {
		t.Fatalf("%s is %q", name, text)
	}
	return n
}

// TestFleetStrictEdge shows that a caller whose calls are canceled or time out costs another caller nothing, although
// Envoy, with its default settings, closes a connection on which too many streams are reset.
func TestFleetStrictEdge(t *testing.T) {
	const whole = 15 * time.Second
	one := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+sandbox.OtherAPIKey)
	another := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+sandbox.APIKey)
	for name, attack := range map[string]func(e *edge){
		"60 calls a second with a deadline of 300 ms": func(e *edge) {
			openLoop(time.After(whole), 60, func(int) {
				ctx, cancel := context.WithTimeout(one, 300*time.Millisecond)
				defer cancel()
				_, _ = e.client.List(ctx, &clientsessionv1.ListRequest{})
			})
		},
		"80 calls at once that are canceled": func(e *edge) {
			openLoop(time.After(whole), 1, func(int) {
				ctx, cancel := context.WithTimeout(one, time.Minute)
				var calls sync.WaitGroup
				for range 80 {
					calls.Go(func() { _, _ = e.client.List(ctx, &clientsessionv1.ListRequest{}) })
				}
				time.Sleep(200 * time.Millisecond)
				cancel()
				calls.Wait()
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEdge(t)
			for _, ctx := range []context.Context{one, another} { // Seam accepts both credentials.
				if _, err := e.client.List(ctx, &clientsessionv1.ListRequest{}); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.sandbox.Inject(sandbox.Fault{Delay: 800 * time.Millisecond}); err != nil {
				t.Fatal(err)
			}
			var attacking sync.WaitGroup
			attacking.Go(func() { attack(e) })
			var calls, failed, unknown atomic.Int32
			openLoop(time.After(whole), 40, func(i int) {
				ctx, cancel := context.WithTimeout(another, 20*time.Second)
				defer cancel()
				var err error
				if i%2 == 0 {
					_, err = e.client.Create(ctx, &clientsessionv1.CreateRequest{})
				} else {
					_, err = e.client.Get(ctx, &clientsessionv1.GetRequest{ClientSessionId: new(sandbox.SessionID)})
				}
				calls.Add(1)
				if err != nil {
					failed.Add(1)
					if status.Code(err) == codes.Unknown {
						unknown.Add(1)
					}
					t.Logf("call %d: %v", i, err)
				}
			})
			attacking.Wait()
			t.Logf("of %d calls of the other caller %d failed, %d of them with an unknown outcome; Envoy closed %d connections for their resets",
				calls.Load(), failed.Load(), unknown.Load(), e.stat(t, "http.edge.downstream_rq_too_many_premature_resets"))
			if 100*failed.Load() > calls.Load() || unknown.Load() > 0 {
				t.Error("the other caller pays for it")
			}
		})
	}
}
