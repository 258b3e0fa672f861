package seam

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// bubble is a client and its upstream under the fake clock of testing/synctest. Only the network between them is a
// fake: the clock does not advance while a goroutine waits for a real one.
type bubble struct {
	*Client

	registry *prometheus.Registry
}

// newCodec returns the one codec, which takes longer to make than a call.
var newCodec = sync.OnceValues(func() (*seamjson.Codec, error) {
	return seamjson.New(
		clientsessionv1.File_seam_clientsession_v1_client_session_service_proto,
		clientsessionv1.File_seam_clientsession_v1_client_session_proto,
	)
})

// inBubble runs a test under a clock of its own.
func inBubble(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, b bubble)) {
	t.Helper()
	codec, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		network := &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(network) })
		b := bubble{registry: prometheus.NewRegistry()}
		b.Client = New(Config{
			Endpoint: &url.URL{Scheme: "http", Host: "seam.test"}, UserAgent: "test/1", Codec: codec, MaxIdleConnections: 1024,
			Logger: slog.New(slog.DiscardHandler), Registry: b.registry,
		})
		b.pool = &pool{make: func() *generation { return &generation{Transport: &http.Transport{DialContext: network.dial}} }}
		b.pool.current.Store(b.pool.next())
		defer func() { // Also of a test that ends early: the bubble waits for all that goes on in it.
			_ = server.Close()
			serving.Wait()
			b.Close()
		}()
		test(t, b)
	})
}

// call makes the smallest call to an endpoint.
func (b bubble) call(ctx context.Context, at Endpoint) (Response, *seamerr.Error) {
	call := Call{Endpoint: at, In: &clientsessionv1.GrantAccessRequest{}, Out: &clientsessionv1.GrantAccessResponse{}}
	if at.Success == Sessions {
		call.Out = &clientsessionv1.ListResponse{}
	}
	response, err := b.Do(ctx, &call)
	e, _ := errors.AsType[*seamerr.Error](err)
	return *response, e
}

// once makes a call that is not retried and returns its error.
func (b bubble) once(ctx context.Context) *seamerr.Error {
	_, e := b.call(ctx, Create())
	return e
}

// pipes is a network of one listener.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.accepted <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.accepted:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "pipe"} }

// silent is a handler that never responds.
func silent(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // The server notices that its client left once it has read the request.
	<-r.Context().Done()
}
