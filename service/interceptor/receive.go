package interceptor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// ReceiveConfig configures Receive.
type ReceiveConfig struct {
	// MaxInFlight is how many calls there may be in flight; the limits of memory follow from it.
	MaxInFlight int
	// Timeout is how long a request may take to arrive.
	Timeout time.Duration
	// Logger gets a line when requests are cut off.
	Logger *slog.Logger
	// Registry gets the gauges. Refused counts the requests that were cut off, by the limit that was reached.
	Registry prometheus.Registerer
	Refused  *prometheus.CounterVec
}

// Receive reads the body of the request, which is still on the connection until here, so that an unauthenticated client
// costs no memory for bodies. It runs after authentication.
func Receive(config ReceiveConfig) grpc.UnaryServerInterceptor {
	b := &requestBuffer{
		maxReaders: max(minReaders, config.MaxInFlight/readerShare),
		maxBytes:   max(minBufferBytes, config.MaxInFlight*bytesPerCall),
		timeout:    config.Timeout,
		logger:     config.Logger,
		evicted:    config.Refused.WithLabelValues("request_buffer"),
		timedOut:   config.Refused.WithLabelValues("request_time"),
		rejected:   config.Refused.WithLabelValues("request_bytes"),
	}
	config.Registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "client_session_service_requests_arriving",
			Help: "Requests whose body is being read.",
		}, b.arriving),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "client_session_service_request_buffer_bytes",
			Help: "Bytes of the requests that are in memory, arriving or in flight.",
		}, b.inMemory),
	)
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		call := callinfo.FromContext(ctx)
		if call.Request == nil {
			return nil, seamerr.Internal(fmt.Errorf("a call of %s came without a request", info.FullMethod))
		}
		// A health check is accepted whatever memory the calls in flight hold: a busy service is not dead.
		r := b.add(call.Request.Cut, !auth.IsPublic(info.FullMethod))
		defer r.release()
		if err := r.decode(call, request); err != nil {
			return nil, err
		}
		return handler(ctx, request)
	}
}

// decode reads the body of the request and decodes it into message. It frees the body's memory at once: the message has
// its own copy of all that it needs.
func (r *reader) decode(call *callinfo.Call, message any) *seamerr.Error {
	var whole body
	defer whole.free()
	err := r.read(call.Request, &whole)
	if cut := r.arrived(); cut != nil {
		return cut
	}
	if err != nil {
		return err
	}
	return call.Request.Decode(call, whole.bytes(), message)
}

// read reads the body to its end.
func (r *reader) read(from io.Reader, into *body) *seamerr.Error {
	for {
		n, err := from.Read(into.space())
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return seamerr.From(err)
		}
		into.add(n)
		if into.length > MaxRequestBytes {
			return seamerr.PayloadTooLarge(MaxRequestBytes)
		}
		if refusal := r.received(n); refusal != nil {
			return refusal
		}
		if ended {
			return nil
		}
	}
}
