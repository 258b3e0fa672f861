package seam_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// The semantics in the order of the columns of the table.
const (
	nonIdempotent = iota
	idempotent
	safe
)

// result is what becomes of a call.
type result struct {
	// requests is how many the upstream saw.
	requests int
	code     codes.Code
	status   int
	// unknown and noRetry are OutcomeUnknown and NoRetry of the error.
	unknown, noRetry bool
}

// same is the row of an outcome that is the same for every semantics.
func same(e result) [3]result { return [3]result{e, e, e} }

// ambiguous is the row of an outcome after which the request may have been applied: a non-idempotent one is not
// retried, and the others are sent three times. The outcome of a safe request is never unknown.
func ambiguous(code codes.Code, status int, once result) [3]result {
	once.requests, once.unknown, once.noRetry = 1, true, true
	return [3]result{once, {3, code, status, true, true}, {3, code, status, false, true}}
}

// TestWhatIsRetried is the table of what is retried, for each outcome of a request and for each semantics; one
// ambiguous outcome shows the semantics of each endpoint. It also fails when a version of Go changes the text of an
// error that the client parses.
func TestWhatIsRetried(t *testing.T) {
	t.Parallel()                                                 // Most of the time is waited.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // Go's transport, should it retry, takes longer.
	defer cancel()
	type endpoint struct {
		name      string
		at        seam.Endpoint
		semantics int
	}
	kinds := []endpoint{
		{"Create", seam.Create(), nonIdempotent}, {"GrantAccess", seam.GrantAccess(), idempotent}, {"Get", seam.Get(), safe},
	}
	others := []endpoint{
		{"CreateOrGet with a key", seam.CreateOrGet(true), idempotent},
		{"CreateOrGet without a key", seam.CreateOrGet(false), nonIdempotent},
		{"GetOrCreate with a key", seam.GetOrCreate(true), idempotent},
		{"GetOrCreate without a key", seam.GetOrCreate(false), nonIdempotent},
		{"List", seam.List(), safe},
		{"Revoke", seam.Revoke(), idempotent},
		{"Delete", seam.Delete(), idempotent},
	}
	var (
		// The one thing that is known of these is that nothing was done, so they are always retried.
		notApplied = same(result{3, codes.Unavailable, 503, false, true})
		limited    = same(result{3, codes.ResourceExhausted, 429, false, true})

		lost      = ambiguous(codes.Unavailable, 503, result{code: codes.Unknown, status: 424})
		malformed = ambiguous(codes.Internal, 502, result{code: codes.Internal, status: 424})
	)
	const maxBytes = 64 << 10
	var rows []func()
	type outcomeRow struct {
		name     string
		upstream upstreamOf
		want     [3]result
	}
	outcomes := []outcomeRow{
		{"connection refused", refused, notApplied},
		{"TLS failure", failingTLS, notApplied},
		{"HTTP/2 REFUSED_STREAM", resetting(http2.ErrCodeRefusedStream), notApplied},
		{"HTTP/2 GOAWAY before the stream", goingAway(0, http2.ErrCodeNo, ""), notApplied},

		{"reset before headers", saying("", seamtest.Reset), lost},
		{"reset in headers", saying("HTTP/1.1 200 OK\r\nContent-", seamtest.Reset), lost},
		{"end before headers", saying("", seamtest.Close), lost},
		{"not HTTP", saying("220 mail.example ESMTP\r\n", seamtest.Close), lost},
		{"HTTP/2 PROTOCOL_ERROR", resetting(http2.ErrCodeProtocol), lost},
		{"HTTP/2 INTERNAL_ERROR", resetting(http2.ErrCodeInternal), lost},
		{"HTTP/2 CANCEL", resetting(http2.ErrCodeCancel), lost},
		{"HTTP/2 ENHANCE_YOUR_CALM", resetting(http2.ErrCodeEnhanceYourCalm), lost},
		{"HTTP/2 GOAWAY with the stream", goingAway(1, http2.ErrCodeNo, ""), lost},
		{"HTTP/2 GOAWAY with the stream, error", goingAway(1, http2.ErrCodeInternal, ""), lost},
		// Nothing was done about the stream here, but Go's transport does not say so.
		{"HTTP/2 GOAWAY before the stream, error", goingAway(0, http2.ErrCodeEnhanceYourCalm, ""), lost},
		{"HTTP/2 end before headers", streaming(func(seamtest.Stream) seamtest.Then { return seamtest.Close }), lost},
		// Who is at fault must not be able to say that nothing was done, in a text that only sounds like Go's.
		{"HTTP/2 GOAWAY that sounds like a refusal", goingAway(1, http2.ErrCodeNo, forgedRefusal), lost},
		{"header that sounds like a refusal", saying("HTTP/1.1 200 OK\r\n cannot retry err REFUSED_STREAM\r\n\r\n", seamtest.Close), lost},

		{"2xx, truncated", saying("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", seamtest.Close), malformed},
		{"2xx, reset", saying("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", seamtest.Reset), malformed},
		{"2xx, HTTP/2 reset", streaming(func(s seamtest.Stream) seamtest.Then {
			s.Head("200")
			_ = s.WriteData(s.ID, false, []byte("{"))
			return s.Reset(http2.ErrCodeInternal)
		}), malformed},
	}
	for _, over := range []string{overHTTP1, overHTTP2} {
		status := func(code int, headers ...string) upstreamOf { return body(over, code, "", headers...) }
		for _, row := range []outcomeRow{
			{"429", status(429), limited},
			{"429, Retry-After 0", status(429, "retry-after", "0"), limited},
			{"429, Retry-After 1", status(429, "retry-after", "1"), limited},
			{"429, Retry-After 3", status(429, "retry-after", "3"), same(result{1, codes.ResourceExhausted, 429, false, false})},

			{"500", status(500), ambiguous(codes.Internal, 500, result{code: codes.Internal, status: 500})},
			{"502", status(502), ambiguous(codes.Unavailable, 502, result{code: codes.Unknown, status: 502})},
			{"503", status(503), ambiguous(codes.Unavailable, 503, result{code: codes.Unknown, status: 503})},
			{"504", status(504), ambiguous(codes.DeadlineExceeded, 504, result{code: codes.DeadlineExceeded, status: 504})},
			{"599", status(599), ambiguous(codes.Internal, 599, result{code: codes.Internal, status: 599})},

			{"501", status(501), same(result{1, codes.Unimplemented, 501, false, false})},
			{"400", status(400), same(result{1, codes.InvalidArgument, 400, false, false})},
			{"404", status(404), same(result{1, codes.NotFound, 404, false, false})},
			{"408", status(408), same(result{1, codes.DeadlineExceeded, 408, false, false})},
			{"redirect", status(307, "location", "/elsewhere"), same(result{1, codes.Internal, 502, false, false})},

			{"2xx, empty", status(200), malformed},
			{"2xx, HTML", body(over, 200, `<html>`), malformed},
			{"2xx, wrong type", body(over, 200, `{"client_session":5}`), malformed},
			{"2xx, too long", body(over, 200, strings.Repeat(" ", maxBytes+1)), [3]result{
				{1, codes.Internal, 424, true, true}, {1, codes.Internal, 502, true, false}, {1, codes.Internal, 502, false, false},
			}},
		} {
			row.name = over + ", " + row.name
			outcomes = append(outcomes, row)
		}
	}
	for _, outcome := range outcomes {
		var calls sync.WaitGroup
		endpoints := kinds
		if outcome.name == "reset before headers" {
			endpoints = slices.Concat(kinds, others)
		}
		played := make([]call, len(endpoints))
		for i, endpoint := range endpoints {
			url, seen := outcome.upstream(t)
			client := newClient(t, url, func(c *seam.Config) { c.MaxResponseBytes = maxBytes })
			played[i].seen = seen
			calls.Go(func() {
				played[i].response, played[i].out, played[i].err = send(ctx, t, client, seam.Call{Endpoint: endpoint.at})
			})
		}
		rows = append(rows, func() { // All rows are under way by the time that the first one is looked at.
			calls.Wait()
			for i, endpoint := range endpoints {
				t.Run(outcome.name+"/"+endpoint.name, func(t *testing.T) { played[i].check(t, outcome.want[endpoint.semantics]) })
			}
		})
	}
	for _, check := range rows {
		check()
	}
}

// call is what a call came to, and the upstream that saw its requests.
type call struct {
	seen     *atomic.Int32
	response seam.Response
	out      *grantResponse
	err      *seamerr.Error
}

func (c call) check(t *testing.T, want result) {
	t.Helper()
	if c.err == nil {
		t.Fatal("the call succeeds")
	}
	got := result{c.response.Attempts, c.err.GRPCCode(), c.err.HTTPStatus, c.err.OutcomeUnknown, c.err.NoRetry}
	if got != want {
		t.Errorf("it ends as %+v, want %+v (cause %v)", got, want, c.err.Cause)
	}
	if c.seen != nil && int(c.seen.Load()) != c.response.Attempts {
		t.Errorf("the upstream saw %d requests, and the response has %d attempts", c.seen.Load(), c.response.Attempts)
	}
	if again := c.response.Attempts > 1; again != (c.response.RetryReason != nil) {
		t.Errorf("retried because of %v", c.response.RetryReason)
	}
	if c.out.GetOk() || c.out.GetClientSession() != nil {
		t.Errorf("the response of a call that failed is %v", c.out)
	}
}

// forgedRefusal is the error of Go's transport for a refused stream, as a text of the peer.
const forgedRefusal = "http2: Transport: cannot retry err [stream error: stream ID 1; REFUSED_STREAM; received from peer]"

// upstreamOf starts an upstream of one outcome and returns its URL and how many requests came, nil where none can be
// seen.
type upstreamOf func(t *testing.T) (url string, seen *atomic.Int32)

func failingTLS(t *testing.T) (string, *atomic.Int32) {
	t.Helper()
	u, _ := startTLS(t, true, servicetest.NewAuthority(t, "untrusted").Pair(t, "seam"))
	return u.URL, &u.connections // No request is sent without a connection.
}

func body(over string, code int, text string, headers ...string) upstreamOf {
	return func(t *testing.T) (string, *atomic.Int32) {
		t.Helper()
		u := serveOver(t, over, responding(code, text, headers...))
		return u.URL, &u.requests
	}
}

// refused is the address of a closed port.
func refused(t *testing.T) (string, *atomic.Int32) {
	t.Helper()
	return "https://" + seamtest.Refused(t), nil
}

func upstreamWith(fault seamtest.Fault) upstreamOf {
	return func(t *testing.T) (string, *atomic.Int32) {
		t.Helper()
		u := seamtest.New(t, fault)
		return u.URL, &u.Requests
	}
}

// saying is an upstream over HTTP/1.1 that writes bytes for each request.
func saying(text string, then seamtest.Then) upstreamOf {
	return upstreamWith(seamtest.Fault{TLS: true, Request: seamtest.Say(text, then)})
}

func streaming(stream func(seamtest.Stream) seamtest.Then) upstreamOf {
	return upstreamWith(seamtest.Fault{TLS: true, Stream: stream})
}

func resetting(code http2.ErrCode) upstreamOf {
	return streaming(func(s seamtest.Stream) seamtest.Then { return s.Reset(code) })
}

// goingAway is an upstream that sends a GOAWAY with the last stream that it has processed.
func goingAway(last uint32, code http2.ErrCode, debug string) upstreamOf {
	return streaming(func(s seamtest.Stream) seamtest.Then {
		_ = s.WriteGoAway(last, code, []byte(debug))
		return seamtest.Close
	})
}
