package seam

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// attempt is the result of one request.
type attempt struct {
	outcome outcome
	// err is nil for a success.
	err *seamerr.Error
	// requestID and httpStatus are those of Seam's response, empty and 0 without one.
	requestID  string
	httpStatus int
	// body is the body of a success, and skipped are its members that could not be read.
	body    []byte
	skipped []string
	// sent is true when Seam may have received the whole request.
	sent bool
	took time.Duration
}

// attempt sends a request to Seam and reads the response into the call's message. It ends with ctx, and at x.deadline
// unless that is zero. Its result is x.last.
//
// It goes through the transport and not through an http.Client: a redirect is then a response like any other, and
// credentials never follow one to another host.
func (c *Client) attempt(ctx context.Context, x *exchange) {
	began := time.Now()
	x.last = attempt{}
	connections := c.pool.take()
	defer connections.release()
	c.roundTrip(ctx, x, connections.Transport)
	if a := &x.last; a.err != nil {
		a.err.RequestID = cmp.Or(a.err.RequestID, a.requestID)
	}
	x.last.took = time.Since(began)
}

// roundTrip sends the request and reads the response.
func (c *Client) roundTrip(ctx context.Context, x *exchange, transport *http.Transport) {
	limited := ctx
	if end, _ := ctx.Deadline(); x.deadline.Before(end) {
		var cancel context.CancelFunc
		limited, cancel = context.WithDeadline(ctx, x.deadline)
		defer cancel()
	}
	trace := newSendTrace(x.text)
	request := c.newRequest(x, &trace.body).WithContext(httptrace.WithClientTrace(limited, &trace.ClientTrace))
	response, err := transport.RoundTrip(request) //nolint:bodyclose // Closed in received.
	c.ended(ctx, x, response, err == nil || trace.sent(err, c.pool.http2.Load()), err)
}

// ended reads the response, or sets the attempt of a request that has none.
func (c *Client) ended(ctx context.Context, x *exchange, response *http.Response, sent bool, err error) {
	if err != nil {
		c.failed(ctx, x.deadline, err, sent, &x.last)
	} else {
		c.received(ctx, x.deadline, &x.call, response, &x.last)
		x.last.sent = true
	}
}

// newRequest returns the request of an attempt for the transport. Each has a header of its own: the transport may still
// read that of the attempt before.
func (c *Client) newRequest(x *exchange, body io.Reader) *http.Request {
	address := *c.endpoint
	address.Path += x.call.Path
	if address.RawPath != "" { // The base URL has something escaped.
		address.RawPath += x.call.Path
	}
	header := make(http.Header, len(x.header)+len(c.header))
	maps.Copy(header, x.header)
	maps.Copy(header, c.header)
	return &http.Request{
		Method: x.call.Method, URL: &address, Host: address.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		// Without GetBody, which would let the transport retry the request by itself.
		Body: io.NopCloser(body), ContentLength: int64(len(x.text)),
	}
}

// failed sets the attempt of a request without a response.
func (c *Client) failed(ctx context.Context, deadline time.Time, err error, sent bool, a *attempt) {
	cause := fmt.Errorf("call %s: %w", c.endpoint.Hostname(), fromOutside(err))
	a.sent = sent
	if a.outcome, a.err = interruption(ctx, deadline, cause); a.err != nil {
		return
	}
	a.outcome, a.err = connectionLost, seamerr.Unreachable(cause)
	switch {
	case isNotProcessed(err):
		a.outcome, a.sent = notProcessed, false
	case !sent:
		a.outcome = notSent
	}
}

// interruption returns the outcome and the error of an attempt that was canceled or timed out: by the call's context,
// or by the deadline of the attempt. The error is nil for one that ended for another reason.
func interruption(ctx context.Context, deadline time.Time, cause error) (outcome, *seamerr.Error) {
	switch {
	case expired(ctx):
		return canceled, contextError(ctx, cause)
	case !deadline.IsZero() && !time.Now().Before(deadline):
		return timedOut, seamerr.Timeout(cause)
	default:
		return succeeded, nil
	}
}

// isNotProcessed reports whether Seam has not processed the request (RFC 9113): it refused the stream with
// REFUSED_STREAM, or sent a GOAWAY with a lower stream id. The transport reports this only in the text of its error,
// once it cannot retry the request by itself. Unknown texts do not count, nor do the words in another place, where the
// error may quote the peer.
func isNotProcessed(err error) bool {
	why, ok := strings.CutPrefix(err.Error(), "http2: Transport: cannot retry err [")
	return ok && (strings.HasPrefix(why, "http2: Transport received Server's graceful shutdown GOAWAY]") ||
		(strings.HasPrefix(why, "stream error: stream ID ") && strings.Contains(why, "; REFUSED_STREAM;")))
}

// received reads the response to a request.
func (c *Client) received(
	ctx context.Context, deadline time.Time, call *Call, response *http.Response, a *attempt,
) {
	redact := redactor{header: call.Header}
	a.requestID, a.httpStatus = requestID(response.Header, redact), response.StatusCode
	if response.StatusCode == http.StatusSwitchingProtocols {
		// No other protocol was requested, and the body of this response is the raw connection, which has no end.
		_ = response.Body.Close()
		a.outcome, a.err = rejected, seamerr.InvalidResponse(errors.New("switched to another protocol"))
		return
	}
	text, err := readBody(response, c.maxResponseBytes)
	good := response.StatusCode >= 200 && response.StatusCode <= 299
	if err != nil {
		cause := fmt.Errorf("read Seam's %d response: %w", response.StatusCode, fromOutside(err))
		if a.outcome, a.err = interruption(ctx, deadline, cause); a.err != nil {
			return
		}
		if good {
			// The request has been applied, so this is not a lost connection.
			a.outcome, a.err = truncated, seamerr.InvalidResponse(cause)
			if errors.Is(err, errTooLarge) {
				a.outcome = tooLarge
			}
			return
		}
	}
	if !good {
		// The status is enough: an error with a truncated body counts as one without a body.
		a.outcome, a.err = outcomeOf(response.StatusCode), errorResponse(response, a.requestID, text, redact)
		return
	}
	if len(text) == 0 && call.Success.isVoid(response.StatusCode) {
		return
	}
	envelope, err := call.decode(c.codec, text)
	if err == nil {
		err = call.Success.check(envelope, call.Out)
	}
	if err == nil && call.ServiceCredential && redact.finds(text) {
		err = errors.New("it has the service credential in it")
	}
	if err != nil {
		proto.Reset(call.Out)
		cause := fmt.Errorf("read Seam's %d response: %w", response.StatusCode, err)
		a.outcome, a.err = malformed, seamerr.InvalidResponse(cause)
		return
	}
	a.body, a.skipped = text, envelope.Skipped
}

// reason is why the attempt failed, for the log. It quotes nothing of Seam's response but the error's type.
func (a *attempt) reason() error {
	if a.err.Cause != nil {
		return a.err.Cause
	}
	return fmt.Errorf("HTTP status %d, %s", a.httpStatus, a.err.Type)
}

const (
	// firstBuffer is the first buffer of a body of unknown length, firstKnownBuffer the longest first one of a known
	// length, both in bytes.
	firstBuffer, firstKnownBuffer = 1 << 10, 64 << 10
	// growth and knownGrowth are how many times longer the next buffer is. So memory grows with what arrives and not with
	// an announcement, and a body of known length is copied twice at the most.
	growth, knownGrowth = 2, 16
)

// readBody reads the body to its end, so that the connection can be used again, or fails at the limit.
func readBody(response *http.Response, limit int) ([]byte, error) {
	defer response.Body.Close() //nolint:errcheck // The body has been read or abandoned.
	// Each has room for one byte more, for the read that sees the end, or more than the limit.
	most, first, times := limit+1, firstBuffer, growth
	if n := response.ContentLength; n > 0 && n <= int64(limit) {
		most, first, times = int(n)+1, firstKnownBuffer, knownGrowth
	}
	text := make([]byte, 0, min(most, first))
	for {
		n, err := response.Body.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		switch {
		case errors.Is(err, io.EOF) && len(text) < most:
			return text, nil
		case len(text) == most:
			return nil, fmt.Errorf("%w of %d bytes", errTooLarge, limit)
		case err != nil:
			return nil, err
		case len(text) == cap(text):
			text = append(make([]byte, 0, min(most, times*cap(text))), text...)
		}
	}
}

var errTooLarge = errors.New("the response is longer than the limit")

// expired reports whether a call is past its deadline or canceled. The context may not be done yet when the deadline
// has passed: the network has timers of its own.
func expired(ctx context.Context) bool {
	deadline, set := ctx.Deadline()
	return ctx.Err() != nil || (set && !time.Now().Before(deadline))
}

// contextError returns the error of a call that ended because its context did.
func contextError(ctx context.Context, cause error) *seamerr.Error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return seamerr.Canceled(cause)
	}
	return seamerr.Timeout(cause)
}
