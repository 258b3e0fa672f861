package seamtest

import (
	"bytes"
	"io"
	"net"
	"net/http"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Stream is one request over HTTP/2 in bare frames: net/http's own server cannot be made to misbehave.
type Stream struct {
	*http2.Framer

	ID uint32
	// Connection and Number count from 1: the connection at the upstream, and the request on it.
	Connection, Number int
}

// serveHTTP2 plays an HTTP/2 connection and says how it ends.
func (u *Upstream) serveHTTP2(conn net.Conn, number int) Then {
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return Close
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	begun, hanging, requests := map[uint32]*http2.MetaHeadersFrame{}, map[uint32]bool{}, 0
	defer func() { u.Playing.Add(-int32(len(hanging))) }()
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
			if !frame.IsAck() {
				_ = framer.WritePing(true, frame.Data)
			}
		case *http2.MetaHeadersFrame:
			begun[frame.StreamID] = frame
			complete = frame.StreamEnded()
		case *http2.DataFrame:
			complete = frame.StreamEnded()
		case *http2.RSTStreamFrame:
			if hanging[frame.StreamID] {
				delete(hanging, frame.StreamID)
				u.Playing.Add(-1)
			}
		case *http2.GoAwayFrame:
			return Close
		}
		if !complete {
			continue
		}
		id := frame.Header().StreamID
		requests++
		switch then := u.playStream(Stream{framer, id, number, requests}, begun[id]); then {
		case HangStream:
			hanging[id] = true
			u.Playing.Add(1)
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
func (s Stream) Head(status string) {
	var block bytes.Buffer
	_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: status})
	_ = s.WriteHeaders(http2.HeadersFrameParam{StreamID: s.ID, BlockFragment: block.Bytes(), EndHeaders: true})
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
