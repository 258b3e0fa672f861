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

// defaultMaxResponseBytes bounds what is read of one response: a list of 10,000 sessions is about 5 MB.
const defaultMaxResponseBytes = 8 << 20

// Config is what a Client needs to know.
type Config struct {
	// Endpoint is Seam's base URL, such as https://connect.getseam.com.
	Endpoint *url.URL
	// UserAgent is sent with every request.
	UserAgent string
	// Codec reads and writes the messages.
	Codec *seamjson.Codec
	// CAs are the authorities that Seam's certificate may come from, nil for the system's.
	CAs *x509.CertPool
	// MaxResponseBytes bounds what is read of one response, 8 MiB if 0.
	MaxResponseBytes int
	// MaxIdleConnections is how many connections are kept: as many as there can be calls at once.
	MaxIdleConnections int
	// MaxConnectionAge is how long a connection is used, 0 for as long as it lasts.
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

	// Header has the caller's headers for Seam, the credential among them.
	Header http.Header
	// ServiceCredential is true when the credential in Header is the service's own, which no caller may see in a
	// response.
	ServiceCredential bool
	// Caller is who makes the call.
	Caller Caller
	// CallerRetries is true when the caller retries calls that failed. They are not retried here then: three attempts of
	// ours for each of three of the caller's would be nine.
	CallerRetries bool
	// In is the request, Out is where the response is read to.
	In, Out proto.Message
}

// Response is what is known of a call beside the body of the response.
type Response struct {
	// RequestID is Seam's name for the request, empty when no response came or it had none.
	RequestID string
	// HTTPStatus is the status of the response, 0 when none came.
	HTTPStatus int
	// Attempts is how many requests were sent to Seam, and RetryReason why the last one was retried, nil if there was
	// one only.
	Attempts    int
	RetryReason error
	// Body is the response of a success as Seam wrote it, empty for a 204. Skipped are the names of members in it that
	// are of another type than documented.
	Body    []byte
	Skipped []string
}

// Do makes a call, which lives no longer than ctx. Requests that failed are retried where that can help and cannot
// double their effect. Any failure is an *seamerr.Error; the Response is filled as far as Seam answered.
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
		wait, again := c.next(ctx, call, last, response.Attempts)
		if !again {
			return response, call.failure(last, ambiguous)
		}
		if !sleep(ctx, wait) {
			last = attempt{outcome: canceled, err: contextError(ctx, last.err)}
			return response, call.failure(last, ambiguous)
		}
	}
}

// next says how long to wait before a request that failed is retried, or that it is not to be.
func (c *Client) next(ctx context.Context, call Call, last attempt, attempts int) (wait time.Duration, again bool) {
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

// tryOnce makes an attempt and tells the circuit breaker what came of it, even of one that panics.
func (c *Client) tryOnce(
	ctx context.Context, permit permit, call Call, header http.Header, text []byte, limit time.Duration,
) attempt {
	result := errIgnored
	defer func() { permit.done(result) }()
	a := c.attempt(ctx, call, header, text, limit)
	result = a.breakerResult()
	return a
}
