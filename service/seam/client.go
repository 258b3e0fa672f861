// Package seam is the client of Seam's client sessions API: endpoints, headers, limits, error bodies, retries, circuit
// breakers and connections.
package seam

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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
}

// New returns a client for the endpoint.
func New(config Config) *Client {
	endpoint := *config.Endpoint
	endpoint.Path = strings.TrimRight(endpoint.Path, "/")
	endpoint.RawPath = strings.TrimRight(endpoint.RawPath, "/")
	c := &Client{
		endpoint: &endpoint,
		header: http.Header{
			"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {config.UserAgent},
		},
		maxResponseBytes: cmp.Or(config.MaxResponseBytes, defaultMaxResponseBytes),
		codec:            config.Codec,
		budget:           newBudget(),
		breaker:          newBreaker(endpoint.Host, config.Logger),
	}
	c.metrics = newMetrics(config.Registry, c.breaker)
	c.pool = newPool(config, c.metrics.opened)
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
	// Body is the body of a success as Seam wrote it, empty for a 204. Skipped are the names of its members that are not
	// of their documented type.
	Body    []byte
	Skipped []string
}

// Do makes a call, which ends with ctx. A failed request is retried at most twice, and only where a retry is safe and
// can help. Every error is an *seamerr.Error. The Response is set as far as Seam has responded.
func (c *Client) Do(ctx context.Context, call Call) (Response, error) {
	text, err := c.codec.AppendRequest(nil, call.In)
	if err != nil {
		return Response{}, seamerr.Internal(fmt.Errorf("write the request: %w", err))
	}
	header := make(http.Header, len(call.Header)+len(c.header))
	maps.Copy(header, call.Header)
	maps.Copy(header, c.header)

	var response Response
	var last attempt
	ambiguous := false
	for {
		permitted, refusal := c.breaker.allow(call.Caller)
		if refusal != nil {
			c.metrics.refused.Inc()
			if response.Attempts == 0 {
				return response, refusal
			}
			last.err.NoRetry = true
			return response, call.failure(last, ambiguous)
		}
		if response.Attempts++; response.Attempts == 1 {
			c.budget.call()
		} else {
			response.RetryReason = last.reason()
		}
		last = c.tryOnce(ctx, permitted, call, header, text, call.limit(ctx, response.Attempts))
		c.metrics.attempt(response.Attempts, last)
		response.RequestID, response.HTTPStatus = last.requestID, last.httpStatus
		if last.err == nil {
			response.Body, response.Skipped = last.body, last.skipped
			return response, nil
		}
		ambiguous = ambiguous || last.ambiguous()
		wait, retry := c.next(ctx, call, last, response.Attempts)
		if !retry {
			return response, call.failure(last, ambiguous)
		}
		if !sleep(ctx, wait) {
			last = attempt{outcome: canceled, err: contextError(ctx, last.err)}
			return response, call.failure(last, ambiguous)
		}
	}
}

// next says whether a failed request is retried, and after what wait.
func (c *Client) next(ctx context.Context, call Call, last attempt, attempts int) (wait time.Duration, retry bool) {
	if call.CallerRetries || !last.retryable(call.Semantics) {
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
func (c *Client) tryOnce(
	ctx context.Context, permit permit, call Call, header http.Header, text []byte, limit time.Duration,
) attempt {
	result := errIgnored
	defer func() { permit.done(result) }()
	a := c.attempt(ctx, call, header, text, limit)
	result = a.breakerResult()
	return a
}
