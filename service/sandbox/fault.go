package sandbox

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Disconnect is a way in which the connection is lost.
type Disconnect string

const (
	// DisconnectReset resets the connection before any byte of a response: over
	// HTTP/2 with the other requests on it.
	DisconnectReset Disconnect = "reset"
	// DisconnectTruncate sends less than Content-Length says, then closes the
	// connection. Over HTTP/2 it then resets the stream, and the others go on.
	DisconnectTruncate Disconnect = "truncate"
	// DisconnectEndless sends a body that does not end, until the client closes
	// the connection or resets the stream, or for 64 MiB or a minute.
	DisconnectEndless Disconnect = "endless"
)

const (
	maxEndlessBytes = 64 << 20
	maxEndlessTime  = time.Minute
)

// Fault is an injected fault. At most one of Status, Disconnect and RateLimit
// may be set. With none of them the fault only delays the request, which is
// then served as usual. A request that gets its response from a fault changes
// no data.
type Fault struct {
	// Path limits the fault to one path, such as "/client_sessions/get". When
	// empty, the fault applies to every path.
	Path string
	// Times is how many requests the fault applies to. Zero means all until
	// ClearFaults or Reset.
	Times int
	// Delay is the delay before anything else happens. It ends when the client
	// cancels the request.
	Delay time.Duration

	// Status is the status of the response, from 200 to 599.
	Status int
	// Body is the body of the response with that Status.
	Body string
	// ContentType is the type of Body. When empty it is application/json, and
	// none at all for an empty Body.
	ContentType string
	// Header has more headers for the response with that Status.
	Header map[string]string

	// Disconnect is how the connection is lost.
	Disconnect Disconnect

	// RateLimit responds with the error for too many requests.
	RateLimit bool
	// RetryAfter is the retry-after header of that error, in seconds.
	RetryAfter int

	// NoRequestID leaves the header seam-request-id out of the response.
	NoRequestID bool
}

func (f Fault) validate() error {
	kinds := 0
	for _, set := range []bool{f.Status != 0, f.Disconnect != "", f.RateLimit} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return errors.New("a fault may set only one of status, disconnect and rate limit")
	case f.Times < 0 || f.Delay < 0 || f.RetryAfter < 0:
		return errors.New("the numbers of a fault may not be negative")
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("the status %d of a fault is not from 200 to 599", f.Status)
	case f.Status == 0 && (f.Body != "" || f.ContentType != "" || len(f.Header) > 0):
		return errors.New("a fault with a body, content type or header needs a status")
	case !f.RateLimit && f.RetryAfter != 0:
		return errors.New("a fault with retry after needs the rate limit")
	}
	switch f.Disconnect {
	case "", DisconnectReset, DisconnectTruncate, DisconnectEndless:
		return nil
	}
	return fmt.Errorf("the disconnect %q of a fault is not known", f.Disconnect)
}

// faultQueue holds the faults that are still to be applied.
type faultQueue struct {
	mu     sync.Mutex
	faults []Fault
}

func (q *faultQueue) add(f Fault) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.faults = append(q.faults, f)
}

func (q *faultQueue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.faults = nil
}

// take returns the first fault for the path and counts down its Times.
func (q *faultQueue) take(path string) (Fault, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.faults, func(f Fault) bool { return f.Path == "" || normalPath(f.Path) == path })
	if i < 0 {
		return Fault{}, false
	}
	f := q.faults[i]
	switch f.Times {
	case 0:
	case 1:
		q.faults = slices.Delete(q.faults, i, i+1)
	default:
		q.faults[i].Times--
	}
	return f, true
}

// apply applies the fault. It reports whether the request is done, or still has
// to be served.
func (f Fault) apply(w http.ResponseWriter, r *http.Request, requestID string) (done bool) {
	if !wait(r, f.Delay) {
		return true
	}
	if f.NoRequestID {
		w.Header().Del(headerRequestID)
	}
	switch {
	case f.Status != 0:
		f.respond(w)
	case f.RateLimit:
		err := newError(http.StatusTooManyRequests, "too_many_requests", "Too many requests")
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		errorResponse(err).write(w, requestID)
	case f.Disconnect == DisconnectReset:
		reset(r)
	case f.Disconnect == DisconnectTruncate:
		truncate(w)
	case f.Disconnect == DisconnectEndless:
		endless(w, r)
	default:
		return false
	}
	return true
}

// wait waits for the delay. It is false when the client cancels the request first.
func wait(r *http.Request, delay time.Duration) bool {
	if delay == 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

func (f Fault) respond(w http.ResponseWriter) {
	h := w.Header()
	switch {
	case f.ContentType != "":
		h.Set("Content-Type", f.ContentType)
	case f.Body != "":
		h.Set("Content-Type", "application/json")
	default:
		// An entry without values keeps the server from guessing a type.
		h["Content-Type"] = nil
	}
	for name, v := range f.Header {
		h.Set(name, v)
	}
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body))
}

// connectionKey is the key of a request's connection in its context.
type connectionKey struct{}

func withConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// reset resets the TCP connection of a request (RST) in place of an orderly
// close (FIN, and over TLS an alert). A request without one just ends.
func reset(r *http.Request) {
	conn, _ := r.Context().Value(connectionKey{}).(net.Conn)
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// Without lingering, unwritten and unread bytes are dropped and the
		// kernel sends a reset.
		_ = tcp.SetLinger(0)
		_ = tcp.Close()
	}
	panic(http.ErrAbortHandler)
}

func truncate(w http.ResponseWriter) {
	const part = `{"client_session":{"client_session_id":"`
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(10*len(part)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(part))
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// endless writes a body until one of its limits. The deadline also ends a write
// that blocks because the client does not read.
func endless(w http.ResponseWriter, r *http.Request) {
	deadline := time.Now().Add(maxEndlessTime)
	_ = http.NewResponseController(w).SetWriteDeadline(deadline)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	chunk := bytes.Repeat([]byte("0,"), 16<<10)
	_, err := w.Write([]byte(`{"client_sessions":[`))
	for written := 0; err == nil && written < maxEndlessBytes; written += len(chunk) {
		if r.Context().Err() != nil || !time.Now().Before(deadline) {
			break
		}
		_, err = w.Write(chunk)
	}
	// A normal return would end the body in an orderly way.
	panic(http.ErrAbortHandler)
}
