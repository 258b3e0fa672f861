// Package seamtest provides an upstream that misbehaves, for the tests of what calls Seam. Only tests import it.
package seamtest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Success is a body that is a success for every endpoint.
const Success = `{"client_session":{"client_session_id":"c","token":"t"},"client_sessions":[],"ok":true}`

// Fault is an injected fault of an upstream. One of the functions is set, or none if Down.
type Fault struct {
	// Accept plays a connection on which nothing has been read. It is closed when Accept returns.
	Accept func(*Upstream, net.Conn)
	// Request responds to a request over HTTP/1.1, in bytes.
	Request func(net.Conn) Then
	// Stream responds to a request over HTTP/2, in frames.
	Stream func(Stream) Then
	// Down is true when the port is closed.
	Down bool
	// TLS is true when the upstream speaks TLS, with the certificate of httptest's servers.
	TLS bool
}

// Then is what happens to a connection after a response.
type Then int

const (
	// KeepOpen has the connection serve the next request.
	KeepOpen Then = iota
	// Close closes the connection.
	Close
	// Reset ends the connection with a reset.
	Reset
	// Hang only reads, until the client closes the connection.
	Hang
	// HangStream sends nothing more on the HTTP/2 stream and serves the others.
	HangStream
)

// Upstream is an upstream of bare sockets. It injects its fault, but from Heal to Break it responds normally.
type Upstream struct {
	// URL is the upstream's address.
	URL string
	// Good is the body of its good responses.
	Good string
	// OnRequest, if set, sees the path and the headers of each request.
	OnRequest func(path string, header http.Header)
	// Connections and Requests count what came in since the last Break.
	Connections, Requests atomic.Int32
	// Playing is how many connections and streams are in the middle of the fault, which ends when the client closes them.
	Playing atomic.Int32

	t       testing.TB
	fault   Fault
	tls     *tls.Config
	failing atomic.Bool
	serving sync.WaitGroup

	mu       sync.Mutex
	healed   chan struct{}
	listener net.Listener
	open     map[*wire]struct{}
	paths    map[string]int
	heard    strings.Builder
}

// wire is a connection that records the bytes that arrive, before any decryption.
type wire struct {
	*net.TCPConn

	upstream *Upstream
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.TCPConn.Read(p)
	w.upstream.mu.Lock()
	defer w.upstream.mu.Unlock()
	w.upstream.heard.Write(p[:n])
	return n, err
}

// New starts an upstream that lives as long as the test, in the middle of its fault.
func New(t testing.TB, fault Fault) *Upstream {
	t.Helper()
	u := &Upstream{
		t: t, fault: fault, Good: Success, healed: make(chan struct{}),
		open: map[*wire]struct{}{}, paths: map[string]int{},
	}
	u.failing.Store(true)
	scheme := "http://"
	if fault.TLS {
		scheme = "https://"
		u.tls = &tls.Config{
			Certificates: []tls.Certificate{serverCertificate()}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12,
		}
		if fault.Stream != nil {
			u.tls.NextProtos = []string{"h2"}
		}
	}
	if err := u.listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	u.URL = scheme + u.listener.Addr().String()
	if fault.Down {
		_ = u.listener.Close()
	}
	t.Cleanup(func() {
		_ = u.listener.Close()
		u.mu.Lock()
		for conn := range u.open {
			_ = conn.Close()
		}
		u.mu.Unlock()
		u.serving.Wait()
	})
	return u
}

func (u *Upstream) listen(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	u.listener = listener
	u.serving.Go(func() {
		for {
			accepted, err := listener.Accept()
			if err != nil {
				return
			}
			number := int(u.Connections.Add(1))
			conn := &wire{accepted.(*net.TCPConn), u}
			u.mu.Lock()
			u.open[conn] = struct{}{}
			u.mu.Unlock()
			u.serving.Go(func() {
				if u.serve(conn, number) == Reset {
					_ = conn.SetLinger(0) // Makes Close send a reset.
				}
				_ = conn.Close()
				u.mu.Lock()
				defer u.mu.Unlock()
				delete(u.open, conn)
			})
		}
	})
	return nil
}

// Break begins the fault. One that is not of a response needs new connections, so those that are kept are ended first.
func (u *Upstream) Break() {
	u.t.Helper()
	if u.fault.Request == nil && u.fault.Stream == nil {
		u.Hangup()
	}
	u.mu.Lock()
	u.healed = make(chan struct{})
	clear(u.paths)
	u.mu.Unlock()
	u.Connections.Store(0)
	u.Requests.Store(0)
	u.failing.Store(true)
	if u.fault.Down {
		_ = u.listener.Close()
	}
}

// Heal ends the fault.
func (u *Upstream) Heal() {
	u.t.Helper()
	u.failing.Store(false)
	close(u.Healed())
	if u.fault.Down { // Another connection may have the port for a moment.
		Eventually(u.t, "the port to be free", func() bool { return u.listen(u.listener.Addr().String()) == nil })
	}
}

// Healed is closed when the fault ends.
func (u *Upstream) Healed() chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.healed
}

// Hangup ends the connections that are open, in good order, and waits until the other end has closed them too.
func (u *Upstream) Hangup() {
	u.t.Helper()
	Eventually(u.t, "the client to close the connections that it kept", func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		for conn := range u.open {
			_ = conn.CloseWrite()
		}
		return len(u.open) == 0
	})
}

// RequestsTo is how many requests for a path came in since the last Break.
func (u *Upstream) RequestsTo(path string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.paths[path]
}

// Heard is every byte that came in so far, before any TLS was taken off.
func (u *Upstream) Heard() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.heard.String()
}

// serve plays one connection and says how it ends.
func (u *Upstream) serve(conn *wire, number int) Then {
	if u.failing.Load() && u.fault.Accept != nil {
		u.Playing.Add(1)
		defer u.Playing.Add(-1)
		u.fault.Accept(u, conn)
		return Close
	}
	var stream net.Conn = conn
	if u.tls != nil {
		secured, err := u.Secure(conn)
		if err != nil {
			return Close
		}
		stream = secured
	}
	if u.fault.Stream != nil {
		return u.serveHTTP2(stream, number)
	}
	reader := bufio.NewReader(stream)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return Close
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return Close
		}
		u.note(request.URL.Path, request.Header)
		if !u.failing.Load() || u.fault.Request == nil {
			_, _ = io.WriteString(stream, Response("200 OK", u.Good, "Content-Type: application/json"))
			continue
		}
		if then := u.playRequest(stream); then != KeepOpen {
			return then
		}
	}
}

// Secure makes the TLS handshake on a connection.
func (u *Upstream) Secure(conn net.Conn) (net.Conn, error) {
	secured := tls.Server(conn, u.tls)
	return secured, secured.Handshake()
}

func (u *Upstream) playRequest(conn net.Conn) Then {
	u.Playing.Add(1)
	defer u.Playing.Add(-1)
	then := u.fault.Request(conn)
	if then == Hang {
		HangOn(u, conn)
	}
	return then
}

func (u *Upstream) note(path string, header http.Header) {
	if u.OnRequest != nil {
		u.OnRequest(path, header)
	}
	u.Requests.Add(1)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.paths[path]++
}

// HangOn only reads, until the client closes the connection.
func HangOn(_ *Upstream, conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// Say returns a fault that writes the same bytes for each request.
func Say(text string, then Then) func(net.Conn) Then {
	return func(conn net.Conn) Then {
		_, _ = io.WriteString(conn, text) // The client may have had enough of it.
		return then
	}
}

// Response is a response over HTTP/1.1 in bytes. Its headers are whole lines.
func Response(status, body string, header ...string) string {
	header = append(header, fmt.Sprint("Content-Length: ", len(body)))
	return "HTTP/1.1 " + status + "\r\n" + strings.Join(header, "\r\n") + "\r\n\r\n" + body
}

// Eventually waits for what another goroutine or the kernel is about to do, and fails the test if it does not come.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting: %s", what)
		}
	}
}
