package seam

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
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
	// seamRequestID and httpStatus are those of Seam's response, empty and 0 without one.
	seamRequestID string
	httpStatus    int
	// passed are the headers of Seam's response that the caller gets too.
	passed map[string][]string
	// body is the body of a success, and skipped are its members that could not be read.
	body    []byte
	skipped []string
	// sent is true when Seam may have received the whole request.
	sent bool
	// lossIsKnown is true when another attempt has told before of the lost connection by which this one failed.
	lossIsKnown bool
	took        time.Duration
}

// attempt makes a request to Seam, reads the response into the call's message, and sets s.last. It ends with ctx, and
// at s.deadline unless that is zero. When ctx ends first, the exchange goes on without the call.
func (c *Client) attempt(ctx context.Context, s *callState) {
	s.last = attempt{}
	if err := ctx.Err(); err != nil {
		s.last.outcome, s.last.err = contextResult(ctx, err)
		return
	}
	deadline := s.deadline
	if end, _ := ctx.Deadline(); !deadline.Before(end) {
		deadline = time.Time{}
	}
	x := c.startExchange(s, deadline) //nolint:contextcheck // It may outlive the call.
	select {
	case <-x.ended:
		c.ended(ctx, s, x)
	case <-ctx.Done():
		s.last.sent, s.last.took = x.wroteHeaders.Load(), time.Since(x.began)
		s.last.outcome, s.last.err = contextResult(ctx, c.late(x, ctx.Err()))
		c.abandoned.add(x, s.call.Caller)
	}
}

// ended reads the result of an exchange.
func (c *Client) ended(ctx context.Context, s *callState, x *exchange) {
	if x.panicked != nil {
		panic(x.panicked)
	}
	a := &s.last
	a.took = x.took
	if x.err != nil {
		c.failed(ctx, s.deadline, x, a)
	} else {
		c.received(ctx, s, x)
		a.sent = true
	}
	if a.outcome == connectionLost || a.outcome == truncated {
		a.lossIsKnown = x.lossIsKnown()
	}
	if a.err != nil {
		delete(a.passed, "retry-after") // That of a 2xx which does not count as a success says nothing of the error.
		a.err.SeamRequestID = cmp.Or(a.err.SeamRequestID, a.seamRequestID)
	}
}

// failed sets the attempt of an exchange without a response.
func (c *Client) failed(ctx context.Context, deadline time.Time, x *exchange, a *attempt) {
	cause := fmt.Errorf("call %s: %w", c.endpoint.Hostname(), fromOutside(x.err))
	a.sent = x.sent()
	if a.interrupted(ctx, deadline, c.late(x, cause)) {
		return
	}
	a.outcome, a.err = connectionLost, seamerr.Unreachable(cause)
	switch {
	case isNotProcessed(x.err):
		a.outcome, a.sent = notProcessed, false
	case !a.sent:
		a.outcome = notSent
	}
}

// interrupted reports whether the attempt was canceled or timed out, by the call's context or by its own deadline, and
// sets its outcome and its error then.
func (a *attempt) interrupted(ctx context.Context, deadline time.Time, cause error) bool {
	switch {
	case expired(ctx):
		a.outcome, a.err = contextResult(ctx, cause)
	case !deadline.IsZero() && !time.Now().Before(deadline):
		a.outcome, a.err = timedOut, seamerr.Timeout(cause)
	default:
		return false
	}
	return true
}

// late returns that there was no response in time, with the cause if the caller has left.
func (c *Client) late(x *exchange, cause error) error {
	what := "response from"
	if !x.wroteHeaders.Load() {
		what = "connection to"
	}
	text := fmt.Sprintf("no %s %s within %s", what, c.endpoint.Hostname(), time.Since(x.began).Round(time.Millisecond))
	if errors.Is(cause, context.Canceled) {
		return fmt.Errorf("%s: %w", text, cause)
	}
	return errors.New(text)
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

// byteOrderMark may not stand before JSON, but a receiver may ignore it (RFC 8259), as Seam's SDKs do.
const byteOrderMark = "\ufeff"

// received reads the response of an exchange.
func (c *Client) received(ctx context.Context, s *callState, x *exchange) {
	call, a, response, text := s.call, &s.last, x.response, bytes.TrimPrefix(x.text, []byte(byteOrderMark))
	redact := redactor{header: call.Header}
	a.seamRequestID, a.httpStatus = seamRequestID(response.Header, redact), response.StatusCode
	a.passed = passedHeaders(response, redact)
	if response.StatusCode == http.StatusSwitchingProtocols {
		a.outcome, a.err = rejected, seamerr.InvalidResponse(errors.New("switched to another protocol"))
		return
	}
	good := response.StatusCode >= 200 && response.StatusCode <= 299
	if x.bodyErr != nil {
		cause := fmt.Errorf("read Seam's %d response: %w", response.StatusCode, fromOutside(x.bodyErr))
		if a.interrupted(ctx, s.deadline, cause) {
			return
		}
		if good {
			// The request has been applied, so this is not a lost connection.
			a.outcome, a.err = truncated, seamerr.InvalidResponse(cause)
			switch {
			case errors.Is(x.bodyErr, errTooLarge):
				a.outcome = tooLarge
			case errors.Is(x.bodyErr, errNoMemory):
				a.outcome, a.err = outOfMemory, noMemory()
			}
			return
		}
	}
	if !good {
		// The status is enough: an error with a truncated body counts as one without a body.
		a.outcome, a.err = outcomeOf(response.StatusCode), errorResponse(response, a.seamRequestID, text, redact)
		return
	}
	if len(text) == 0 && call.Success.isVoid(response.StatusCode) {
		return
	}
	if !call.BodyOnly && len(text) > firstReservation/(1+messageFactor) && !x.memory.grow(messageFactor*len(text)) {
		a.outcome, a.err = outOfMemory, noMemory()
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

// expired reports whether a call is past its deadline or canceled. The context may not be done yet when the deadline
// has passed: the network has timers of its own.
func expired(ctx context.Context) bool {
	deadline, set := ctx.Deadline()
	return ctx.Err() != nil || (set && !time.Now().Before(deadline))
}

// contextResult returns the outcome and the error of an attempt that ended because the context of its call did.
func contextResult(ctx context.Context, cause error) (outcome, *seamerr.Error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return canceled, seamerr.Canceled(cause)
	}
	return callTimedOut, seamerr.Timeout(cause)
}
