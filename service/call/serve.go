package call

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/service/seamerr"
)

var errWrongRequest = errors.New("the request is not of the type of its method")

// Authenticator authenticates callers and decides whose credential goes to Seam.
type Authenticator interface {
	// Authenticate sets the caller of a call, and the headers for Seam, by the headers of the request alone.
	Authenticate(ctx context.Context, c *Call) error
	// Accepted is told of each call with which Seam has accepted the credential.
	Accepted(c *Call)
}

// Config configures a Server.
type Config struct {
	Logger   *slog.Logger
	Registry prometheus.Registerer
	// AuditLog is true if there is an audit line for each RPC of the service.
	AuditLog bool
	// Tracer makes the spans, nil for none.
	Tracer trace.Tracer
	// TrustedProxies are the networks whose X-Forwarded-For is trusted.
	TrustedProxies []netip.Prefix
	// Served are the services whose calls are counted.
	Served []Served
	// Panics counts panics, and InFlight is the number of calls in flight. Refused counts the calls that were refused
	// because of a limit, by the limit.
	Panics   prometheus.Counter
	InFlight prometheus.Gauge
	Refused  *prometheus.CounterVec

	Authenticator Authenticator
	// Rules are those of the contract.
	Rules Rules
	// CallerRPS is how many calls a second a caller may make, 0 for any number.
	CallerRPS float64
	// MaxInFlight is how many calls there may be in flight. The limits of memory follow from it.
	MaxInFlight int
	// DefaultTimeout is the time of a call whose caller sets no deadline, MaxTimeout that of any.
	DefaultTimeout, MaxTimeout time.Duration
	// StreamLifetime is how long a stream may last. All end with StreamCtx.
	StreamLifetime time.Duration
	StreamCtx      context.Context //nolint:containedctx // It is the server's and no call's.
}

// Server serves calls.
type Server struct {
	defaultTimeout, maxTimeout time.Duration

	authenticator Authenticator
	rules         Rules
	panics        panicReporter
	log           *accessLog
	audit         *auditLog
	metrics       seriesByMethod
	tracing       tracing
	callerRate    *buckets
	requests      requestBuffers
	slots         *semaphore
	streams       *streams
}

// NewServer returns a server of calls.
func NewServer(config Config) *Server {
	s := &Server{
		defaultTimeout: config.DefaultTimeout, maxTimeout: config.MaxTimeout,
		authenticator: config.Authenticator,
		rules:         config.Rules,
		panics:        panicReporter{config.Logger, config.Panics},
		log:           newAccessLog(config.Logger, config.TrustedProxies, config.Served),
		metrics:       newMetrics(config.Registry, config.Served),
		tracing:       tracing{config.Tracer},
		requests:      newRequestBuffers(config),
		slots:         newSemaphore(config.MaxInFlight, config.InFlight, config.Refused),
		streams: &streams{
			slots: make(chan struct{}, maxStreams), lifetime: config.StreamLifetime, end: config.StreamCtx,
			refused: config.Refused.WithLabelValues("streams"),
		},
	}
	if config.AuditLog {
		s.audit = &auditLog{config.Logger, config.TrustedProxies}
	}
	if config.CallerRPS > 0 {
		s.callerRate = newBuckets(config.CallerRPS, config.Refused.WithLabelValues("caller"))
	}
	return s
}

// Begin begins a call as soon as its headers are there. It returns the context of the call, which ends at its deadline,
// so that every call ends. Only a stream has none. Serve has to be called with that context.
func (s *Server) Begin(ctx context.Context, c *Call) context.Context {
	c.gone = ctx.Done()
	ctx = NewContext(ctx, c)
	if c.Method.Stream {
		ctx, c.cancel = context.WithCancel(ctx)
	} else {
		ctx, c.cancel = context.WithTimeout(ctx, timeout(ctx, s.defaultTimeout, s.maxTimeout))
	}
	return ctx
}

// Serve takes a call from its headers to its response. It returns why the call failed, nil for a success: the face
// writes that error, and all else is done. What a call holds on the way, it holds until its response is written.
func (s *Server) Serve(ctx context.Context, c *Call, f Face) (failure *seamerr.Error) {
	defer c.cancel()
	// All that follows names the call by its id: the log, the spans, each error and the response.
	c.setID()
	started, span := time.Now(), trace.Span(nil)
	// The one end sees whatever happens from here on, a panic included.
	defer func() { failure = s.end(ctx, c, started, span, failure, recover()) }()
	s.metrics.start(c)
	ctx, span = s.tracing.start(ctx, c)

	if c.Method.doesNotExist() {
		return seamerr.UnknownMethod()
	}
	// Authentication needs the headers only. It precedes the body, so that an unauthenticated client costs no memory, and
	// validation, so that such a client learns nothing about its input.
	if err := s.authenticator.Authenticate(ctx, c); err != nil {
		return seamerr.From(err)
	}
	if connection, ok := c.Peer.Addr.(Connection); ok && c.SeamHeader != nil {
		connection.BeginCall() // A connection without an authenticated call makes room for others.
		defer connection.EndCall()
	}
	if c.Method.Stream {
		return s.streams.serve(ctx, c, f)
	}
	if err := s.callerRate.take(c); err != nil {
		return err
	}
	// The body is bounded in bytes and time, also while the call is in flight.
	arrival := s.requests.add(c, f)
	defer arrival.release()
	request := c.Method.NewRequest()
	if err := arrival.decode(f, request); err != nil {
		return err
	}
	// A slot is for a request that has arrived, so that a slow request holds none.
	if err := s.slots.acquire(ctx, c); err != nil {
		return err
	}
	defer s.slots.release(c)
	c.request, c.Audited = request, s.audit != nil
	if err := s.rules.validate(c, request); err != nil {
		return err
	}
	defer c.release()
	c.handling = true // After a panic it still is.
	err := f.Respond(ctx, func(ctx context.Context) (proto.Message, error) {
		response, err := c.Method.Handle(ctx, request)
		if err == nil { // With an error it is a nil pointer of the message's type.
			c.response = response
		}
		return response, err
	})
	c.handling = false
	if err == nil && c.SeamStatus != 0 {
		s.authenticator.Accepted(c)
	}
	return seamerr.From(err)
}

// end ends a call: its failure gets the ids, and the log, the metrics and the span have it.
func (s *Server) end(
	ctx context.Context, c *Call, started time.Time, span trace.Span, failure *seamerr.Error, panicked any,
) (ended *seamerr.Error) {
	if panicked != nil {
		failure = s.panics.panicError(ctx, c.Method.FullMethod, panicked)
	}
	defer func() { // The log and the metrics can panic as well.
		if value := recover(); value != nil {
			ended = c.withIDs(s.panics.panicError(ctx, c.Method.FullMethod, value))
		}
	}()
	failure = c.withIDs(failure)
	defer s.tracing.end(span, c, failure)
	s.log.write(ctx, c, started, failure)
	s.audit.write(ctx, c, failure)
	s.metrics.end(ctx, c, started, failure)
	return failure
}

// Panicked turns a panic outside of any call into an error, by the method and the value of the panic. It is called in
// the function that recovered, while the stack still has the code that panicked.
func (s *Server) Panicked(ctx context.Context, method string, value any) *seamerr.Error {
	return s.panics.panicError(ctx, method, value)
}

// release frees the memory of the response.
func (c *Call) release() {
	if c.Response != nil {
		c.Response.Release()
	}
}

func (m *Method) doesNotExist() bool { return m.NewRequest == nil && !m.Stream }
