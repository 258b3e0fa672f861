package seam

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// maxBytes is the limit of a response in the table.
const maxBytes = 64 << 10

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
// ambiguous outcome shows the semantics of each endpoint. Where the caller retries by itself, there is one attempt: three
// for each of three of the caller's would be nine. It also fails when a version of Go changes the text of an
// error that the client parses.
func TestWhatIsRetried(t *testing.T) {
	t.Parallel() // Most of the time is waited.
	type endpoint struct {
		name      string
		at        Endpoint
		semantics int
	}
	kinds := []endpoint{
		{"Create", Create(), nonIdempotent}, {"GrantAccess", GrantAccess(), idempotent}, {"Get", Get(), safe},
	}
	others := []endpoint{
		{"CreateOrGet with a key", CreateOrGet(true), idempotent},
		{"CreateOrGet without a key", CreateOrGet(false), nonIdempotent},
		{"GetOrCreate with a key", GetOrCreate(true), idempotent},
		{"GetOrCreate without a key", GetOrCreate(false), nonIdempotent},
		{"List", List(), safe},
		{"Revoke", Revoke(), idempotent},
		{"Delete", Delete(), idempotent},
	}
	var (
		// The one thing that is known of these is that nothing was done, so they are always retried.
		notApplied = same(result{3, codes.Unavailable, 503, false, true})
		limited    = same(result{3, codes.ResourceExhausted, 429, false, true})

		lost      = ambiguous(codes.Unavailable, 503, result{code: codes.Unknown, status: 424})
		malformed = ambiguous(codes.Internal, 502, result{code: codes.Internal, status: 424})
	)
	type outcomeRow struct {
		name     string
		upstream upstreamOf
		want     [3]result
	}
	outcomes := []outcomeRow{
		{"connection refused", refused, notApplied},
		{"TLS failure", inPlainText, notApplied},
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
		status := func(code int, headers ...string) upstreamOf { return replying(over, code, "", headers...) }
		for _, row := range []outcomeRow{
			{"429", status(429), limited},
			{"429, Retry-After 0", status(429, "Retry-After", "0"), limited},
			{"429, Retry-After 1", status(429, "Retry-After", "1"), limited},
			{"429, Retry-After 3", status(429, "Retry-After", "3"), same(result{1, codes.ResourceExhausted, 429, false, false})},

			{"500", status(500), ambiguous(codes.Internal, 500, result{code: codes.Internal, status: 500})},
			{"502", status(502), ambiguous(codes.Unavailable, 502, result{code: codes.Unknown, status: 502})},
			{"503", status(503), ambiguous(codes.Unavailable, 503, result{code: codes.Unknown, status: 503})},
			{"504", status(504), ambiguous(codes.DeadlineExceeded, 504, result{code: codes.DeadlineExceeded, status: 504})},
			{"599", status(599), ambiguous(codes.Internal, 599, result{code: codes.Internal, status: 599})},

			{"501", status(501), same(result{1, codes.Unimplemented, 501, false, false})},
			{"400", status(400), same(result{1, codes.InvalidArgument, 400, false, false})},
			{"404", status(404), same(result{1, codes.NotFound, 404, false, false})},
			{"408", status(408), same(result{1, codes.DeadlineExceeded, 408, false, false})},
			// To follow it could send the credential to another host.
			{"redirect", status(307, "Location", "/elsewhere"), same(result{1, codes.Internal, 502, false, false})},
			{"not modified", status(304), same(result{1, codes.Internal, 502, false, false})},

			{"2xx, empty", status(200), malformed},
			{"2xx, HTML", replying(over, 200, `<html>`), malformed},
			{"2xx, wrong type", replying(over, 200, `{"client_session":5}`), malformed},
			{"2xx, gzip", replying(over, 200, "\x1f\x8b\x08", "Content-Encoding", "gzip"), malformed},
			{"2xx, too long", replying(over, 200, strings.Repeat(" ", maxBytes+1)), [3]result{
				{1, codes.Internal, 424, true, true}, {1, codes.Internal, 502, true, false}, {1, codes.Internal, 502, false, false},
			}},
		} {
			row.name = over + ", " + row.name
			outcomes = append(outcomes, row)
		}
	}
	for _, outcome := range outcomes {
		endpoints := kinds
		if outcome.name == "reset before headers" {
			endpoints = slices.Concat(kinds, others)
		}
		for _, endpoint := range endpoints {
			want := outcome.want[endpoint.semantics]
			t.Run(outcome.name+"/"+endpoint.name, func(t *testing.T) {
				t.Parallel()
				outcome.upstream.wantFailure(t, Call{Endpoint: endpoint.at}, want)
			})
			// A caller that retries by itself may send the others, unless that is not safe.
			once := want
			once.requests, once.noRetry = 1, endpoint.semantics == nonIdempotent && want.unknown
			t.Run(outcome.name+"/"+endpoint.name+", the caller retries", func(t *testing.T) {
				t.Parallel()
				outcome.upstream.wantFailure(t, Call{Endpoint: endpoint.at, CallerRetries: true}, once)
			})
		}
	}
}

// wantFailure makes a call to an upstream, and fails unless it ends as it should.
func (u upstreamOf) wantFailure(t *testing.T, call Call, want result) {
	t.Helper()
	url, seen := u(t)
	client := newClient(t, url, func(c *Config) { c.MaxResponseBytes = maxBytes })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // Go's transport, should it retry, takes longer.
	defer cancel()
	response, out, err := send(ctx, client, call)
	checkFailure(t, response, out, err, want)
	if seen != nil && int(seen.Load()) != response.Attempts {
		t.Errorf("the upstream saw %d requests, and the response has %d attempts", seen.Load(), response.Attempts)
	}
}

// checkFailure fails unless a call ended as it should.
func checkFailure(t *testing.T, response Response, out *grantResponse, err *seamerr.Error, want result) {
	t.Helper()
	if err == nil {
		t.Fatal("the call succeeds")
	}
	got := result{response.Attempts, err.GRPCCode(), err.HTTPStatus, err.OutcomeUnknown, err.NoRetry}
	if got != want {
		t.Errorf("it ends as %+v, want %+v (cause %v)", got, want, err.Cause)
	}
	if strings.Contains(fmt.Sprint(err, err.Cause), credential) {
		t.Errorf("the credential is in the cause %v", err.Cause)
	}
	if again := response.Attempts > 1; again != (response.RetryReason != nil) {
		t.Errorf("retried because of %v", response.RetryReason)
	}
	if out.GetOk() || out.GetClientSession() != nil {
		t.Errorf("the response of a call that failed is %v", out)
	}
}

// forgedRefusal is the error of Go's transport for a refused stream, as a text of the peer.
const forgedRefusal = "http2: Transport: cannot retry err [stream error: stream ID 1; REFUSED_STREAM; received from peer]"

// upstreamOf starts an upstream of one outcome and returns its URL and how many requests came, nil where none can be
// seen.
type upstreamOf func(t *testing.T) (url string, seen *atomic.Int32)

func replying(over string, status int, body string, headers ...string) upstreamOf {
	reply := seamtest.Reply{Status: status, Body: body, Header: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		reply.Header.Set(headers[i], headers[i+1])
	}
	if over == overHTTP1 {
		return upstreamWith(seamtest.Fault{TLS: true, Request: reply.OverHTTP1})
	}
	return streaming(reply.OverHTTP2)
}

// refused is the address of a closed port, which no other program gets before the test ends: it is that of a
// connection's other end.
func refused(t *testing.T) (string, *atomic.Int32) {
	t.Helper()
	u := seamtest.New(t, seamtest.Fault{Accept: seamtest.HangOn})
	conn, err := net.Dial("tcp", strings.TrimPrefix(u.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return "https://" + conn.LocalAddr().String(), nil
}

// inPlainText is a port without TLS.
func inPlainText(t *testing.T) (string, *atomic.Int32) {
	t.Helper()
	u := seamtest.New(t, seamtest.Fault{Accept: func(_ *seamtest.Upstream, conn net.Conn) {
		_, _ = io.WriteString(conn, seamtest.Response("400 Bad Request", ""))
	}})
	return strings.Replace(u.URL, "http://", "https://", 1), &u.Connections // No request is sent without a connection.
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
