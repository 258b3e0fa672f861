package server_test

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
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
	return slices.Concat(streamFaults(), connectionFaults(t), slowResponses(), lostResponses(), strangeResponses(t))
}

// request and stream are faults of a response.
func request(name string, play func(net.Conn) seamtest.Then) fault {
	return fault{name: name, Fault: seamtest.Fault{Request: play}}
}

func says(name, text string, then seamtest.Then) fault {
	return request(name, seamtest.Say(text, then))
}

// stream is one over HTTP/2, where calls share a connection.
func stream(name string, play func(seamtest.Stream) seamtest.Then) fault {
	return fault{name: name, Fault: seamtest.Fault{Stream: play, TLS: true}, inTurn: true}
}

// overTLS is a fault of a connection that should have been one over TLS.
func overTLS(name string, play func(*seamtest.Upstream, net.Conn)) fault {
	return fault{name: name, Fault: seamtest.Fault{Accept: play, TLS: true}}
}

// The four ways in which calls commonly end.

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
	handshake := notSent(overTLS("TLS handshake hangs", seamtest.HangOn), 0)
	handshake.timeout = soon
	handshake.read = result{code: codes.DeadlineExceeded, status: 504, errorType: "upstream_timeout", late: true}
	handshake.write, handshake.once = handshake.read, handshake.read
	unread := timesOut(fault{name: "does not read", Fault: seamtest.Fault{Accept: deaf}})
	unread.read.requests, unread.write.requests, unread.once.requests = 0, 0, 0 // They were sent and are not seen.
	rows := []fault{
		notSent(fault{name: "connection refused", Fault: seamtest.Fault{Down: true}}, 0),
		notSent(fault{name: "no such host", noAddress: dnsmessage.RCodeNameError}, 0),
		notSent(fault{name: "name server fails", noAddress: dnsmessage.RCodeServerFailure}, 0),
		notSent(overTLS("certificate of an unknown authority", untrusted(t)), 0),
		notSent(overTLS("plain text on a TLS port", inPlainText), 0),
		notSent(overTLS("TLS port closes at once", func(*seamtest.Upstream, net.Conn) {}), 0),
	}
	for i := range rows {
		if rows[i].TLS {
			rows[i].dials = 9
		}
	}
	return append([]fault{handshake, unread}, rows...)
}

// lostResponses are those whose connection breaks.
func lostResponses() []fault {
	whole := seamtest.Response("200 OK", goodResponse, "Content-Type: application/json")
	return []fault{
		lost(says("reset before the headers", "", seamtest.Reset)),
		lost(says("closed in the headers", "HTTP/1.1 200 OK\r\nContent-", seamtest.Close)),
		malformed(says("reset in the body", whole[:len(whole)-20], seamtest.Reset)),
		malformed(says("half a body in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n"+goodResponse[:32]+"\r\n", seamtest.Close)),
		malformed(says("Content-Length too short", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 30\r\n\r\n"+goodResponse, seamtest.Close)),
		timesOut(says("Content-Length too long", "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"+goodResponse, seamtest.Hang)),
	}
}

// strangeResponses are whole, and not those that Seam gives when all is well.
func strangeResponses(t *testing.T) []fault {
	t.Helper()
	const html, envelope = "<html>seam_secret99</html>", `{"error":{"type":"too_many","message":"m","request_id":"r-1"},"ok":false}`
	redirect := request("redirect", redirects(t))
	redirect.read = result{code: codes.Internal, status: 502, errorType: "upstream_response_invalid", requests: 1}
	redirect.write, redirect.once = redirect.read, redirect.read

	proxy := says("HTML 502", seamtest.Response("502 Bad Gateway", html, "Content-Type: text/html"), seamtest.KeepOpen)
	proxy.read = result{code: codes.Unavailable, status: 502, requests: 3}
	proxy.write = proxy.read
	proxy.write.unknown = true
	proxy.once = result{code: codes.Unknown, status: 502, unknown: true, requests: 1}

	limited := says("429 with a date a minute ahead of the clock of last year", seamtest.Response("429 Too Many Requests", envelope,
		"Content-Type: application/json", "Date: Mon, 01 Jan 2024 00:00:00 GMT", "Retry-After: Mon, 01 Jan 2024 00:01:00 GMT"), seamtest.KeepOpen)
	limited.read = result{code: codes.ResourceExhausted, status: 429, errorType: "too_many", requests: 1, retryAfter: "60"}
	limited.write, limited.once = limited.read, limited.read

	// It is short enough to be waited for, but for the deadline.
	away := says("503 to retry at the deadline", seamtest.Response("503 Service Unavailable", envelope,
		"Content-Type: application/json", "Retry-After: 2"), seamtest.KeepOpen)
	away.timeout = 2 * time.Second
	away.read = result{code: codes.Unavailable, status: 503, errorType: "too_many", requests: 1, retryAfter: "2"}
	away.write = away.read
	away.write.unknown = true
	away.once = away.write
	away.once.code = codes.Unknown

	// It would be as long again, so it is asked for once.
	tooLarge := malformed(request("endless body", endlessBody))
	tooLarge.inTurn = true
	tooLarge.read.requests, tooLarge.write.requests = 1, 1
	return []fault{
		redirect, proxy, limited, away, tooLarge,
		malformed(says("HTML 200", seamtest.Response("200 OK", html, "Content-Type: text/html"), seamtest.KeepOpen)),
		malformed(says("gzip bomb", seamtest.Response("200 OK", bomb(), "Content-Type: application/json", "Content-Encoding: gzip"), seamtest.KeepOpen)),
		lost(says("storm of 103", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 2500), seamtest.Close)),
		lost(says("storm of 100", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 5000), seamtest.Close)),
	}
}

// slowResponses are those that take longer than the deadline.
func slowResponses() []fault {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
	return []fault{
		timesOut(says("no response", "", seamtest.Hang)),
		timesOut(request("headers byte by byte", drips("", head))),
		timesOut(request("body byte by byte", drips(head, strings.Repeat(" ", 1000)))),
		timesOut(request("slow storm of 103", drips("", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000)))),
	}
}

// streamFaults are those of HTTP/2.
func streamFaults() []fault {
	return []fault{
		timesOut(stream("h2 no response", hangsStream)),
		notSent(stream("h2 GOAWAY before ours", goesAway), 3),
		lost(stream("h2 closed without GOAWAY", closesUnderStream)),
		lost(stream("h2 storm of 103", interimStorm)),
		malformed(stream("h2 reset in the body", resetsBody)),
	}
}
