package server_test

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// soon is the deadline of calls that end by it.
const soon = 1500 * time.Millisecond

// faults are the rows of TestUpstreamFaults: one for each outcome of a request, and those that could leak
// something. What is retried after which response is the table of TestWhatIsRetried in service/seam.
func faults(t *testing.T) []fault {
	t.Helper()
	// Those that are waited for come first, so that the others run beside them.
	return slices.Concat(slowResponses(), connectionFaults(t), streamFaults(), lostResponses(), strangeResponses(t))
}

// overBoth is a response over HTTP/1.1 and over HTTP/2, to calls that end in the same way.
func overBoth(name string, r seamtest.Reply, ends func(fault) fault) []fault {
	return []fault{ends(overHTTP1(name, r)), ends(overHTTP2(name, r))}
}

func overHTTP1(name string, r seamtest.Reply) fault {
	return fault{name: name, Fault: seamtest.Fault{Request: r.OverHTTP1}}
}

// overHTTP2 is a response where calls share a connection, and its end.
func overHTTP2(name string, r seamtest.Reply) fault {
	f := stream(name, r.OverHTTP2)
	f.inTurn = r.Then == seamtest.Close || r.Then == seamtest.Reset
	return f
}

func stream(name string, play func(seamtest.Stream) seamtest.Then) fault {
	return fault{name: "h2 " + name, Fault: seamtest.Fault{Stream: play}, inTurn: true}
}

// connection is a fault before any request. The protocol is not chosen yet, or is HTTP/1.1.
func connection(name string, play func(*seamtest.Upstream, net.Conn)) fault {
	return fault{name: name, Fault: seamtest.Fault{Accept: play}}
}

// The ways in which calls commonly end.

// responded: the response has an error or is none that Seam gives, and no second request would have another one.
func responded(all result) func(fault) fault {
	all.requests = 1
	return func(f fault) fault {
		f.read, f.write, f.once = all, all, all
		return f
	}
}

// notSent: no request was applied, so every call is retried. The upstream sees some of the attempts.
func notSent(f fault, requests int) fault {
	f.read = result{code: codes.Unavailable, status: 503, errorType: "upstream_unreachable", requests: requests}
	f.write, f.once = f.read, f.read
	return f
}

// lost: the request was sent and there was no response.
func lost(f fault) fault {
	f.read = result{code: codes.Unavailable, status: 503, errorType: "upstream_unreachable", requests: 3}
	f.write = f.read
	f.write.unknown = true
	f.once = result{code: codes.Unknown, status: 424, errorType: "upstream_unreachable", unknown: true, requests: 1}
	return f
}

// malformed: the response is a 2xx that is truncated or malformed.
func malformed(f fault) fault {
	f.read = result{code: codes.Internal, status: 502, errorType: "upstream_response_invalid", requests: 3}
	f.write = f.read
	f.write.unknown = true
	f.once = result{code: codes.Internal, status: 424, errorType: "upstream_response_invalid", unknown: true, requests: 1}
	return f
}

// timesOut: the response does not come before the deadline. There is no time for a second request.
func timesOut(f fault) fault {
	f.timeout = soon
	f.read = result{code: codes.DeadlineExceeded, status: 504, errorType: "upstream_timeout", requests: 1, late: true}
	f.write = f.read
	f.write.unknown = true
	f.once = f.write
	f.once.status = 424
	return f
}

// connectionFaults come before a request.
func connectionFaults(t *testing.T) []fault {
	t.Helper()
	handshake := connection("TLS handshake hangs", seamtest.HangOn)
	handshake.timeout = soon
	handshake.read = result{code: codes.DeadlineExceeded, status: 504, errorType: "upstream_timeout", late: true}
	handshake.write, handshake.once = handshake.read, handshake.read
	// Over HTTP/2 the connection would be kept for the next calls, until pings find out.
	unread := timesOut(connection("does not read", deaf))
	unread.read.requests, unread.write.requests, unread.once.requests = 0, 0, 0 // They were sent and are not seen.
	rows := []fault{
		notSent(fault{name: "connection refused", Fault: seamtest.Fault{Down: true}}, 0),
		notSent(fault{name: "no such host", noAddress: dnsmessage.RCodeNameError}, 0),
		notSent(fault{name: "name server fails", noAddress: dnsmessage.RCodeServerFailure}, 0),
		notSent(connection("certificate of an unknown authority", untrusted(t)), 0),
		notSent(connection("plain text on a TLS port", inPlainText), 0),
		notSent(connection("TLS port closes at once", func(*seamtest.Upstream, net.Conn) {}), 0),
	}
	for i := range rows {
		if rows[i].Accept != nil {
			rows[i].dials = 9
		}
	}
	return append([]fault{handshake, unread}, rows...)
}

// lostResponses are those whose connection breaks.
func lostResponses() []fault {
	tooLong := seamtest.Reply{Status: 200, Header: http.Header{"Content-Length": {"3000"}}, Body: goodResponse}
	tooShort := seamtest.Reply{Status: 200, Header: http.Header{"Content-Length": {"30"}}, Body: goodResponse}
	tooShortAndClosed := tooShort
	tooShortAndClosed.Then = seamtest.Close // What is left of the body would be the next response.
	return slices.Concat(
		overBoth("reset before the headers", seamtest.Reply{Then: seamtest.Reset}, lost),
		overBoth("closed before the headers", seamtest.Reply{Then: seamtest.Close}, lost),
		overBoth("closed in the headers", seamtest.Reply{Status: 200, CutHead: true, Then: seamtest.Close}, lost),
		overBoth("reset in the body", seamtest.Reply{Status: 200, Body: halfResponse, Then: seamtest.Reset}, malformed),
		overBoth("closed in the body", seamtest.Reply{Status: 200, Body: halfResponse, Then: seamtest.Close}, malformed),
		[]fault{
			malformed(overHTTP1("Content-Length too short", tooShortAndClosed)),
			malformed(overHTTP2("Content-Length too short", tooShort)),
			timesOut(overHTTP1("Content-Length too long", tooLong)),
			malformed(overHTTP2("Content-Length too long", tooLong)), // Its stream ends, where a connection is waited for.
		},
	)
}

// strangeResponses are whole, and not those that Seam gives when all is well.
func strangeResponses(t *testing.T) []fault {
	t.Helper()
	const envelope = `{"error":{"type":"too_many","message":"m","request_id":"r-1"},"ok":false}`
	html := func(status int) seamtest.Reply {
		return seamtest.Reply{Status: status, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>seam_secret99</html>"}
	}
	json := func(status int, body string, header ...string) seamtest.Reply {
		r := seamtest.Reply{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return r
	}
	proxy := func(f fault) fault {
		f.read = result{code: codes.Unavailable, status: 502, requests: 3}
		f.write = f.read
		f.write.unknown = true
		f.once = result{code: codes.Unknown, status: 502, unknown: true, requests: 1}
		return f
	}
	// It is short enough to be waited for, but for the deadline.
	away := func(f fault) fault {
		f.timeout = 2 * time.Second
		f.read = result{code: codes.Unavailable, status: 503, errorType: "too_many", requests: 1, retryAfter: "2"}
		f.write = f.read
		f.write.unknown = true
		f.once = f.write
		f.once.code = codes.Unknown
		return f
	}
	// It would be as long again, so it is asked for once.
	tooLarge := func(f fault) fault {
		f = malformed(f)
		f.inTurn = true
		f.read.requests, f.write.requests = 1, 1
		return f
	}
	return slices.Concat(
		overBoth("redirect", redirect(t), responded(result{code: codes.Internal, status: 502, errorType: "upstream_response_invalid"})),
		overBoth("HTML 502", html(502), proxy),
		overBoth("HTML 200", html(200), malformed),
		overBoth("429 with a date a minute ahead of the clock of last year", json(429, envelope,
			"Date", "Mon, 01 Jan 2024 00:00:00 GMT", "Retry-After", "Mon, 01 Jan 2024 00:01:00 GMT"),
			responded(result{code: codes.ResourceExhausted, status: 429, errorType: "too_many", retryAfter: "60"})),
		overBoth("503 to retry at the deadline", json(503, envelope, "Retry-After", "2"), away),
		// It is twice as long as a response may be, and half as long as a stream's window.
		overBoth("endless body", seamtest.Reply{Status: 200, Body: "[" + strings.Repeat("0,", 1<<20), Then: seamtest.Hang}, tooLarge),
		overBoth("gzip bomb", json(200, bomb(), "Content-Encoding", "gzip"), malformed),
		overBoth("storm of 103", seamtest.Reply{Interim: 103, Interims: 3000}, lost),
		overBoth("storm of 100", seamtest.Reply{Interim: 100, Interims: 3000}, lost),
	)
}

// slowResponses are those that take longer than the deadline.
func slowResponses() []fault {
	slow := strings.Repeat("x", 1000)
	return slices.Concat(
		overBoth("no response", seamtest.Reply{Then: seamtest.Hang}, timesOut),
		overBoth("headers byte by byte", seamtest.Reply{Status: 200, SlowHead: true, Header: http.Header{"Server": {slow}}}, timesOut),
		overBoth("body byte by byte", seamtest.Reply{Status: 200, SlowBody: true, Body: slow}, timesOut),
		overBoth("slow storm of 103", seamtest.Reply{Interim: 103, Interims: 1000, SlowHead: true}, timesOut),
	)
}

// streamFaults are those that only HTTP/2 has.
func streamFaults() []fault {
	return []fault{
		notSent(stream("GOAWAY before ours", goesAway), 3),
		notSent(stream("stream refused", resetsStream(http2.ErrCodeRefusedStream)), 3),
		lost(stream("stream reset before the headers", resetsStream(http2.ErrCodeInternal))),
		malformed(stream("stream reset in the body", resetsStreamInBody)),
	}
}
