package seamtest

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Stream is one request over HTTP/2 in bare frames: net/http's own server cannot be made to misbehave.
type Stream struct {
	*http2.Framer

	ID uint32
	// Connection and Number count from 1: the connection at the upstream, and the request on it.
	Connection, Number int

	upstream *Upstream
	conn     *sharedConn
	// gone is closed when a stream that hangs ends, end ends it, and the client does so by a reset.
	gone chan struct{}
	end  func()
}

// sharedConn is a connection whose streams can be written to at the same time, frame by frame.
type sharedConn struct {
	net.Conn

	mu sync.Mutex
}

func (c *sharedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Conn.Write(p)
}

// serveHTTP2 plays an HTTP/2 connection and says how it ends.
func (u *Upstream) serveHTTP2(conn net.Conn, number int) Then {
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return Close
	}
	shared := &sharedConn{Conn: conn}
	framer := http2.NewFramer(shared, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	begun, hanging, requests := map[uint32]*http2.MetaHeadersFrame{}, map[uint32]func(){}, 0
	defer func() {
		for _, end := range hanging {
			end()
		}
	}()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return Close
		}
		complete := false
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if data := frame.Data; !frame.IsAck() { // A frame that comes slowly may be in the way.
				u.serving.Go(func() { _ = http2.NewFramer(shared, nil).WritePing(true, data) })
			}
		case *http2.MetaHeadersFrame:
			begun[frame.StreamID] = frame
			complete = frame.StreamEnded()
		case *http2.DataFrame:
			complete = frame.StreamEnded()
		case *http2.RSTStreamFrame:
			if end := hanging[frame.StreamID]; end != nil {
				end()
			}
		case *http2.GoAwayFrame:
			return Close
		}
		if !complete {
			continue
		}
		id := frame.Header().StreamID
		requests++
		gone := make(chan struct{})
		s := Stream{framer, id, number, requests, u, shared, gone, sync.OnceFunc(func() { close(gone) })}
		switch then := u.playStream(s, begun[id]); then {
		case HangStream:
			hanging[id] = s.end
			u.Playing.Add(1)
			u.serving.Go(func() {
				<-gone
				u.Playing.Add(-1)
			})
		case Hang:
			HangOn(u, conn)
			return Close
		case Close, Reset:
			return then
		case KeepOpen:
		}
		delete(begun, id)
	}
}

func (u *Upstream) playStream(s Stream, request *http2.MetaHeadersFrame) Then {
	header := http.Header{}
	for _, field := range request.RegularFields() {
		header.Add(field.Name, field.Value)
	}
	u.note(request.PseudoValue("path"), header)
	if u.failing.Load() {
		return u.fault.Stream(s)
	}
	return s.Respond(u.Good)
}

// Head writes the headers of a response, or of an interim one.
func (s Stream) Head(status string) { s.head(s.conn, status, nil) }

func (s Stream) head(to io.Writer, status string, header http.Header) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	_ = encoder.WriteField(hpack.HeaderField{Name: ":status", Value: status})
	for name, values := range header {
		_ = encoder.WriteField(hpack.HeaderField{Name: strings.ToLower(name), Value: values[0]})
	}
	_ = http2.NewFramer(to, nil).WriteHeaders(http2.HeadersFrameParam{
		StreamID: s.ID, BlockFragment: block.Bytes(), EndHeaders: true,
	})
}

// Respond writes a whole response.
func (s Stream) Respond(body string) Then {
	s.Head("200")
	_ = s.WriteData(s.ID, true, []byte(body))
	return KeepOpen
}

// Reset ends the stream with an error.
func (s Stream) Reset(code http2.ErrCode) Then {
	_ = s.WriteRSTStream(s.ID, code)
	return KeepOpen
}
