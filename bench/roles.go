package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"

	gateway "github.com/clientsession/client-session-service/gen/gateway/seam/clientsession/v1"
	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

// runRole runs a program with which the service is compared, and logs its addresses as the service does.
func runRole(ctx context.Context, role, upstream string) error {
	var listeners [3]net.Listener
	for i := range listeners {
		var err error
		if listeners[i], err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	overGRPC, overHTTP, admin := listeners[0], listeners[1], listeners[2]
	endpoint := &url.URL{Scheme: "https", Host: upstream, Path: grantPath}
	// Over HTTP/1.1 a call in flight has a connection, and by default two are kept.
	transport := &http.Transport{ForceAttemptHTTP2: true, DisableCompression: true, MaxIdleConnsPerHost: 8192}

	server, handler := grpc.NewServer(), http.NotFoundHandler()
	switch role {
	case "floor":
		f := &floor{transport: transport, request: &http.Request{
			Method: http.MethodPost, URL: endpoint, ContentLength: int64(len(grantRequest)),
			Header: http.Header{"Authorization": {"Bearer " + apiKey}, "Content-Type": {"application/json"}},
		}}
		// It responds what the upstream does, so that its message has as many bytes as those of the others.
		if err := protojson.Unmarshal([]byte(grantResponse), &f.response); err != nil {
			return err
		}
		clientsessionv1.RegisterClientSessionServiceServer(server, f)
	case "textbook":
		t := &textbook{url: endpoint.String(), client: &http.Client{Transport: transport}}
		clientsessionv1.RegisterClientSessionServiceServer(server, t)
		mux := runtime.NewServeMux()
		if err := gateway.RegisterClientSessionServiceHandlerFromEndpoint(ctx, mux, overGRPC.Addr().String(),
			[]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}); err != nil {
			return err
		}
		handler = mux
	case "reverse-proxy":
		rewrite := func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "https", upstream, "" }
		handler = &httputil.ReverseProxy{Rewrite: rewrite, Transport: transport, BufferPool: new(bufferPool)}
	default:
		return fmt.Errorf("unknown role %q", role)
	}
	go func() { _ = server.Serve(overGRPC) }()
	go func() { _ = serveHTTP(admin, promhttp.Handler()) }()
	slog.New(slog.NewJSONHandler(os.Stderr, nil)).InfoContext(ctx, "ready",
		"grpc", overGRPC.Addr().String(), "http", overHTTP.Addr().String(), "admin", admin.Addr().String())
	return serveHTTP(overHTTP, handler)
}

func serveHTTP(listener net.Listener, handler http.Handler) error {
	return (&http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}).Serve(listener)
}

// floor is the least that a service built on grpc-go and net/http does: a unary call with one round trip, with a
// prepared request and response.
type floor struct {
	clientsessionv1.UnimplementedClientSessionServiceServer
	transport *http.Transport
	request   *http.Request
	response  clientsessionv1.GrantAccessResponse
}

func (f *floor) GrantAccess(
	ctx context.Context, _ *clientsessionv1.GrantAccessRequest,
) (*clientsessionv1.GrantAccessResponse, error) {
	request := f.request.WithContext(ctx)
	request.Body = io.NopCloser(strings.NewReader(grantRequest))
	_, err := send(f.transport.RoundTrip, request)
	return &f.response, err
}

// send returns the body of a success.
func send(do func(*http.Request) (*http.Response, error), request *http.Request) ([]byte, error) {
	response, err := do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d, %.200q", response.StatusCode, body)
	}
	return body, err
}

// textbook is the service, implemented as in the guides of its libraries: protojson, an http.Client, and a gateway that
// dials the gRPC server over loopback. It has no log, no metrics, no retries and no limits.
type textbook struct {
	clientsessionv1.UnimplementedClientSessionServiceServer
	url    string
	client *http.Client
}

func (t *textbook) GrantAccess(
	ctx context.Context, in *clientsessionv1.GrantAccessRequest,
) (*clientsessionv1.GrantAccessResponse, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(in)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header["Authorization"] = metadata.ValueFromIncomingContext(ctx, "authorization")
	body, err := send(t.client.Do, request)
	if err != nil {
		return nil, err
	}
	out := new(clientsessionv1.GrantAccessResponse)
	return out, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, out)
}

// bufferPool is that of the reverse proxy, which would make a buffer of 32 KiB for each call.
type bufferPool struct{ buffers sync.Pool }

func (p *bufferPool) Get() []byte {
	if buffer, ok := p.buffers.Get().(*[32 << 10]byte); ok {
		return buffer[:]
	}
	return make([]byte, 32<<10)
}

func (p *bufferPool) Put(buffer []byte) { p.buffers.Put((*[32 << 10]byte)(buffer)) }
