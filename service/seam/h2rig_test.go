package seam_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Upstream answers over HTTP/2 in bare frames: Go's own server cannot be made to misbehave.
type h2Upstream struct {
	url string
	// connections and requests count what came in.
	connections, requests atomic.Int32

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

// h2Stream is one request and the connection that it came on.
type h2Stream struct {
	*http2.Framer

	id uint32
	// connection and number count from 1: the connection at the upstream and the request on it.
	connection, number int
}

// errHangUp ends a connection from the handler of a stream, errHang leaves it open and says nothing on it any more.
var (
	errHangUp = errors.New("hang up")
	errHang   = errors.New("hang")
)

// serveH2 has the handler answer each request once it has come in whole. The connection lives on while that returns
// nil.
func serveH2(t *testing.T, handler func(h2Stream) error) *h2Upstream {
	t.Helper()
	borrowed := httptest.NewTLSServer(nil) // Its certificate is the one that the client trusts.
	borrowed.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: borrowed.TLS.Certificates, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		t.Fatal(err)
	}
	u := &h2Upstream{url: "https://" + listener.Addr().String(), open: map[net.Conn]struct{}{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			number := int(u.connections.Add(1))
			u.mu.Lock()
			u.open[conn] = struct{}{}
			u.mu.Unlock()
			running.Go(func() {
				u.play(conn, number, handler)
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		u.mu.Lock()
		for conn := range u.open {
			_ = conn.Close()
		}
		u.mu.Unlock()
		running.Wait()
	})
	return u
}

// play plays a connection to its end.
func (u *h2Upstream) play(conn net.Conn, number int, handler func(h2Stream) error) {
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(conn, conn)
	_ = framer.WriteSettings()
	for requests := 0; ; {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				_ = framer.WritePing(true, frame.Data)
			}
		case *http2.DataFrame: // Every request has a body, with which it ends.
			if !frame.StreamEnded() {
				continue
			}
			u.requests.Add(1)
			requests++
			err := handler(h2Stream{framer, frame.StreamID, number, requests})
			if errors.Is(err, errHang) {
				_, _ = io.Copy(io.Discard, conn)
			}
			if err != nil {
				return
			}
		}
	}
}

// head writes the headers of a response with status 200.
func (s h2Stream) head() {
	var text bytes.Buffer
	_ = hpack.NewEncoder(&text).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	_ = s.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: text.Bytes(), EndHeaders: true})
}

// answer writes a whole answer.
func (s h2Stream) answer() error {
	s.head()
	return s.WriteData(s.id, true, []byte(success))
}

// reset ends the stream with an error.
func (s h2Stream) reset(code http2.ErrCode) error { return s.WriteRSTStream(s.id, code) }
