// Package seam is the one place that knows Seam's HTTP: addresses, headers, JSON, limits, error bodies, and what to do
// when an answer does not come.
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
	endpoint  *url.URL
	userAgent string
	codec     *seamjson.Codec
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
		endpoint:  &endpoint,
		userAgent: config.UserAgent,

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
	// OwnCredential is true when the credential in Header is the service's own, which no caller may see in a response.
	OwnCredential bool
	// Caller is who makes the call.
	Caller Caller
	// CallerRepeats is true when the caller repeats calls that failed. They are not repeated here then: three attempts of
	// ours for each of three of the caller's would be nine.
	CallerRepeats bool
	// In is the request, Out is where the answer is read to.
	In, Out proto.Message
}

// Answer is what is known of a call beside the body of the answer.
type Answer struct {
	// RequestID is Seam's name for the request, empty when no answer came or it had none.
	RequestID string
	// HTTPStatus is the status of the answer, 0 when none came.
	HTTPStatus int
	// Attempts is how many requests were put to Seam.
	Attempts int
	// Body is the response of a success as Seam wrote it, empty for a 204. Skipped are the names of members in it that
	// are of another type than documented.
	Body    []byte
	Skipped []string
	// Repeated is why the last of them was put again, nil if there was one only.
	Repeated error
}

// Do makes a call, which lives no longer than ctx. Requests that failed are put again where that can help and cannot
// double their effect. Any failure is an *seamerr.Error; the Answer is filled as far as Seam answered.
func (c *Client) Do(ctx context.Context, call Call) (Answer, error) {
	text, err := c.codec.AppendRequest(nil, call.In)
	if err != nil {
		return Answer{}, seamerr.Internal(fmt.Errorf("write the request: %w", err))
	}
	header := make(http.Header, len(call.Header)+3)
	maps.Copy(header, call.Header)
	header["Content-Type"] = []string{"application/json"}
	header["Accept"] = []string{"application/json"}
	header["User-Agent"] = []string{c.userAgent}

	var answer Answer
	var last attempt
	ambiguous := false
	for {
		leave, refusal := c.breaker.allow(call.Caller)
		if refusal != nil {
			c.metrics.refused.Inc()
			if answer.Attempts == 0 {
				return answer, refusal
			}
			last.err.Final = true
			return answer, call.failure(last, ambiguous)
		}
		if answer.Attempts++; answer.Attempts == 1 {
			c.budget.call()
		} else {
			answer.Repeated = last.reason()
		}
		last = c.judged(ctx, leave, call, header, text, call.limit(ctx, answer.Attempts))
		c.metrics.attempt(answer.Attempts, last)
		answer.RequestID, answer.HTTPStatus = last.requestID, last.httpStatus
		if last.err == nil {
			answer.Body, answer.Skipped = last.body, last.skipped
			return answer, nil
		}
		ambiguous = ambiguous || last.ambiguous()
		wait, again := c.next(ctx, call, last, answer.Attempts)
		if !again {
			return answer, call.failure(last, ambiguous)
		}
		if !sleep(ctx, wait) {
			last = attempt{fate: abandoned, err: endOf(ctx, last.err)}
			return answer, call.failure(last, ambiguous)
		}
	}
}

// next says how long to wait before a request that failed is put again, or that it is not to be.
func (c *Client) next(ctx context.Context, call Call, last attempt, attempts int) (wait time.Duration, again bool) {
	if call.CallerRepeats || !last.repeatable(call.Effect) {
		return 0, false
	}
	if attempts == maxAttempts {
		last.err.Final = true
		return 0, false
	}
	wait, ok := waitFor(attempts, last.err.RetryAfter)
	if !ok || !fits(ctx, wait+last.likely()) {
		return 0, false
	}
	if !c.budget.repeat() {
		c.metrics.denied.Inc()
		last.err.Final = true
		return 0, false
	}
	return wait, true
}

// judged makes an attempt and tells the circuit breaker what came of it, even of one that panics.
func (c *Client) judged(
	ctx context.Context, leave permit, call Call, header http.Header, text []byte, limit time.Duration,
) attempt {
	verdict := errIgnored
	defer func() { leave.done(verdict) }()
	a := c.attempt(ctx, call, header, text, limit)
	verdict = a.verdict()
	return a
}
