package seam

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"
)

// sendTrace watches how far a request gets. The transport writes it in a goroutine of its own.
type sendTrace struct {
	httptrace.ClientTrace

	headers atomic.Bool
	http2   atomic.Bool
}

func newSendTrace() *sendTrace {
	w := &sendTrace{}
	w.WroteHeaders = func() { w.headers.Store(true) }
	w.GotConn = func(info httptrace.GotConnInfo) {
		if connection, ok := info.Conn.(*tls.Conn); ok {
			w.http2.Store(connection.ConnectionState().NegotiatedProtocol == "h2")
		}
	}
	return w
}

// sent says whether Seam may have the whole request, which has a body and so is not whole before its headers are
// written. Nor is it when a write failed, for over HTTP/1.1 nothing else is written on its connection.
func (w *sendTrace) sent(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	writing := ok && failed.Op == "write" && !w.http2.Load()
	return w.headers.Load() && !writing
}
