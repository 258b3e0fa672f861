package seamtest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// Reply is a response that an upstream can give over either protocol.
type Reply struct {
	// Interim is the status of the interim responses, of which Interims come first.
	Interim, Interims int
	// Status is that of the response itself, of which nothing comes if it is 0.
	Status int
	// Header need not have the Content-Length of Body.
	Header http.Header
	// Body is cut off unless Then is KeepOpen. It then has no Content-Length of its own.
	Body string
	// CutHead sends only half of the bytes of the headers, and no body.
	CutHead bool
	// SlowHead and SlowBody send the headers and the body byte by byte, and the interim responses one by one.
	SlowHead, SlowBody bool
	// Then is what comes after that. Hang is to hang the stream over HTTP/2.
	Then Then
}

// pause is the time between two bytes of what is slow. It is the fault, and does not wait for an event.
const pause = 50 * time.Millisecond

// maxFrame is the longest body that every client accepts in a frame.
const maxFrame = 16 << 10

func (r Reply) header() http.Header {
	header := http.Header{}
	maps.Copy(header, r.Header)
	if header.Get("Content-Length") == "" && r.Then == KeepOpen {
		header.Set("Content-Length", strconv.Itoa(len(r.Body)))
	}
	return header
}

func (r Reply) cut(head string) string {
	if r.CutHead {
		return head[:len(head)/2]
	}
	return head
}

// OverHTTP1 is the reply as the Request of a Fault.
func (r Reply) OverHTTP1(conn net.Conn) Then {
	var head strings.Builder
	body := r.Body
	if r.Status != 0 {
		header := r.header()
		if header.Get("Content-Length") == "" {
			header.Set("Transfer-Encoding", "chunked")
			body = fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
		}
		if r.Then == Close {
			header.Set("Connection", "close")
		}
		_, _ = fmt.Fprintf(&head, "HTTP/1.1 %d Status\r\n", r.Status)
		_ = header.Write(&head)
		head.WriteString("\r\n")
	}
	interim := fmt.Sprintf("HTTP/1.1 %d Interim\r\n\r\n", r.Interim)
	write(conn, strings.Repeat(interim, r.Interims), r.SlowHead, len(interim), nil)
	write(conn, r.cut(head.String()), r.SlowHead, 1, nil)
	if !r.CutHead {
		write(conn, body, r.SlowBody, 1, nil)
	}
	return r.Then
}

// OverHTTP2 is the reply as the Stream of a Fault.
func (r Reply) OverHTTP2(s Stream) Then {
	if r.SlowHead || r.SlowBody { // The connection serves its other streams meanwhile.
		stop, healed := make(chan struct{}), s.upstream.Healed()
		s.upstream.serving.Go(func() {
			defer close(stop)
			select {
			case <-s.gone:
			case <-healed:
			}
		})
		s.upstream.serving.Go(func() {
			if s.reply(r, stop); r.Then == KeepOpen {
				s.end()
			}
		})
		return HangStream
	}
	s.reply(r, nil)
	if r.Then == Hang {
		return HangStream
	}
	return r.Then
}

func (s Stream) reply(r Reply, stop <-chan struct{}) {
	var interim, head bytes.Buffer
	s.head(&interim, strconv.Itoa(r.Interim), nil)
	write(s.conn, strings.Repeat(interim.String(), r.Interims), r.SlowHead, interim.Len(), stop)
	if r.Status == 0 {
		return
	}
	s.head(&head, strconv.Itoa(r.Status), r.header())
	s.conn.mu.Lock() // Nothing else may come between the bytes of a frame.
	write(s.conn.Conn, r.cut(head.String()), r.SlowHead, 1, stop)
	s.conn.mu.Unlock()
	if r.CutHead {
		return
	}
	size := maxFrame
	if r.SlowBody {
		size = 1
	}
	framer := http2.NewFramer(s.conn, nil) // That of the stream may be in use.
	for body := r.Body; body != ""; body = body[min(size, len(body)):] {
		if r.SlowBody && !waited(stop) {
			return
		}
		_ = framer.WriteData(s.ID, false, []byte(body[:min(size, len(body))]))
	}
	if r.Then == KeepOpen {
		_ = framer.WriteData(s.ID, true, nil)
	}
}

// write writes a text, which its reader may have had enough of: if slowly step by step, until stop is closed.
func write(w io.Writer, text string, slowly bool, step int, stop <-chan struct{}) {
	for err := error(nil); slowly && err == nil && text != "" && waited(stop); text = text[step:] {
		_, err = io.WriteString(w, text[:step])
	}
	_, _ = io.WriteString(w, text)
}

// waited waits for the pause, and reports whether stop is still open.
func waited(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return false
	case <-time.After(pause):
		return true
	}
}
