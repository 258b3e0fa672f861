package seam

import (
	"bytes"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"
)

// sendTrace records how much of a request was sent. The transport writes the request in a goroutine of its own.
type sendTrace struct {
	httptrace.ClientTrace

	// body has to be a bytes.Reader: the transport writes the headers in a packet of their own before any other body.
	body         bytes.Reader
	wroteHeaders atomic.Bool
}

func newSendTrace(text []byte) *sendTrace {
	t := &sendTrace{}
	t.body.Reset(text)
	t.WroteHeaders = func() { t.wroteHeaders.Store(true) }
	return t
}

// sent reports whether Seam may have received the whole request, which ended with an error. The request has a body, so
// it is incomplete before its headers are written. It is incomplete too when a write failed over HTTP/1.1, where
// nothing else is written on its connection.
func (t *sendTrace) sent(err error, http2 bool) bool {
	opError, ok := errors.AsType[*net.OpError](err)
	writeFailed := ok && opError.Op == "write" && !http2
	return t.wroteHeaders.Load() && !writeFailed
}
