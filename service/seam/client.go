// Package seam is the client of Seam's client sessions API: endpoints, headers, limits, error bodies, retries, circuit
// breakers and connections.
package seam

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// defaultMaxResponseBytes bounds the size of a response: a list of 10,000 sessions is about 5 MB.
const defaultMaxResponseBytes = 8 << 20

// Config configures a Client.
type Config struct {
	// Endpoint is Seam's base URL, such as https://connect.getseam.com.
	Endpoint *url.URL
	// UserAgent is sent with every request.
	UserAgent string
	// Codec reads and writes the messages.
	Codec *seamjson.Codec
	// CAs are the authorities for Seam's certificate, nil for the system's.
	CAs *x509.CertPool
	// MaxResponseBytes bounds the size of a response, 8 MiB if 0.
	MaxResponseBytes int
	// MaxIdleConnections is how many idle connections are kept: as many as there can be calls in flight.
	MaxIdleConnections int
	// MaxConnectionAge is how long a connection is used, 0 for no limit.
	MaxConnectionAge time.Duration
	// Logger gets a line when the circuit breaker opens or closes.
	Logger *slog.Logger
	// Registry gets the metrics.
	Registry prometheus.Registerer
	// Tracer makes a span of each attempt, nil for none.
	Tracer trace.Tracer
}

// Client calls Seam. It is safe for concurrent use and keeps its connections until Close.
type Client struct {
	endpoint *url.URL
	// header has the headers that every request has. Their values are shared: net/http only reads them.
	header http.Header
	codec  *seamjson.Codec
	// maxResponseBytes bounds what is read of one response.
	maxResponseBytes int
	pool             *pool
	budget           *budget
	breaker          *breaker
	metrics          *metrics
	tracer           trace.Tracer
}

// New returns a client for the endpoint.
func New(config Config) *Client {
	endpoint := *config.Endpoint
	endpoint.Path = strings.TrimRight(endpoint.Path, "/")
	endpoint.RawPath = strings.TrimRight(endpoint.RawPath, "/")
	config.Endpoint = &endpoint
	c := &Client{
		endpoint: config.Endpoint,
		header: http.Header{
			"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {config.UserAgent},
		},
		maxResponseBytes: cmp.Or(config.MaxResponseBytes, defaultMaxResponseBytes),
		codec:            config.Codec,
		tracer:           config.Tracer,
		budget:           newBudget(),
		breaker:          newBreaker(endpoint.Host, config.Logger),
	}
	c.metrics = newMetrics(config.Registry, c.breaker, c.budget)
	c.pool = newPool(config, c.metrics)
	return c
}

// Close ends the idle connections. Call it when no calls are in flight.
func (c *Client) Close() { c.pool.close() }

// Call is one call to Seam.
type Call struct {
	Endpoint

	// Header has the headers for Seam, the credential included.
	Header http.Header
	// ServiceCredential is true when the credential in Header is the service credential, which no caller may see in a
	// response.
	ServiceCredential bool
	// Caller is the caller.
	Caller Caller
	// CallerRetries is true when the caller retries failed calls. They are then not retried here: three attempts for each
	// of three of the caller's would be nine.
	CallerRetries bool
	// In is the request, and the response is decoded into Out. BodyOnly is true when the caller only needs Response.Body:
	// Out then stays empty where possible.
	In, Out  proto.Message
	BodyOnly bool
}

// Response is the result of a call beside the message.
type Response struct {
	// RequestID is Seam's id of the request, empty without a response or when that had none.
	RequestID string
	// HTTPStatus is the status of the response, 0 without one.
	HTTPStatus int
	// Attempts is how many requests were sent to Seam, and RetryReason why the last one was retried, nil if there was
	// one only.
	Attempts    int
	RetryReason error
	// Duration is how long the requests took, without the waits between them.
	Duration time.Duration
	// Body is the body of a success as Seam wrote it, empty for a 204. Skipped are the names of its members that are not
	// of their documented type.
	Body    []byte
	Skipped []string
}

// Do makes a call, which ends with ctx. A failed request is retried at most twice, and only where a retry is safe and
// can help. Every error is an *seamerr.Error. The Response is set as far as Seam has responded.
func (c *Client) Do(ctx context.Context, call Call) (Response, error) {
	x := &exchange{call: call, header: call.Header}
	if err := c.do(ctx, x); err != nil {
		return x.response, err
	}
	return x.response, nil
}

// exchange is a call with its attempts. It is on the heap: the stack of a call in flight would grow beyond 8 KiB with
// it, and so to 16.
type exchange struct {
	call Call
	// header has the call's headers and those of the present attempt, text is the body of each attempt, and deadline is
	// that of the present one, zero for none.
	header   http.Header
	text     []byte
	deadline time.Time
	permit   permit
	// last is the present attempt, or the last one.
	last     attempt
	response Response
	// ambiguous is true when an attempt may have been applied.
	ambiguous bool
}

// do is the retry loop: it makes attempts until one succeeds or the failure must not be retried.
func (c *Client) do(ctx context.Context, x *exchange) *seamerr.Error {
	var err error
	if x.text, err = c.codec.AppendRequest(nil, x.call.In); err != nil {
		return seamerr.Internal(fmt.Errorf("write the request: %w", err))
	}
	response := &x.response
	for {
		if refusal := c.breaker.allow(x.call.Caller, &x.permit); refusal != nil {
			c.metrics.refused.Inc()
			if response.Attempts == 0 {
				return refusal
			}
			x.last.err.NoRetry = true
			return x.failure()
		}
		if response.Attempts++; response.Attempts == 1 {
			c.budget.call()
		} else {
			response.RetryReason = x.last.reason()
		}
		x.deadline = x.call.attemptDeadline(ctx, response.Attempts)
		c.tryOnce(ctx, x)
		c.metrics.ended(x.call.Path, response.Attempts, &x.last)
		response.Duration += x.last.took
		response.RequestID, response.HTTPStatus = x.last.requestID, x.last.httpStatus
		if x.last.err == nil {
			response.Body, response.Skipped = x.last.body, x.last.skipped
			return nil
		}
		x.ambiguous = x.ambiguous || x.last.ambiguous()
		wait, retry := c.next(ctx, x)
		if !retry {
			return x.failure()
		}
		if !sleep(ctx, wait) {
			x.last = attempt{outcome: canceled, err: contextError(ctx, x.last.err)}
			return x.failure()
		}
	}
}

// next reports whether a failed request is retried, and after what wait.
func (c *Client) next(ctx context.Context, x *exchange) (wait time.Duration, retry bool) {
	last, attempts := &x.last, x.response.Attempts
	if x.call.CallerRetries || !last.retryable(x.call.Semantics) {
		return 0, false
	}
	if attempts == maxAttempts {
		last.err.NoRetry = true
		return 0, false
	}
	wait, ok := waitFor(attempts, last.err.RetryAfter)
	if !ok || !fitsDeadline(ctx, wait+last.expectedDuration()) {
		return 0, false
	}
	if !c.budget.retry() {
		c.metrics.denied.Inc()
		last.err.NoRetry = true
		return 0, false
	}
	return wait, true
}

// tryOnce makes an attempt and reports its result to the circuit breaker, even if it panics.
func (c *Client) tryOnce(ctx context.Context, x *exchange) {
	result := errIgnored
	c.metrics.inFlight.Add(1)
	defer func() {
		c.metrics.inFlight.Add(-1)
		x.permit.done(result)
	}()
	if c.tracer == nil {
		c.attempt(ctx, x)
	} else {
		c.tracedAttempt(ctx, x)
	}
	result = x.last.breakerResult()
}
