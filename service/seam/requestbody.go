package seam

import (
	"bytes"
	"errors"
	"net"
	"sync/atomic"
)

// requestBody is the body of one request to Seam. It notes how far the request got: the transport reads the body, in a
// goroutine of its own, once it has written the headers.
type requestBody struct {
	reader bytes.Reader
	begun  atomic.Bool
}

func newRequestBody(text []byte) *requestBody {
	b := &requestBody{}
	b.reader.Reset(text)
	return b
}

// Read reads the next part of the body.
func (b *requestBody) Read(p []byte) (int, error) {
	b.begun.Store(true)
	return b.reader.Read(p)
}

// Close does nothing: the text is in memory.
func (b *requestBody) Close() error { return nil }

// sent says whether Seam may have the whole request, which ended with an error. It is not whole before its headers are
// written. Nor is it when a write failed on a connection of HTTP/1.1, for nothing else is written there.
func (b *requestBody) sent(err error, http2 bool) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	writing := ok && failed.Op == "write" && !http2
	return b.begun.Load() && !writing
}
