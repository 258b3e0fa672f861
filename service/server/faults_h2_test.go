package server_test

import (
	"bytes"
	"io"
	"net"
	"net/http"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Seam is an HTTP/2 connection of a broken Seam, in bare frames: net/http's server cannot be made to misbehave.
type h2Seam struct {
	*http2.Framer

	seam *faultyUpstream
	text bytes.Buffer
	pack *hpack.Encoder
	// silent are the streams that the service still waits for.
	silent map[uint32]bool
}

// serveH2 plays an HTTP/2 connection to its end.
func (s *faultyUpstream) serveH2(conn net.Conn) {
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	c := &h2Seam{Framer: http2.NewFramer(conn, conn), seam: s, silent: map[uint32]bool{}}
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.pack = hpack.NewEncoder(&c.text)
	_ = c.WriteSettings()
	begun := map[uint32]*http2.MetaHeadersFrame{}
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			return
		}
		complete := uint32(0)
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = c.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				_ = c.WritePing(true, frame.Data)
			}
		case *http2.MetaHeadersFrame:
			begun[frame.StreamID] = frame
			if frame.StreamEnded() {
				complete = frame.StreamID
			}
		case *http2.DataFrame:
			if frame.StreamEnded() {
				complete = frame.StreamID
			}
		case *http2.RSTStreamFrame:
			if c.silent[frame.StreamID] {
				delete(c.silent, frame.StreamID)
				s.playing.Add(-1)
			}
		case *http2.GoAwayFrame:
			return
		}
		if complete != 0 && !c.answer(complete, begun[complete]) {
			return
		}
		delete(begun, complete)
	}
}

// answer answers one request and says whether the connection lives on.
func (c *h2Seam) answer(stream uint32, request *http2.MetaHeadersFrame) bool {
	header := http.Header{}
	for _, field := range request.RegularFields() {
		header.Add(field.Name, field.Value)
	}
	if c.seam.note(request.PseudoValue("path"), header) {
		return c.seam.fault.stream(c, stream)
	}
	c.head(stream, "200")
	_ = c.WriteData(stream, true, []byte(c.seam.good))
	return true
}

// head writes the headers of a response, or of an interim one.
func (c *h2Seam) head(stream uint32, status string) {
	c.text.Reset()
	_ = c.pack.WriteField(hpack.HeaderField{Name: ":status", Value: status})
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.text.Bytes(), EndHeaders: true})
}

// The streams of a broken Seam, for the rows of the table.

func resetsStream(code http2.ErrCode) func(*h2Seam, uint32) bool {
	return func(c *h2Seam, stream uint32) bool { return c.WriteRSTStream(stream, code) == nil }
}

// goesAway ends the connection and says that the request was not looked at.
func goesAway(c *h2Seam, stream uint32) bool {
	return c.WriteGoAway(max(stream, 2)-2, http2.ErrCodeNo, nil) == nil
}

// goesAwayWith ends the connection and says that the request may have been looked at.
func goesAwayWith(c *h2Seam, stream uint32) bool {
	_ = c.WriteGoAway(stream, http2.ErrCodeNo, nil)
	return false
}

func closesUnderStream(*h2Seam, uint32) bool { return false }

func saysNothing(c *h2Seam, stream uint32) bool {
	c.silent[stream] = true
	c.seam.playing.Add(1)
	return true
}

func resetsBody(c *h2Seam, stream uint32) bool {
	c.head(stream, "200")
	_ = c.WriteData(stream, false, []byte(goodAnswer[:len(goodAnswer)-20]))
	return c.WriteRSTStream(stream, http2.ErrCodeInternal) == nil
}

// interimStorm gives early hints, more than anybody takes.
func interimStorm(c *h2Seam, stream uint32) bool {
	for range 4000 {
		c.head(stream, "103")
	}
	return true
}
