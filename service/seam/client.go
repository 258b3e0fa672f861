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
	"sync"
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
	// Registry gets the metrics, and OverMemory counts the responses for which there was no memory.
	Registry   prometheus.Registerer
	OverMemory prometheus.Counter
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
	memory           *memory
	pool             *pool
	// requests are the requests that have what all those to an endpoint have in common, by path.
	requests  map[string]*http.Request
	abandoned *abandoned
	// exchanges are those that have not ended.
	exchanges sync.WaitGroup
	budget    *budget
	breakers  *breakers
	metrics   *metrics
	tracer    trace.Tracer
	logger    *slog.Logger
}

// New returns a client for the endpoint.
func New(config Config) *Client {
	endpoint := *config.Endpoint
	endpoint.Path = strings.TrimRight(endpoint.Path, "/")
	endpoint.RawPath = strings.TrimRight(endpoint.RawPath, "/")
	c := &Client{
		endpoint: &endpoint,
		requests: map[string]*http.Request{},
		header: http.Header{
			"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {config.UserAgent},
		},
		maxResponseBytes: cmp.Or(config.MaxResponseBytes, defaultMaxResponseBytes),
		codec:            config.Codec,
		tracer:           config.Tracer,
		logger:           config.Logger,
		budget:           newBudget(),
		breakers:         newBreakers(endpoint.Host, config.Logger),
	}
	for _, e := range endpoints() {
		c.requests[e.Path] = newRequest(&endpoint, e.Path)
	}
	c.abandoned = newAbandoned(config.MaxIdleConnections)
	c.memory = newMemory(config, c.maxResponseBytes)
	c.metrics = newMetrics(config.Registry, c.breakers, c.budget, c.abandoned, c.memory)
	c.pool = newPool(config, c.metrics)
	return c
}

// Close cancels the abandoned exchanges and closes the idle connections. Call it when no calls are in flight.
func (c *Client) Close() {
	c.abandoned.close()
	c.exchanges.Wait()
	c.pool.close()
}

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

	memory reservation
}

// Release frees the memory of the response. Call it once the response has been written to the caller, also after an
// error.
func (c *Call) Release() { c.memory.release() }

// Response is the result of a call beside the message.
type Response struct {
	// SeamRequestID is Seam's id of the request, empty without a response or when that had none.
	SeamRequestID string
	// HTTPStatus is the status of the response, 0 without one.
	HTTPStatus int
	// Header has the headers of the response that the caller gets too, by their names in lower case.
	Header map[string][]string
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
// can help. Every error is an *seamerr.Error. The Response is set as far as Seam has responded. The call has to be
// released.
func (c *Client) Do(ctx context.Context, call *Call) (*Response, error) {
	s := &callState{call: call, header: call.Header}
	returned := false
	defer func() {
		if !returned { // By a panic, after which nobody releases it.
			call.Release()
		}
	}()
	err := c.do(ctx, s)
	returned = true
	if err != nil {
		return &s.response, err
	}
	return &s.response, nil
}

// callState is a call with its attempts. It is on the heap: the stack of a call in flight would grow beyond 8 KiB with
// it, and so to 16.
type callState struct {
	call *Call
	// header has the call's headers and those of the present attempt, text is the body of each attempt.
	header http.Header
	text   []byte
	// began is when the present attempt began, and deadline is when it has to end, zero for no deadline of its own.
	began, deadline time.Time
	// last is the present attempt, or the last one.
	last     attempt
	response Response
	// ambiguous is true when an attempt may have been applied.
	ambiguous bool
}

// do is the retry loop: it makes attempts until one succeeds or the failure must not be retried.
func (c *Client) do(ctx context.Context, s *callState) *seamerr.Error {
	var err error
	if s.text, err = c.codec.AppendRequest(nil, s.call.In); err != nil {
		return seamerr.Internal(fmt.Errorf("write the request: %w", err))
	}
	response := &s.response
	if refusal := c.abandoned.allow(s.call.Caller); refusal != nil {
		return refusal
	}
	c.memory.reserve(&s.call.memory, s.call.Caller)
	for {
		s.began = time.Now()
		if refusal := c.breakers.allow(s.call.Caller, s.began); refusal != nil {
			c.metrics.refused.Inc()
			if response.Attempts == 0 {
				return refusal
			}
			s.last.err.NoRetry = true
			return s.failure()
		}
		if response.Attempts++; response.Attempts == 1 {
			c.budget.call()
		} else {
			response.RetryReason = s.last.reason()
		}
		s.deadline = s.call.attemptDeadline(ctx, response.Attempts)
		c.tryOnce(ctx, s)
		c.metrics.ended(s.call.Path, response.Attempts, &s.last)
		response.Duration += s.last.took
		response.SeamRequestID, response.HTTPStatus = s.last.seamRequestID, s.last.httpStatus
		response.Header = s.last.passed
		if s.last.err == nil {
			response.Body, response.Skipped = s.last.body, s.last.skipped
			return nil
		}
		s.ambiguous = s.ambiguous || s.last.ambiguous()
		wait, retry := c.next(ctx, s)
		if !retry {
			return s.failure()
		}
		if !sleep(ctx, wait) {
			last := s.last.err
			s.last = attempt{}
			s.last.outcome, s.last.err = contextResult(ctx, last)
			return s.failure()
		}
	}
}

// tryOnce makes an attempt and records its result.
func (c *Client) tryOnce(ctx context.Context, s *callState) {
	if c.tracer == nil {
		c.attempt(ctx, s)
	} else {
		c.tracedAttempt(ctx, s)
	}
	var cause error
	if s.last.err != nil {
		cause = s.last.reason()
	}
	c.breakers.record(s.call.Caller, s.began, s.last.breakerResult(), cause)
}
