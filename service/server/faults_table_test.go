package server_test

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// soon is the deadline of calls that end by it.
const soon = 300 * time.Millisecond

// faults are the rows of TestUpstreamFaults.
func faults() []fault {
	return slices.Concat(connectionFaults(), brokenAnswers(), strangeAnswers(), slowAnswers(), retryAfterFaults(), streamFaults())
}

// The four ways in which calls commonly end.

// notSent: nothing was carried out, so every call is retried.
func notSent(f fault) fault {
	f.read = end{code: codes.Unavailable, status: 503, errorType: "upstream_unreachable"}
	f.write, f.once = f.read, f.read
	return f
}

// cut: the request was sent and no response came of it.
func cut(f fault) fault {
	f.read = end{code: codes.Unavailable, status: 503, errorType: "upstream_unreachable", requests: 3}
	f.write = f.read
	f.write.unknown = true
	f.once = end{code: codes.Unknown, status: 424, errorType: "upstream_unreachable", unknown: true, requests: 1}
	return f
}

// garbled: the response says that all is well, and then breaks off or makes no sense.
func garbled(f fault) fault {
	f.read = end{code: codes.Internal, status: 502, errorType: "upstream_response_invalid", requests: 3}
	f.write = f.read
	f.write.unknown = true
	f.once = end{code: codes.Internal, status: 424, errorType: "upstream_response_invalid", unknown: true, requests: 1}
	return f
}

// endless: the response does not come before the deadline. There is no time for a second request.
func endless(f fault) fault {
	f.timeout = soon
	f.read = end{code: codes.DeadlineExceeded, status: 504, errorType: "upstream_timeout", requests: 1, late: true}
	f.write = f.read
	f.write.unknown = true
	f.once = f.write
	f.once.status = 424
	return f
}

// connectionFaults come before a request.
func connectionFaults() []fault {
	handshake := notSent(fault{name: "TLS handshake hangs", tls: true, accept: silent, timeout: soon, lingers: true})
	handshake.read = end{code: codes.DeadlineExceeded, status: 504, errorType: "upstream_timeout", late: true}
	handshake.write, handshake.once = handshake.read, handshake.read
	return []fault{
		notSent(fault{name: "connection refused", down: true}),
		notSent(fault{name: "no such host", resolve: failsWith(dnsmessage.RCodeNameError)}),
		notSent(fault{name: "name server fails", resolve: failsWith(dnsmessage.RCodeServerFailure)}),
		notSent(fault{name: "certificate of a stranger", tls: true, accept: asStranger, dials: 9}),
		notSent(fault{name: "plain text on a TLS port", tls: true, accept: inPlain, dials: 9}),
		notSent(fault{name: "TLS port closes at once", tls: true, accept: func(*faultyUpstream, net.Conn) {}, dials: 9}),
		handshake,
		endless(fault{name: "does not read", accept: deaf}).seenNever(),
	}
}

// seenNever says that the upstream does not get to see any request, though they were sent.
func (f fault) seenNever() fault {
	f.read.requests, f.write.requests, f.once.requests = 0, 0, 0
	return f
}

// brokenAnswers are those whose connection breaks.
func brokenAnswers() []fault {
	whole := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(goodAnswer), goodAnswer)
	half := whole[:len(whole)-len(goodAnswer)/3]
	return []fault{
		cut(fault{name: "reset before the headers", request: says("", resets)}),
		cut(fault{name: "closed before an answer", request: says("", closes)}),
		cut(fault{name: "reset in the headers", request: says("HTTP/1.1 200 OK\r\nContent-", resets)}),
		cut(fault{name: "closed in the headers", request: says("HTTP/1.1 200 OK\r\nContent-", closes)}),
		garbled(fault{name: "reset in the body", request: says(half, resets)}),
		garbled(fault{name: "half a body", request: says(half, closes)}),
		garbled(fault{name: "half a body in chunks", request: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n"+goodAnswer[:32]+"\r\n", closes)}),
		garbled(fault{name: "Content-Length too short", request: says("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 30\r\n\r\n"+goodAnswer, closes)}),
		endless(fault{name: "Content-Length too long", request: says("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"+goodAnswer, holds)}),
	}
}

// strangeAnswers are whole and not Seam's.
func strangeAnswers() []fault {
	html := "<html>seam_secret99</html>"
	var elsewhere []fault
	for _, code := range []int{301, 302, 307, 308} {
		f := fault{name: fmt.Sprint("redirect ", code), request: redirects(code)}
		f.read = end{code: codes.Internal, status: 502, errorType: "upstream_response_invalid", requests: 1}
		f.write, f.once = f.read, f.read
		elsewhere = append(elsewhere, f)
	}
	proxy := fault{name: "HTML 502", request: says(reply("502 Bad Gateway", html, "Content-Type: text/html"), lives)}
	proxy.read = end{code: codes.Unavailable, status: 502, requests: 3}
	proxy.write = proxy.read
	proxy.write.unknown = true
	proxy.once = end{code: codes.Unknown, status: 502, unknown: true, requests: 1}
	// It would be as long again, so it is asked for once.
	tooLong := garbled(fault{name: "endless body", request: endlessBody, inTurn: true})
	tooLong.read.requests, tooLong.write.requests = 1, 1
	return append(elsewhere,
		proxy,
		garbled(fault{name: "HTML 200", request: says(reply("200 OK", html, "Content-Type: text/html"), lives)}),
		garbled(fault{name: "gzip bomb", request: says(reply("200 OK", bomb(), "Content-Type: application/json", "Content-Encoding: gzip"), lives)}),
		tooLong,
		cut(fault{name: "storm of 103", request: says(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 10_000), closes)}),
		cut(fault{name: "storm of 100", request: says(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 10_000), closes)}),
	)
}

// slowAnswers are those that take longer than anybody waits.
func slowAnswers() []fault {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
	return []fault{
		endless(fault{name: "no answer", request: says("", holds)}),
		endless(fault{name: "headers byte by byte", request: drips("", head)}),
		endless(fault{name: "body byte by byte", request: drips(head, strings.Repeat(" ", 1000))}),
		endless(fault{name: "slow storm of 103", request: drips("", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000))}),
	}
}

// retryAfterFaults are those in which Seam says when to come back, by a clock that is its own.
func retryAfterFaults() []fault {
	const envelope = `{"error":{"type":"service_unavailable","message":"m","request_id":"r-1"},"ok":false}`
	row := func(name, value, date string, requests int, told string) fault {
		f := fault{
			name:    "503 with Retry-After " + name,
			request: says(reply("503 Service Unavailable", envelope, "Content-Type: application/json", "Retry-After: "+value, "Date: "+date), lives),
			timeout: 900 * time.Millisecond,
		}
		f.read = end{code: codes.Unavailable, status: 503, errorType: "service_unavailable", requests: requests, retryAfter: told}
		f.write = f.read
		f.write.unknown = true
		f.once = f.write
		f.once.code, f.once.requests = codes.Unknown, 1
		return f
	}
	date := func(years int) string { return time.Now().UTC().AddDate(years, 0, 0).Format(http.TimeFormat) }
	past, now, future := date(-1), date(0), date(10)
	return []fault{
		row("a year ago", past, now, 3, "0"),
		row("in ten years", future, now, 1, "3600"),
		// A date is meant by the clock of who wrote it, however wrong that is.
		row("now, by a clock of last year", past, past, 3, "0"),
		row("now, by a clock ten years ahead", future, future, 3, "0"),
		row("in a year, by a clock of last year", now, past, 1, "3600"),
		row("ten years ago, by a clock ten years ahead", now, future, 3, "0"),
		row("-5", "-5", now, 3, ""),
		row("NaN", "NaN", now, 3, ""),
		row("soon", "soon", now, 3, ""),
		row("1e300", "1e300", now, 1, "3600"),
		row("+Inf", "+Inf", now, 1, "3600"),
		row("of 300 digits", strings.Repeat("9", 300), now, 1, "3600"),
		row("3", "3", now, 1, "3"),
		row("1", "1", now, 1, "1"), // It is short enough to be waited for, but for the deadline.
		row("0", "0", now, 3, "0"),
	}
}

// streamFaults are those of HTTP/2.
func streamFaults() []fault {
	rows := []fault{
		notSent(fault{name: "h2 GOAWAY before ours", stream: goesAway}).seenThrice(),
		notSent(fault{name: "h2 REFUSED_STREAM", stream: resetsStream(http2.ErrCodeRefusedStream)}).seenThrice(),
		cut(fault{name: "h2 GOAWAY with ours, then closed", stream: goesAwayWith}),
		cut(fault{name: "h2 closed without GOAWAY", stream: closesUnderStream}),
		cut(fault{name: "h2 INTERNAL_ERROR", stream: resetsStream(http2.ErrCodeInternal)}),
		// net/http puts a request again by itself when its stream ends with this, whatever the request.
		cut(fault{name: "h2 PROTOCOL_ERROR", stream: resetsStream(http2.ErrCodeProtocol)}),
		cut(fault{name: "h2 ENHANCE_YOUR_CALM", stream: resetsStream(http2.ErrCodeEnhanceYourCalm)}),
		cut(fault{name: "h2 CANCEL", stream: resetsStream(http2.ErrCodeCancel)}),
		cut(fault{name: "h2 storm of 103", stream: interimStorm}),
		garbled(fault{name: "h2 reset in the body", stream: resetsBody}),
		endless(fault{name: "h2 no answer", stream: saysNothing}),
	}
	for i := range rows {
		rows[i].tls, rows[i].inTurn = true, true
	}
	return rows
}

// seenThrice says that the upstream sees each attempt and carries none out.
func (f fault) seenThrice() fault {
	f.read.requests, f.write.requests, f.once.requests = 3, 3, 3
	return f
}
