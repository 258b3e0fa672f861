package rest

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// minWriteTime is how long a response may take to be written at least. An error has no longer.
	minWriteTime = 5 * time.Second
	// maxUnreadOfStrangers is how many responses to requests without an accepted credential may be waiting for their
	// clients to read them. Over HTTP/2 a client can open a stream without any room for the response.
	maxUnreadOfStrangers = 256
)

// unreadResponses bounds the responses that are written outside of a call's slot: errors, and what is the same for
// everybody. A client that reads them takes a place for the time of a write.
type unreadResponses struct {
	strangers, callers chan struct{}
	// aborted counts the responses that were given up.
	aborted prometheus.Counter
}

// write writes a response within the time of an error. Without a place it aborts the response: the stream is reset, or
// the connection closed over HTTP/1.1.
func (u *unreadResponses) write(w http.ResponseWriter, r *http.Request, places chan struct{}, write func()) {
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		u.aborted.Inc()
		panic(http.ErrAbortHandler)
	}
	if r.ProtoMajor == 1 { // The kernel takes an error, and net/http first waits for the rest of a body.
		write()
		return
	}
	controller := http.NewResponseController(w)
	_ = controller.SetWriteDeadline(time.Now().Add(minWriteTime)) // It fails for a closed stream only.
	write()
	_ = controller.Flush() // Else net/http writes a short response when the place is free again.
}
