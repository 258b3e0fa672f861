package seam

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptrace"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// exchange is one request to Seam and its response (RFC 9110). It runs on a goroutine of its own, because it may
// outlive its call: over HTTP/2 all calls share a connection, and to cancel a request resets a stream of it. Servers
// close a connection on which too many young streams are reset, with the requests of all other callers on it.
type exchange struct {
	httptrace.ClientTrace

	// body is the body of the request. It has to be a bytes.Reader: net/http writes the headers in a packet of their own
	// before any other body.
	body   bytes.Reader
	began  time.Time
	cancel context.CancelFunc
	memory *reservation

	// wroteHeaders is true once the headers of the request have been written, and connection is the one it is sent on.
	wroteHeaders atomic.Bool
	connection   atomic.Pointer[connection]

	// state is one of the three below. Abandoned is the exchange of a call that has ended.
	state atomic.Int32
	// ended is closed at the end. What follows may be read then.
	ended    chan struct{}
	response *http.Response
	text     []byte
	// err is why there is no response, and bodyErr why its body is not complete.
	err, bodyErr error
	took         time.Duration
	panicked     any
}

const (
	exchangeRuns int32 = iota
	exchangeEnded
	exchangeAbandoned
)

// startExchange sends the request of an attempt. The exchange ends at the deadline, unless that is zero. Its context is
// not that of the call, which it may outlive.
func (c *Client) startExchange(s *callState, deadline time.Time) *exchange {
	x := &exchange{began: time.Now(), ended: make(chan struct{}), memory: &s.call.memory}
	x.memory.hold()
	x.body.Reset(s.text)
	x.WroteHeaders = func() { x.wroteHeaders.Store(true) }
	x.GotConn = func(info httptrace.GotConnInfo) { x.connection.Store(c.pool.used(info.Conn)) }
	ctx := httptrace.WithClientTrace(context.Background(), &x.ClientTrace)
	if deadline.IsZero() {
		ctx, x.cancel = context.WithCancel(ctx)
	} else {
		ctx, x.cancel = context.WithDeadline(ctx, deadline)
	}
	c.metrics.inFlight.Add(1)
	c.exchanges.Add(1)
	go c.run(x, c.newRequest(ctx, s, &x.body))
	return x
}

// newRequest returns the request of an attempt. Each has a header of its own: net/http may still read that of the
// attempt before.
func (c *Client) newRequest(ctx context.Context, s *callState, body io.Reader) *http.Request {
	header := make(http.Header, len(s.header)+len(c.header))
	maps.Copy(header, s.header)
	maps.Copy(header, c.header)
	request := c.requests[s.call.Path].WithContext(ctx)
	request.Method, request.Header = s.call.Method, header
	// Without GetBody, which would let net/http send the request again by itself.
	request.Body, request.ContentLength = io.NopCloser(body), int64(len(s.text))
	return request
}

// run makes the exchange.
func (c *Client) run(x *exchange, request *http.Request) {
	connections := c.pool.take()
	defer func() {
		// A panic on this goroutine would end the process. The call panics in its place, where that is recovered.
		if x.panicked = recover(); x.panicked != nil {
			c.logger.Error("panic during a request to Seam", slog.String("stack", string(debug.Stack())))
		}
		x.cancel()
		connections.release()
		x.took = time.Since(x.began)
		if !x.state.CompareAndSwap(exchangeRuns, exchangeEnded) {
			c.abandoned.remove(x)
		}
		x.memory.release()
		close(x.ended)
		c.metrics.inFlight.Add(-1)
		c.exchanges.Done()
	}()
	// A redirect is a response like any other for the transport, unlike for an http.Client, so credentials never follow
	// one to another host.
	x.response, x.err = connections.RoundTrip(request) //nolint:bodyclose // Closed in read.
	if x.err == nil {
		x.read(c.maxResponseBytes)
	}
}

const (
	// firstBuffer is the first buffer of a body of unknown length, firstKnownBuffer the longest first one of a known
	// length, both in bytes.
	firstBuffer, firstKnownBuffer = 1 << 10, 64 << 10
	// growth and knownGrowth are how many times longer the next buffer is. So memory grows with what arrives and not with
	// an announcement, and a body of known length is copied twice at the most.
	growth, knownGrowth = 2, 16
)

// read reads the body of the response to its end, so that the connection can be used again, or fails at the limit.
// Nothing of it is kept once the exchange is abandoned.
func (x *exchange) read(limit int) {
	body := x.response.Body
	defer body.Close() //nolint:errcheck // The body has been read or given up.
	if x.response.StatusCode == http.StatusSwitchingProtocols {
		return // The body is the raw connection, which has no end.
	}
	// Each has room for one byte more, for the read that sees the end, or more than the limit.
	most, first, times := limit+1, firstBuffer, growth
	if n := x.response.ContentLength; n > 0 && n <= int64(limit) {
		most, first, times = int(n)+1, firstKnownBuffer, knownGrowth
	}
	text := x.grown(nil, min(most, first))
	for arrived := 0; x.bodyErr == nil; {
		n, err := body.Read(text[len(text):cap(text)])
		arrived += n
		if text = text[:len(text)+n]; x.state.Load() == exchangeAbandoned {
			text = text[:0]
		}
		switch {
		case errors.Is(err, io.EOF) && arrived < most:
			x.text = text
			return
		case arrived >= most:
			x.bodyErr = fmt.Errorf("%w of %d bytes", errTooLarge, limit)
			return
		case err != nil:
			x.bodyErr = err
			return
		case len(text) == cap(text):
			text = x.grown(text, min(most, times*cap(text)))
		}
	}
}

// grown returns the text in a larger buffer. Beyond firstReservation, the memory for it has to be reserved.
func (x *exchange) grown(text []byte, size int) []byte {
	if more := size - max(cap(text), firstReservation); more > 0 && !x.memory.grow(more) {
		x.bodyErr = errNoMemory
		return text
	}
	return append(make([]byte, 0, size), text...)
}

var errTooLarge = errors.New("the response is longer than the limit")

// sent reports whether Seam may have received the whole request of an exchange without a response. The request has a
// body, so it is incomplete before its headers are written. It is incomplete too when a write failed over HTTP/1.1,
// where nothing else is written on its connection.
func (x *exchange) sent() bool {
	connection := x.connection.Load()
	return x.wroteHeaders.Load() && (connection == nil || connection.isHTTP2 || !isWriteError(x.err))
}
